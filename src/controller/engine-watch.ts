import type { Clock } from '../clock.js';
import { PointsmanError, isAbort, messageOf } from '../errors.js';
import type { Logger } from '../log.js';
import type { ContainerRuntime, RuntimeEvent } from '../runtime/port.js';
import type { StatusKeeper } from '../status-keeper.js';

/** Between attempts to reach an engine or an nginx that does not answer, doubled each time. */
export const reconnectMs = { first: 500, most: 10_000 };

export interface EngineWatchDeps {
  readonly runtime: ContainerRuntime;
  readonly status: StatusKeeper;
  readonly clock: Clock;
  readonly log: Logger;
  readonly stopping: AbortSignal;
  /** @throws PointsmanError AlreadyRunning */
  lock(engineId: string): Promise<void>;
  /** It answers, for the first time or again: nobody knows what happened meanwhile. */
  onFound(): Promise<void>;
  onEvent(event: RuntimeEvent): void;
}

/** The connection to the engine: found, listened to, lost, found again. */
export class EngineWatch {
  #isUp = false;

  constructor(private readonly deps: EngineWatchDeps) {}

  /** Whether the engine's events are being heard. */
  get isUp(): boolean {
    return this.#isUp;
  }

  /** Listens until `stopping` aborts. `onReached` is called when it was found the first time. */
  async run(onReached: () => void): Promise<void> {
    const { clock, status, log, stopping } = this.deps;
    let pause = reconnectMs.first;
    while (!stopping.aborted) {
      try {
        await this.#listen(() => {
          pause = reconnectMs.first;
          onReached();
        });
      } catch (error) {
        if (stopping.aborted || isAbort(error, stopping)) return;
        if (error instanceof PointsmanError && error.code === 'AlreadyRunning') throw error;
        this.#isUp = false;
        status.component('docker', messageOf(error));
        log.warn({ error: messageOf(error) }, 'docker does not answer');
      }
      await clock.sleep(pause, stopping);
      pause = Math.min(pause * 2, reconnectMs.most);
    }
  }

  async #listen(onReached: () => void): Promise<void> {
    const { runtime, status, stopping } = this.deps;
    const engine = await runtime.engine();
    await this.deps.lock(engine.id);
    const events = runtime.events(stopping)[Symbol.asyncIterator]();
    let next = events.next();
    // It may fail while nobody waits for it yet; whoever does hears of it all the same.
    next.catch(() => undefined);
    this.#isUp = true;
    status.component('docker', null);
    await this.deps.onFound();
    onReached();
    for (let event = await next; event.done !== true; event = await next) {
      this.deps.onEvent(event.value);
      next = events.next();
    }
  }
}
