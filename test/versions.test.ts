import { expect, it } from 'vitest';
import { isAtLeast } from '../src/versions.js';

it.each([
  ['20.10.24+dfsg1', '20.10', true],
  ['20.9', '20.10', false],
  ['28.2.2', '20.10', true],
  ['1.18', '1.18', true],
  ['1.9.99', '1.18', false],
  ['6.18.5-fc', '6.12', true],
  ['', '1.0', false],
])('holds version %s against %s', (version, least, result) => {
  expect(isAtLeast(version, least)).toBe(result);
});
