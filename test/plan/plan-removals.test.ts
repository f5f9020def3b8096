import { describe, expect, it } from 'vitest';
import { planRemovals } from '../../src/plan/plan-removals.js';
import type { RemovalsInput } from '../../src/plan/plan-removals.js';

const base: RemovalsInput = {
  configCommit: 'c0ffee',
  existing: ['a', 'b', 'c', 'd'],
  declared: new Set(['a', 'b', 'c', 'd']),
  heldBecause: null,
  maxShare: 0.5,
  confirmed: false,
};

describe('planRemovals', () => {
  it.each<[string, Partial<RemovalsInput>, readonly string[], RegExp | null]>([
    ['removes nothing while all are declared', {}, [], null],
    ['lets one go', { declared: new Set(['a', 'b', 'c']) }, ['d'], null],
    ['lets half of them go', { declared: new Set(['a', 'b']) }, ['c', 'd'], null],
    [
      'holds back more than the share',
      { declared: new Set(['a']) },
      ['b', 'c', 'd'],
      /3 of 4 .* prune --confirm c0ffee/,
    ],
    [
      'says of a folder what to do after its commit, which has no hash yet',
      { configCommit: null, declared: new Set(['a']) },
      ['b', 'c', 'd'],
      /3 of 4 .*; once committed they are held back; to remove them then: pointsman prune --confirm COMMIT, with the hash of that commit$/,
    ],
    [
      'lets a single one go whatever its share',
      { existing: ['a', 'b'], declared: new Set(['a']), maxShare: 0.1 },
      ['b'],
      null,
    ],
    [
      'holds back what the repository cannot be trusted about',
      { declared: new Set(['a', 'b', 'c']), heldBecause: 'the folder is empty' },
      ['d'],
      /the folder is empty/,
    ],
    [
      'releases what was confirmed',
      { declared: new Set(), heldBecause: 'the folder is empty', confirmed: true },
      ['a', 'b', 'c', 'd'],
      null,
    ],
  ])('%s', (_, change, gone, held) => {
    const removals = planRemovals({ ...base, ...change });
    expect(removals.gone).toEqual(gone);
    if (held === null) expect(removals.heldBecause).toBeNull();
    else expect(removals.heldBecause).toMatch(held);
  });
});
