import { expect, it } from 'vitest';
import { cut, formatAge, formatDuration, oneLine, shortHash } from '../../src/cli/terminal.js';

it.each([
  [0, '0s'],
  [59_999, '59s'],
  [60_000, '1m'],
  [3_599_999, '59m'],
  [3_600_000, '1h'],
  [47 * 3_600_000, '47h'],
  [48 * 3_600_000, '2d'],
  [-5, '0s'],
])('an age of %i ms is %s', (ms, text) => {
  expect(formatAge(ms)).toBe(text);
});

it.each([
  [0, '0ms'],
  [999, '999ms'],
  [1_000, '1.0s'],
  [59_949, '59.9s'],
  [59_950, '1m00s'],
  [61_000, '1m01s'],
  [3_599_600, '1h00m'],
  [3_780_000, '1h03m'],
])('a duration of %i ms is %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});

it('cuts to a width and says that it did', () => {
  expect([cut('abcdef', 4), cut('abcd', 4), cut('abcdef', null), cut('abc', 0)]).toEqual([
    'abc…',
    'abcd',
    'abcdef',
    '',
  ]);
});

it('shortens hashes of every kind', () => {
  expect([
    shortHash('sha256:0123456789'),
    shortHash('0123456789abcdef'),
    shortHash(null),
    shortHash(''),
  ]).toEqual(['01234567', '01234567', '-', '-']);
});

it('makes one harmless line of any text', () => {
  expect(oneLine(' a\r\n\tb\u001b]8;;http://x\u0007c\u001b]8;;\u0007\u202e\u0000 ')).toBe('a bc');
});
