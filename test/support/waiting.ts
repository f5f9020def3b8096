import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import { PointsmanError } from '../../src/errors.js';

/** The PointsmanError that `promise` rejects with; anything else fails the test. */
export async function rejection(promise: Promise<unknown>): Promise<PointsmanError> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(PointsmanError);
  return error as PointsmanError;
}

/** Asks `check` again and again until it gives something; fails after `limitMs`. */
export async function until<T>(
  check: () => Promise<T | null | undefined | false> | T | null | undefined | false,
  limitMs = 50_000,
): Promise<T> {
  for (const end = performance.now() + limitMs; ;) {
    const found = await check();
    if (found !== null && found !== undefined && found !== false) return found;
    if (performance.now() > end) throw new Error(`not within ${limitMs} ms`);
    await delay(25);
  }
}
