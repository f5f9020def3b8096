import { expect, it } from 'vitest';
import { messageOf, redact, shortened } from '../src/errors.js';

it('cuts long text in the middle, and says so', () => {
  expect(shortened('x'.repeat(4_000))).toBe('x'.repeat(4_000));
  const cut = messageOf(new Error(`begin ${'x\n'.repeat(1_000_000)} end`));
  expect(cut).toMatch(/^begin x x .* … .* x x end$/);
  expect(cut.length).toBeLessThan(4_010);
});

it.each([
  ['https://user:s3cret@git.example.com/a', 'https://git.example.com/a'],
  ['https://s3cret@git.example.com/a', 'https://git.example.com/a'],
  ['x SSH+git://s3cret@a/b and https://u:s3cret@c', 'x SSH+git://a/b and https://c'],
  ['https://git.example.com/a@b', 'https://git.example.com/a@b'],
  ['mail@example.com', 'mail@example.com'],
])('writes %s as %s', (text, redacted) => {
  expect(redact(text)).toBe(redacted);
});
