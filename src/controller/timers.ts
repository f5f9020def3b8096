import type { Clock } from '../clock.js';

/** Why a project is looked at again without any event. */
export type TimerKind = 'retry' | 'retire' | 'fault';

/** At most one timer per project. */
export class Timers {
  readonly #timers = new Map<string, { readonly kind: TimerKind; readonly cancel: () => void }>();

  constructor(
    private readonly clock: Clock,
    private readonly onDue: (project: string) => void,
  ) {}

  set(project: string, delayMs: number, kind: TimerKind): void {
    this.cancel(project);
    const cancel = this.clock.timer(Math.max(0, delayMs), () => {
      this.#timers.delete(project);
      this.onDue(project);
    });
    this.#timers.set(project, { kind, cancel });
  }

  cancel(project: string): void {
    this.#timers.get(project)?.cancel();
    this.#timers.delete(project);
  }

  pending(kind: TimerKind): number {
    return [...this.#timers.values()].filter((timer) => timer.kind === kind).length;
  }

  close(): void {
    for (const project of [...this.#timers.keys()]) this.cancel(project);
  }
}
