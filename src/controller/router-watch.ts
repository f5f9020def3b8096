import { recordIfPossible } from '../apply/record.js';
import type { Clock } from '../clock.js';
import { isAbort, messageOf } from '../errors.js';
import type { Logger } from '../log.js';
import type { Journal } from '../record/port.js';
import type { Router } from '../router/port.js';
import type { StatusKeeper } from '../status-keeper.js';
import { reconnectMs } from './engine-watch.js';

export interface RouterWatchDeps {
  readonly router: Router;
  readonly status: StatusKeeper;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly log: Logger;
  readonly stopping: AbortSignal;
}

/** nginx laid out, started and kept as it should be. Status says what it lacks. */
export class RouterWatch {
  #isDown = false;

  constructor(private readonly deps: RouterWatchDeps) {}

  /** Resolves to whether it runs. */
  async start(): Promise<boolean> {
    const { router, log, stopping } = this.deps;
    try {
      await router.start(stopping);
      this.#tell(null);
      return true;
    } catch (error) {
      stopping.throwIfAborted();
      this.#tell(messageOf(error));
      log.error({ error: messageOf(error) }, 'nginx cannot be started');
      return false;
    }
  }

  /** Tries until it runs. */
  async keepStarting(): Promise<void> {
    const { clock, stopping } = this.deps;
    let pause = reconnectMs.first;
    do {
      await clock.sleep(pause, stopping);
      pause = Math.min(pause * 2, reconnectMs.most);
    } while (!(await this.start()));
  }

  /** Resolves to whether it answers again, after it did not. */
  async repair(): Promise<boolean> {
    const { router, log, stopping } = this.deps;
    const wasDown = this.#isDown;
    try {
      const { health, repaired } = await router.repair(stopping);
      this.#tell(health.ok ? null : (health.message ?? 'nginx does not answer'));
      for (const what of repaired) {
        log.warn({ what }, 'nginx repaired');
        await recordIfPossible(this.deps, { type: 'drift', detail: { event: 'done', what } });
      }
    } catch (error) {
      if (isAbort(error, stopping)) return false;
      this.#tell(messageOf(error));
      log.error({ error: messageOf(error) }, 'nginx could not be repaired');
    }
    return wasDown && !this.#isDown;
  }

  #tell(trouble: string | null): void {
    this.#isDown = trouble !== null;
    this.deps.status.component('nginx', trouble);
  }
}
