import PQueue from 'p-queue';
import type { Settings } from '../settings/settings.js';
import { joinSignals } from '../signals.js';

export type Lane = 'builds' | 'deployments';

/**
 * Two limits that know nothing of each other, so that a long build never delays a switch. Waiting for
 * a drain, or keeping a slot warm, holds no place in either.
 */
export class Lanes {
  readonly #queues: Readonly<Record<Lane, PQueue>>;

  constructor(concurrency: Settings['concurrency']) {
    this.#queues = {
      builds: new PQueue({ concurrency: concurrency.builds }),
      deployments: new PQueue({ concurrency: concurrency.deployments }),
    };
  }

  /**
   * Runs `work` when its lane has a place. Rejects with the signal's reason when aborted while it waits.
   * Once it runs, only the work itself decides what an abort means: the place is taken until it has ended.
   */
  async run<T>(lane: Lane | null, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    if (lane === null) return work();
    // The queue gives up on work that runs already, which would then go on behind everybody's back.
    const waiting = joinSignals(signal);
    try {
      return await this.#queues[lane].add(
        () => {
          waiting.release();
          return work();
        },
        { signal: waiting.signal },
      );
    } finally {
      waiting.release();
    }
  }
}
