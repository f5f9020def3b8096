import { setMaxListeners } from 'node:events';

/** One signal for several, until it is released. */
export interface JoinedSignal {
  /** Aborts with the reason of the first source that does; at once when one has. */
  readonly signal: AbortSignal;
  /** Takes its listeners off the sources, which it follows no more. */
  readonly release: () => void;
}

/**
 * `AbortSignal.any` for a call that ends before its sources. On Node 20.20 that one leaves 58 bytes with a
 * source for good on each call, 107 where it aborted, and 1.2 kB where a listener stays on it (heap after
 * 200,000 calls on one source): a leak where the source lives as long as the controller.
 */
export function joinSignals(...sources: readonly (AbortSignal | undefined)[]): JoinedSignal {
  const joined = new AbortController();
  const stops = sources
    .filter((source) => source !== undefined)
    .map((source) => onAbort(source, () => joined.abort(source.reason)));
  return { signal: joined.signal, release: () => stops.forEach((stop) => stop()) };
}

/**
 * Calls `listener` when `signal` aborts, at once when it has, unless the returned function is called before.
 * Any number may listen: node takes more than ten for a leak.
 */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  if (signal.aborted) {
    listener();
    return () => undefined;
  }
  setMaxListeners(0, signal);
  signal.addEventListener('abort', listener, { once: true });
  return () => signal.removeEventListener('abort', listener);
}
