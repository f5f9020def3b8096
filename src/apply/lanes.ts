import PQueue from 'p-queue';
import type { Settings } from '../settings/settings.js';

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

  /** Runs `work` when its lane has a place. Rejects with the signal's reason when aborted while it waits. */
  async run<T>(lane: Lane | null, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    if (lane === null) return work();
    return this.#queues[lane].add(work, { signal });
  }
}
