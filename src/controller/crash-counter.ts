import type { Clock } from '../clock.js';
import { crashLoopExits, crashWindowMs } from '../plan/plan.js';

interface Exits {
  readonly container: string;
  /** Monotonic milliseconds, of those within the window, the newest `crashLoopExits` at most. */
  times: readonly number[];
  /** Exits since the loop began; 0: there is none. */
  inLoop: number;
}

/**
 * Counts how often live containers exited lately. Docker waits longer before each restart, up to a
 * minute, so that a loop soon has fewer exits within the window than it began with: it lasts until the
 * container has stayed up for the whole of it, or is another one.
 */
export class CrashCounter {
  readonly #exits = new Map<string, Exits>();

  constructor(private readonly clock: Clock) {}

  add(project: string, container: string): void {
    const known = this.#known(project, container);
    const times = [...this.#recent(known), this.clock.monotonic()].slice(-crashLoopExits);
    const before = known !== null && this.#isLoop(known) ? known.inLoop : 0;
    const begins = times.length >= crashLoopExits ? crashLoopExits : 0;
    this.#exits.set(project, { container, times, inLoop: before > 0 ? before + 1 : begins });
  }

  /** Of the container that is live: exits in the window, or since a loop began that still lasts. */
  count(project: string, container: string | null): number {
    const known = this.#known(project, container);
    if (known === null) return 0;
    return this.#isLoop(known) ? known.inLoop : this.#recent(known).length;
  }

  /** False when there were none. */
  forget(project: string): boolean {
    return this.#exits.delete(project);
  }

  #known(project: string, container: string | null): Exits | null {
    const known = this.#exits.get(project);
    return known?.container === container ? known : null;
  }

  #isLoop(exits: Exits): boolean {
    return exits.inLoop > 0 && this.#recent(exits).length > 0;
  }

  #recent(exits: Exits | null): readonly number[] {
    const since = this.clock.monotonic() - crashWindowMs;
    return (exits?.times ?? []).filter((at) => at >= since);
  }
}
