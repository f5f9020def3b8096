import { beforeEach, expect, it } from 'vitest';
import { CrashCounter } from '../../src/controller/crash-counter.js';
import { ManualClock } from '../support/manual-clock.js';

const minuteMs = 60_000;
let clock: ManualClock;
let crashes: CrashCounter;

beforeEach(() => {
  clock = new ManualClock();
  crashes = new CrashCounter(clock);
});

async function exits(count: number, apartMs: number): Promise<void> {
  for (let exit = 0; exit < count; exit += 1) {
    await clock.advance(apartMs);
    crashes.add('shop', 'c1');
  }
}

it('counts exits of the last five minutes', async () => {
  await exits(3, minuteMs);
  expect(crashes.count('shop', 'c1')).toBe(3);
  await clock.advance(4 * minuteMs);
  expect(crashes.count('shop', 'c1')).toBe(2);
  await clock.advance(2 * minuteMs);
  expect(crashes.count('shop', 'c1')).toBe(0);
});

it('holds on to a loop while the engine restarts the container ever less often', async () => {
  await exits(6, 5_000);
  expect(crashes.count('shop', 'c1')).toBe(6);
  await exits(20, 65_000);
  expect(crashes.count('shop', 'c1')).toBe(26);
  await clock.advance(4.9 * minuteMs);
  expect(crashes.count('shop', 'c1')).toBe(26);
  await clock.advance(minuteMs);
  expect(crashes.count('shop', 'c1')).toBe(0);
  await exits(1, 0);
  expect(crashes.count('shop', 'c1')).toBe(1);
});

it('takes six exits that are far apart for no loop', async () => {
  await exits(12, 2 * minuteMs);
  expect(crashes.count('shop', 'c1')).toBe(3);
});

it('begins anew with another container, and when it is told to forget', async () => {
  await exits(6, 1_000);
  expect(crashes.count('shop', 'c2')).toBe(0);
  expect(crashes.count('shop', null)).toBe(0);
  expect(crashes.count('other', 'c1')).toBe(0);
  crashes.add('shop', 'c2');
  expect(crashes.count('shop', 'c2')).toBe(1);
  expect(crashes.count('shop', 'c1')).toBe(0);
  crashes.forget('shop');
  expect(crashes.count('shop', 'c2')).toBe(0);
});
