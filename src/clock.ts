import { setTimeout as delay } from 'node:timers/promises';

/** Time, handed in so that a simulation can run it. */
export interface Clock {
  /** Wall clock, milliseconds since the epoch. May jump; only for what people read. */
  now(): number;
  /** Milliseconds since some fixed moment; never goes back. For durations and deadlines. */
  monotonic(): number;
  /** Resolves after `ms`; rejects with `signal.reason` when aborted before. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** Calls `callback` once after `ms`, unless the returned function is called before. */
  timer(ms: number, callback: () => void): () => void;
}

/** `setTimeout` fires at once above this: 2^31 - 1 ms, about 24.8 days. */
const longestTimerMs = 2_147_483_647;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  async sleep(ms, signal) {
    signal.throwIfAborted();
    try {
      await delay(Math.min(Math.max(ms, 0), longestTimerMs), undefined, { signal });
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
  },
  timer(ms, callback) {
    const handle = setTimeout(callback, Math.min(Math.max(ms, 0), longestTimerMs));
    return () => clearTimeout(handle);
  },
};
