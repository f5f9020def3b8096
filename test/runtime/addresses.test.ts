import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  capacity,
  formatBlock,
  freeBlock,
  layout,
  overlap,
  parseBlock,
  parseRoutes,
  type Block,
} from '../../src/runtime/addresses.js';

function block(text: string): Block {
  const parsed = parseBlock(text);
  if (parsed === null) throw new Error(text);
  return parsed;
}

const anyBlock = fc
  .record({ address: fc.integer({ min: 0, max: 2 ** 32 - 1 }), bits: fc.integer({ min: 8, max: 32 }) })
  .map(({ address, bits }) => ({ first: address - (address % 2 ** (32 - bits)), bits }));

/** In and around 10.213.0.0/20. */
const nearBlock = fc
  .record({ offset: fc.integer({ min: -4096, max: 8191 }), bits: fc.integer({ min: 22, max: 32 }) })
  .map(({ offset, bits }) => {
    const first = block('10.213.0.0/20').first + offset;
    return { first: first - (first % 2 ** (32 - bits)), bits };
  });

describe('blocks', () => {
  it.each([
    ['10.213.0.0/16', '10.213.0.0/16'],
    ['10.213.7.9/28', '10.213.7.0/28'],
    ['255.255.255.255/32', '255.255.255.255/32'],
    ['0.0.0.0/0', '0.0.0.0/0'],
  ])('reads %s as %s', (text, canonical) => {
    expect(formatBlock(block(text))).toBe(canonical);
  });

  it.each(['', '10.0.0.0', '10.0.0/8', '10.0.0.256/8', '10.0.0.0/33', 'fd00::/64', '1.2.3.4/8/9'])(
    'takes %j for none',
    (text) => {
      expect(parseBlock(text)).toBeNull();
    },
  );

  it('come back from text as they were', () => {
    fc.assert(
      fc.property(anyBlock, (each) => {
        expect(parseBlock(formatBlock(each))).toEqual(each);
      }),
    );
  });

  it('overlap when one holds the other’s first address', () => {
    const holds = (a: Block, b: Block): boolean =>
      a.first <= b.first && b.first < a.first + 2 ** (32 - a.bits);
    fc.assert(
      fc.property(anyBlock, anyBlock, (a, b) => {
        expect(overlap(a, b)).toBe(holds(a, b) || holds(b, a));
      }),
    );
  });
});

describe('the free block', () => {
  it('lies in the pool and overlaps nothing that is taken', () => {
    fc.assert(
      fc.property(fc.array(nearBlock, { maxLength: 30 }), (taken) => {
        const pool = block('10.213.0.0/20');
        const free = freeBlock(pool, taken);
        if (free === null) return;
        expect(overlap(pool, free)).toBe(true);
        expect(free.bits).toBe(28);
        expect(taken.filter((each) => overlap(each, free))).toEqual([]);
      }),
    );
  });

  it('is another one each time until the pool is full', () => {
    const pool = block('10.213.0.0/24');
    const taken: Block[] = [];
    for (let free = freeBlock(pool, taken); free !== null; free = freeBlock(pool, taken)) taken.push(free);
    expect(taken.map(formatBlock)).toEqual(
      Array.from({ length: 16 }, (_, index) => `10.213.0.${index * 16}/28`),
    );
    expect(capacity(pool)).toBe(16);
  });

  it('is none when the pool is smaller than a project needs', () => {
    expect(freeBlock(block('10.0.0.0/29'), [])).toBeNull();
    expect(capacity(block('10.0.0.0/29'))).toBe(0);
  });
});

it('lays slots out below the addresses that the engine gives away', () => {
  expect(layout(block('10.213.0.16/28'))).toEqual({
    subnet: '10.213.0.16/28',
    gateway: '10.213.0.17',
    blue: '10.213.0.18',
    green: '10.213.0.19',
    dynamic: '10.213.0.24/29',
  });
});

it('reads the kernel’s routes without the default one', () => {
  const text = [
    'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT',
    'eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0',
    'docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0',
    'tun0\t0000D50A\t00000000\t0001\t0\t0\t0\tF0FFFFFF\t0\t0\t0',
    'broken line',
    '',
  ].join('\n');
  expect(parseRoutes(text).map(formatBlock)).toEqual(['172.17.0.0/16', '10.213.0.0/28']);
});
