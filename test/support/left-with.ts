import { getEventListeners } from 'node:events';

/**
 * How much a signal keeps of the calls it was handed to: listeners, and what node itself remembers of
 * signals made from it by `AbortSignal.any`, dead ones too, in a set under a symbol of its own.
 */
export function leftWith(signal: AbortSignal): number {
  const own = signal as unknown as Readonly<Record<symbol, { readonly size: number } | undefined>>;
  const madeFromIt = Object.getOwnPropertySymbols(signal).find(
    ({ description }) => description === 'kDependantSignals',
  );
  const made = madeFromIt === undefined ? 0 : (own[madeFromIt]?.size ?? 0);
  return made + getEventListeners(signal, 'abort').length;
}
