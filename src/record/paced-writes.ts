import type { Clock } from '../clock.js';

/**
 * A write waits so many times as long as the one before took, within these bounds: changes that follow each
 * other share a write, with many projects more of them, and what a deployment does meanwhile is not held up by
 * one write after the other. Around a switch three changes come within 20 ms.
 */
const pacing = { leastMs: 20, times: 4, mostMs: 1_000 };

/** Writes that overlap never and coalesce always. `write` never rejects. */
export class PacedWrites {
  #isAsked = false;
  #isLast = false;
  /** How long the last write took, milliseconds. */
  #tookMs = 0;
  #writing: Promise<void> | null = null;
  #now: () => void = () => undefined;

  constructor(
    private readonly clock: Clock,
    private readonly write: () => Promise<void>,
  ) {}

  /** Whatever has changed up to now will be written. */
  ask(): void {
    this.#isAsked = true;
    this.#writing ??= this.#writeAll();
  }

  /** Writes once more, at once. */
  async last(): Promise<void> {
    this.#isLast = true;
    this.ask();
    this.#now();
    await this.#writing;
  }

  async #writeAll(): Promise<void> {
    while (this.#isAsked) {
      await this.#turn();
      this.#isAsked = false;
      const startedAt = this.clock.monotonic();
      await this.write();
      this.#tookMs = this.clock.monotonic() - startedAt;
    }
    // In the same turn as the last look at `#isAsked`: a later change would find nobody to write it.
    this.#writing = null;
  }

  async #turn(): Promise<void> {
    const paceMs = Math.min(Math.max(pacing.leastMs, pacing.times * this.#tookMs), pacing.mostMs);
    const pauseMs = this.#isLast ? 0 : paceMs;
    await new Promise<void>((resolve) => {
      const cancel = this.clock.timer(pauseMs, resolve);
      this.#now = () => {
        cancel();
        resolve();
      };
    });
    this.#now = () => undefined;
  }
}
