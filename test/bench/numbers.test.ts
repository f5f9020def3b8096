import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { interleave, median, percentile } from './numbers.js';

describe('percentile', () => {
  it.each([
    [0, 1],
    [20, 1],
    [21, 2],
    [50, 3],
    [99, 5],
    [100, 5],
  ])('at %i of five samples is the one of the nearest rank', (percent, expected) => {
    expect(percentile([4, 2, 5, 1, 3], percent)).toBe(expected);
  });

  it('is not a number when nothing was measured', () => {
    expect(percentile([], 50)).toBeNaN();
    expect(median([])).toBeNaN();
  });

  it('is the least sample that is not below that share of all', () => {
    const samples = fc.array(fc.double({ noNaN: true }), { minLength: 1 });
    fc.assert(
      fc.property(samples, fc.integer({ min: 1, max: 100 }), (measured, percent) => {
        const found = percentile(measured, percent);
        const share = (holds: (value: number) => boolean): number =>
          (measured.filter(holds).length / measured.length) * 100;
        expect(measured).toContain(found);
        expect(share((value) => value <= found)).toBeGreaterThanOrEqual(percent - 1e-9);
        expect(share((value) => value < found)).toBeLessThan(percent);
      }),
    );
  });

  it('leaves the samples in the order in which they were taken', () => {
    const samples = [3, 1, 2];
    median(samples);
    expect(samples).toEqual([3, 1, 2]);
  });
});

describe('interleave', () => {
  it('measures every series once a round, in the order given, one at a time', async () => {
    const calls: string[] = [];
    const series = (name: string) => async (round: number) => {
      calls.push(`${name} begins ${round}`);
      await Promise.resolve();
      calls.push(`${name} ends ${round}`);
      return round * 10;
    };
    expect(await interleave(2, { a: series('a'), b: series('b') })).toEqual({ a: [0, 10], b: [0, 10] });
    expect(calls).toEqual(
      [0, 1].flatMap((round) =>
        ['a', 'b'].flatMap((name) => [`${name} begins ${round}`, `${name} ends ${round}`]),
      ),
    );
  });

  it('has a series without samples when there are no rounds', async () => {
    expect(await interleave(0, { a: async () => 1 })).toEqual({ a: [] });
  });
});
