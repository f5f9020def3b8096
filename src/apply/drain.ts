import type { Clock } from '../clock.js';
import { isAbort, messageOf } from '../errors.js';
import type { Logger } from '../log.js';
import type { Slot } from '../manifest/project.js';
import type { Draining } from '../plan/previous.js';
import type { Journal } from '../record/port.js';
import type { Router } from '../router/port.js';
import type { ContainerRuntime } from '../runtime/port.js';
import { joinSignals, onAbort } from '../signals.js';

/**
 * Pauses between counts of connections, which have no event to wait for. One that has answered its last
 * request stays open for nginx's `keepalive_timeout` of 2 s: where there is any at first, a count before
 * that finds nothing new as a rule. A count takes 2 ms on an idle machine and 8 ms among 6,000 connections
 * that have just ended, of which the kernel lists every one; what is being served keeps the processor.
 */
const countAfterMs = { first: 2_200, then: 1_000, timesTaken: 20 };

export interface DrainRequest extends Draining {
  readonly project: string;
}

interface Drain extends DrainRequest {
  readonly abort: AbortController;
  inFlight: number | null;
  done: Promise<void>;
}

/**
 * Waits, beside everything else, until slots that lost their traffic have answered their last request.
 * Drained means: every nginx worker of the time of the switch was seen asleep since (or is gone), so that
 * requests which chose their slot before it have connected, and no connection from nginx to the slot is
 * left; or `drainMs` passed. Then its container does not restart by itself any more.
 */
export class Drains {
  readonly #drains = new Map<string, Drain>();

  constructor(
    private readonly deps: {
      readonly router: Pick<Router, 'barrier' | 'inFlight'>;
      readonly runtime: Pick<ContainerRuntime, 'setRestartPolicy'>;
      readonly journal: Journal;
      readonly clock: Clock;
      readonly log: Logger;
    },
    private readonly onDrained: (project: string) => void,
  ) {}

  /** Begins to drain; one that is on already for this slot and revision goes on. */
  start(request: DrainRequest): void {
    const current = this.#drains.get(request.project);
    if (current?.slot === request.slot && current.revision === request.revision) return;
    current?.abort.abort();
    const drain: Drain = {
      ...request,
      abort: new AbortController(),
      inFlight: null,
      done: Promise.resolve(),
    };
    this.#drains.set(request.project, drain);
    drain.done = this.#run(drain);
  }

  /** The drain that is on, for status. */
  state(project: string): { readonly slot: Slot; readonly inFlight: number | null } | null {
    const drain = this.#drains.get(project);
    return drain === undefined ? null : { slot: drain.slot, inFlight: drain.inFlight };
  }

  /** Gives up on the slot's drain: it gets its traffic back, or is gone. */
  async cancel(project: string): Promise<void> {
    const drain = this.#drains.get(project);
    if (drain === undefined) return;
    drain.abort.abort();
    await drain.done;
  }

  /** Resolves when the project drains nothing; rejects when aborted before, and the drain goes on. */
  async settled(project: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const drain = this.#drains.get(project);
    if (drain === undefined) return;
    await new Promise<void>((resolve, reject) => {
      const stopListening = onAbort(signal, () => reject(signal.reason as Error));
      void drain.done.then(() => {
        stopListening();
        resolve();
      });
    });
  }

  /** Resolves when all drains that are on now have ended. */
  async allSettled(): Promise<void> {
    await Promise.all([...this.#drains.values()].map((drain) => drain.done));
  }

  get active(): number {
    return this.#drains.size;
  }

  async close(): Promise<void> {
    const drains = [...this.#drains.values()];
    for (const drain of drains) drain.abort.abort();
    await Promise.all(drains.map((drain) => drain.done));
  }

  async #run(drain: Drain): Promise<void> {
    const { project, slot, revision } = drain;
    let recorded = false;
    try {
      await this.untilEmpty(
        [drain.upstream],
        drain.drainMs,
        drain.abort.signal,
        (count) => (drain.inFlight = count),
      );
      drain.abort.signal.throwIfAborted();
      await this.#letGo(drain);
      drain.abort.signal.throwIfAborted();
      await this.deps.journal.append({
        type: 'previous',
        project,
        revision,
        detail: { event: 'drained', slot, inFlight: drain.inFlight },
      });
      recorded = true;
      this.deps.log.info({ project, slot, revision, inFlight: drain.inFlight }, 'slot drained');
    } catch (error) {
      if (!isAbort(error, drain.abort.signal)) {
        this.deps.log.warn({ project, slot, error: messageOf(error) }, 'drain could not be recorded');
      }
    } finally {
      if (this.#drains.get(project) === drain) this.#drains.delete(project);
      if (recorded) this.onDrained(project);
    }
  }

  /** Where it cannot be done, the next pass sees that it is not. */
  async #letGo({ project, slot, container }: Drain): Promise<void> {
    try {
      await this.deps.runtime.setRestartPolicy(container, 'no');
    } catch (error) {
      const why = messageOf(error);
      this.deps.log.warn({ project, slot, error: why }, 'the drained container restarts by itself');
    }
  }

  /** Resolves when nothing is in flight to any of these, or after `longestMs`. */
  async untilEmpty(
    upstreams: readonly string[],
    longestMs: number,
    signal: AbortSignal,
    onCount: (inFlight: number | null) => void,
  ): Promise<void> {
    const { clock, router } = this.deps;
    const deadline = new AbortController();
    const cancelTimer = clock.timer(longestMs, () => deadline.abort());
    const bounded = joinSignals(signal, deadline.signal);
    try {
      await router.barrier(bounded.signal);
      for (let pauseMs = countAfterMs.first; ; pauseMs = countAfterMs.then) {
        const startedAt = clock.monotonic();
        const count = await this.#count(upstreams);
        onCount(count);
        if (count === 0) return;
        const takenMs = clock.monotonic() - startedAt;
        await clock.sleep(Math.max(pauseMs, countAfterMs.timesTaken * takenMs), bounded.signal);
      }
    } catch (error) {
      signal.throwIfAborted();
      if (deadline.signal.aborted) return;
      this.deps.log.warn(
        { upstreams, error: messageOf(error) },
        'connections cannot be counted, waiting the whole drain',
      );
      await clock.sleep(longestMs, bounded.signal).catch(() => signal.throwIfAborted());
    } finally {
      cancelTimer();
      bounded.release();
    }
  }

  async #count(upstreams: readonly string[]): Promise<number | null> {
    const counts = await Promise.all(upstreams.map((upstream) => this.deps.router.inFlight(upstream)));
    return counts.reduce<number | null>(
      (sum, count) => (sum === null || count === null ? null : sum + count),
      0,
    );
  }
}
