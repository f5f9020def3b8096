import type { Clock } from '../clock.js';
import type { DesiredProjects } from '../desired-projects.js';
import type { Want } from '../resolve/want.js';
import type { StatusKeeper } from '../status-keeper.js';

/** What mirrors at hand can tell takes milliseconds; longer than this, a server is being waited for. */
const patienceMs = 500;

interface Late {
  readonly want: Promise<Want>;
  isKnown: boolean;
}

/**
 * What projects should be now. Where a server is slow the answer is `unknown` for the time being, so that
 * what runs is kept meanwhile, and `onKnown` hears of the project as soon as there is an answer.
 */
export class Resolutions {
  readonly #late = new Map<string, Late>();

  constructor(
    private readonly deps: {
      readonly desired: Pick<DesiredProjects, 'resolve'>;
      readonly clock: Clock;
      readonly status: Pick<StatusKeeper, 'fetching'>;
      readonly stopping: AbortSignal;
      onKnown(project: string): void;
    },
  ) {}

  /** Projects whose answer is still to come, or was not asked for again yet. */
  get size(): number {
    return this.#late.size;
  }

  /** Rejects as `DesiredProjects.resolve` does. */
  async resolve(project: string): Promise<Want> {
    const late = this.#late.get(project);
    if (late?.isKnown === false) return fetching;
    if (late !== undefined) {
      this.#late.delete(project);
      return late.want;
    }
    const want = this.deps.desired.resolve(project, this.deps.stopping);
    if (!(await this.#isSoonKnown(want))) {
      this.#wait(project, want);
      return fetching;
    }
    return want;
  }

  /** Something else is wanted by now: an answer to what was wanted before tells nothing any more. */
  forget(project: string): void {
    if (this.#late.delete(project)) this.deps.status.fetching(project, false);
  }

  /** Resolves when no answer is still to come. */
  async known(): Promise<void> {
    await Promise.allSettled([...this.#late.values()].map(({ want }) => want));
  }

  async #isSoonKnown(want: Promise<Want>): Promise<boolean> {
    return new Promise((resolve) => {
      const cancel = this.deps.clock.timer(patienceMs, () => resolve(false));
      const known = (): void => {
        cancel();
        resolve(true);
      };
      want.then(known, known);
    });
  }

  #wait(project: string, want: Promise<Want>): void {
    const { status } = this.deps;
    const late: Late = { want, isKnown: false };
    this.#late.set(project, late);
    status.fetching(project, true);
    const known = (): void => {
      late.isKnown = true;
      if (this.#late.get(project) !== late) return;
      status.fetching(project, false);
      this.deps.onKnown(project);
    };
    want.then(known, known);
  }
}

const fetching: Want = { kind: 'unknown', message: 'its source is being fetched' };
