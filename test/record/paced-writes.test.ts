import { expect, it } from 'vitest';
import { PacedWrites } from '../../src/record/paced-writes.js';
import { ManualClock } from '../support/manual-clock.js';

function slowWrites(
  clock: ManualClock,
  eachMs: number,
): { readonly paced: PacedWrites; readonly at: number[] } {
  const at: number[] = [];
  const never = new AbortController().signal;
  const paced = new PacedWrites(clock, async () => {
    at.push(clock.monotonic());
    await clock.sleep(eachMs, never);
  });
  return { paced, at };
}

it('lets changes within 20 ms share a write', async () => {
  const clock = new ManualClock();
  const { paced, at } = slowWrites(clock, 0);
  for (let change = 0; change < 10; change += 1) {
    paced.ask();
    await clock.advance(2);
  }
  await clock.advance(100);
  expect(at).toEqual([20]);
});

it('waits four times as long as a write takes, and a second at most', async () => {
  const clock = new ManualClock();
  const quick = slowWrites(clock, 50);
  quick.paced.ask();
  await clock.advance(30);
  quick.paced.ask();
  await clock.advance(1_000);
  expect(quick.at).toEqual([20, 270]);
  const slow = slowWrites(clock, 5_000);
  slow.paced.ask();
  await clock.advance(30);
  slow.paced.ask();
  await clock.advance(10_000);
  expect(slow.at).toEqual([1_050, 7_050]);
});

it('writes the last one at once', async () => {
  const clock = new ManualClock();
  const { paced, at } = slowWrites(clock, 100);
  paced.ask();
  await clock.advance(150);
  paced.ask();
  await clock.advance(10);
  const last = paced.last();
  await clock.advance(100);
  await last;
  expect(at).toEqual([20, 160]);
});
