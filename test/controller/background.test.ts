import { expect, it } from 'vitest';
import { Background } from '../../src/controller/background.js';
import type { Logger } from '../../src/log.js';
import { ManualClock } from '../support/manual-clock.js';

it('tells what is repeated which time comes next', async () => {
  const clock = new ManualClock();
  const stopping = new AbortController();
  const background = new Background({ clock, log: {} as Logger, stopping: stopping.signal });
  const at: number[] = [];
  background.repeat(
    (time) => (time === 1 ? 10 : 100),
    () => Promise.resolve(void at.push(clock.monotonic())),
  );
  await clock.advance(250);
  expect(at).toEqual([10, 110, 210]);
  stopping.abort();
  await background.settled();
  expect(clock.pending).toBe(0);
});
