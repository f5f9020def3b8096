/**
 * A life that dies takes none of its listeners off, and node keeps a signal made by `AbortSignal.any` for
 * as long as one is on: a tenth of a megabyte a history. Does `work`, then takes off what it left.
 */
export async function withoutLeftListeners<T>(work: () => Promise<T>): Promise<T> {
  const added: [WeakRef<AbortSignal>, Parameters<AbortSignal['removeEventListener']>][] = [];
  const own = Object.getOwnPropertyDescriptor(AbortSignal.prototype, 'addEventListener');
  const add = AbortSignal.prototype.addEventListener;
  AbortSignal.prototype.addEventListener = function (this: AbortSignal, ...args: Parameters<typeof add>) {
    added.push([new WeakRef(this), [args[0], args[1]]]);
    add.apply(this, args);
  };
  try {
    return await work();
  } finally {
    if (own === undefined) Reflect.deleteProperty(AbortSignal.prototype, 'addEventListener');
    else Object.defineProperty(AbortSignal.prototype, 'addEventListener', own);
    for (const [signal, args] of added) signal.deref()?.removeEventListener(...args);
  }
}
