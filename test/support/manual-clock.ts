import type { Clock } from '../../src/clock.js';

/**
 * A clock that moves only when told. Specification: `now` and `monotonic` agree but for an offset;
 * `advance(ms)` runs every timer that is due, in order of its time, and lets promises settle between
 * them; a timer that is set while it advances runs in the same call when it is due. `pending` counts
 * the timers and sleeps that are still to come.
 */
export class ManualClock implements Clock {
  #time = 0;
  #nextId = 0;
  readonly #timers = new Map<number, { readonly at: number; readonly callback: () => void }>();

  constructor(private readonly startsAt = Date.parse('2026-01-01T00:00:00Z')) {}

  now(): number {
    return this.startsAt + this.#time;
  }

  monotonic(): number {
    return this.#time;
  }

  timer(ms: number, callback: () => void): () => void {
    const id = this.#nextId++;
    this.#timers.set(id, { at: this.#time + Math.max(0, ms), callback });
    return () => void this.#timers.delete(id);
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const onAbort = (): void => {
        cancel();
        reject(signal.reason as Error);
      };
      const cancel = this.timer(ms, () => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      });
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  get pending(): number {
    return this.#timers.size;
  }

  async advance(ms: number): Promise<void> {
    const end = this.#time + ms;
    await settle();
    for (;;) {
      const due = [...this.#timers]
        .filter(([, { at }]) => at <= end)
        .sort(([a, x], [b, y]) => x.at - y.at || a - b)[0];
      if (due === undefined) break;
      const [id, { at, callback }] = due;
      this.#timers.delete(id);
      this.#time = Math.max(this.#time, at);
      callback();
      await settle();
    }
    this.#time = end;
  }
}

/** Lets every promise that can settle do so. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
