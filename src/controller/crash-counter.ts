import type { Clock } from '../clock.js';
import { crashLoopExits, crashWindowMs } from '../plan/plan.js';

/** Counts how often live containers exited lately. */
export class CrashCounter {
  readonly #exits = new Map<string, number[]>();

  constructor(private readonly clock: Clock) {}

  add(project: string): void {
    this.#exits.set(project, [...this.#recent(project), this.clock.monotonic()].slice(-crashLoopExits));
  }

  count(project: string): number {
    return this.#recent(project).length;
  }

  forget(project: string): void {
    this.#exits.delete(project);
  }

  #recent(project: string): number[] {
    const since = this.clock.monotonic() - crashWindowMs;
    return (this.#exits.get(project) ?? []).filter((at) => at >= since);
  }
}
