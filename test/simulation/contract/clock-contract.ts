import type { Clock } from '../../../src/clock.js';
import type { ContractCase } from './contract.js';
import { codeOf, same } from './contract.js';

export interface ClockSubject {
  readonly clock: Clock;
  /** Waits for work that takes time; the simulation moves its own meanwhile. */
  done<T>(work: Promise<T>): Promise<T>;
}

/** What deadlines, pauses and timers count on, of any clock. */
export const clockContract: readonly ContractCase<ClockSubject>[] = [
  {
    name: 'a sleep takes at least as long as was asked for, by either time',
    async run({ clock, done }) {
      const [wall, monotonic] = [clock.now(), clock.monotonic()];
      await done(clock.sleep(20, new AbortController().signal));
      // A real timer may fire a fraction of a millisecond early.
      same(clock.monotonic() - monotonic >= 19, true);
      same(clock.now() - wall >= 19, true);
    },
  },
  {
    name: 'a sleep ends with the reason of its signal, at once or before it began',
    async run({ clock, done }) {
      const abort = new AbortController();
      const reason = new Error('enough');
      const sleep = clock.sleep(3_600_000, abort.signal);
      abort.abort(reason);
      same(await codeOf(done(sleep)), 'Error: enough');
      same(await codeOf(done(clock.sleep(1, abort.signal))), 'Error: enough');
    },
  },
  {
    name: 'timers fire once, in the order of their times, and not when they were cancelled',
    async run({ clock, done }) {
      const fired: string[] = [];
      clock.timer(30, () => fired.push('late'));
      clock.timer(5, () => fired.push('early'));
      clock.timer(10, () => fired.push('cancelled'))();
      await done(clock.sleep(80, new AbortController().signal));
      same(fired, ['early', 'late']);
    },
  },
  {
    name: 'a timer of no time or less does not fire before its caller goes on',
    async run({ clock, done }) {
      const fired: string[] = [];
      clock.timer(0, () => fired.push('none'));
      clock.timer(-5, () => fired.push('less'));
      same(fired, []);
      await done(clock.sleep(20, new AbortController().signal));
      same(fired, ['none', 'less']);
    },
  },
];
