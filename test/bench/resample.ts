import { percentile } from './numbers.js';

const draws = 400;

/**
 * How far chance alone may have moved the ratio of two percentiles: of `draws` sets of rounds, each drawn
 * from `rounds` at random and as large, the range that holds 95 in 100 of the ratios.
 */
export function rangeOfRatio(
  rounds: readonly { readonly above: readonly number[]; readonly below: readonly number[] }[],
  percent: number,
): { readonly from: number; readonly to: number } {
  const ratios = Array.from({ length: draws }, () => {
    const drawn = rounds.map(() => rounds[Math.floor(Math.random() * rounds.length)]);
    const of = (which: 'above' | 'below'): number =>
      percentile(
        drawn.flatMap((round) => round?.[which] ?? []),
        percent,
      );
    return of('above') / of('below');
  });
  return { from: percentile(ratios, 2.5), to: percentile(ratios, 97.5) };
}
