import type { Clock } from '../clock.js';
import { isAbort, messageOf } from '../errors.js';
import type { Logger } from '../log.js';

/** Work beside the passes. It ends when `stopping` aborts; what fails otherwise ends the controller. */
export class Background {
  readonly #works = new Set<Promise<void>>();
  #fatal: Error | null = null;
  #onFatal: () => void = () => undefined;

  constructor(
    private readonly deps: { readonly clock: Clock; readonly log: Logger; readonly stopping: AbortSignal },
  ) {}

  add(work: Promise<void>): void {
    const { log, stopping } = this.deps;
    const guarded = work.catch((error: unknown) => {
      if (isAbort(error, stopping)) return;
      log.error({ error: messageOf(error) }, 'background work failed');
      this.#fatal ??= error instanceof Error ? error : new Error(String(error));
      this.#onFatal();
    });
    this.#works.add(guarded);
    void guarded.then(() => this.#works.delete(guarded));
  }

  /** Again and again, `pauseMs` after the last time ended; it is told which time, from 1, comes next. */
  repeat(pauseMs: (time: number) => number, work: () => Promise<void>): void {
    const { clock, stopping } = this.deps;
    const loop = async (): Promise<void> => {
      for (let time = 1; ; time += 1) {
        await clock.sleep(pauseMs(time), stopping);
        await work();
      }
    };
    this.add(loop());
  }

  /** Resolves when something failed. */
  async failed(): Promise<void> {
    if (this.#fatal !== null) return;
    await new Promise<void>((resolve) => (this.#onFatal = resolve));
  }

  /** @throws what failed first */
  throwFailure(): void {
    if (this.#fatal !== null) throw this.#fatal;
  }

  /** Resolves when all has ended. */
  async settled(): Promise<void> {
    await Promise.all(this.#works);
  }
}
