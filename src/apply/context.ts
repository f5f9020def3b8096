import type { Clock } from '../clock.js';
import type { Logger } from '../log.js';
import type { Observed } from '../observe/observed.js';
import type { Journal, Outcome, Phase } from '../record/port.js';
import type { SecretFiles } from '../resolve/secrets.js';
import type { Want } from '../resolve/want.js';
import type { Router } from '../router/port.js';
import type { ContainerRuntime } from '../runtime/port.js';
import type { Settings } from '../settings/settings.js';
import { joinSignals } from '../signals.js';
import type { JoinedSignal } from '../signals.js';
import type { SourceRepository } from '../source/port.js';
import type { LogStore } from './deployment-log.js';
import type { Drains } from './drain.js';
import type { Lanes } from './lanes.js';
import type { Prober } from './prober.js';
import type { RouteBatcher } from './route-batcher.js';

/** What every step may use. */
export interface ApplyDeps {
  readonly settings: Settings;
  readonly runtime: ContainerRuntime;
  readonly router: Router;
  readonly sources: SourceRepository;
  readonly secrets: SecretFiles;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly log: Logger;
  readonly routes: RouteBatcher;
  readonly drains: Drains;
  readonly lanes: Lanes;
  readonly prober: Prober;
  readonly deploymentLogs: LogStore;
}

/** What one pass hands to its steps. */
export interface PassContext extends ApplyDeps {
  readonly project: string;
  /** As of the beginning of this round. */
  readonly observed: Observed;
  /** Aborts when the controller stops; what is open is gone on with at the next start. */
  readonly stopping: AbortSignal;
  /** The deployment in hand, for whoever wants to supersede it. */
  readonly attempt: AttemptSlot;
  /** Tells status and terminal what is going on. */
  report(progress: Progress): void;
  /** Tells status where traffic goes, with what else was there a moment ago; a look that fails is left to the next pass. */
  showRoute(observed: Observed): Promise<void>;
}

export interface Progress {
  /** Null: nothing is going on any more. */
  readonly phase: Phase | null;
  /** How it ended, with `phase` null. */
  readonly outcome?: Outcome;
  /** Build step or the like. */
  readonly step?: string;
}

/** Aborts a deployment that has not switched yet. */
export class Superseded extends Error {
  override readonly name = 'Superseded';

  constructor(readonly by: string) {
    super(`superseded by ${by}`);
  }
}

/** One deployment in hand. Until the switch it can be taken back by whoever wants something newer. */
export class Attempt {
  readonly #abort = new AbortController();
  readonly #either: JoinedSignal;
  readonly #listeners = new Set<() => void>();
  #switched = false;
  #newer: Want | null = null;

  constructor(
    readonly revision: string,
    stopping: AbortSignal,
  ) {
    this.#either = joinSignals(this.#abort.signal, stopping);
  }

  /** For everything before the switch. */
  get signal(): AbortSignal {
    return this.#either.signal;
  }

  /** It is in hand no more. */
  end(): void {
    this.#either.release();
  }

  get isSwitched(): boolean {
    return this.#switched;
  }

  /** What is wanted instead by now. */
  get newer(): Want | null {
    return this.#newer;
  }

  /** From here on the deployment ends its bake. @throws Superseded when it was just before */
  pointOfNoReturn(): void {
    this.signal.throwIfAborted();
    this.#switched = true;
  }

  supersede(want: Want): void {
    this.#newer = want;
    if (!this.#switched) this.#abort.abort(new Superseded(describe(want)));
    for (const listener of this.#listeners) listener();
  }

  /** Calls `listener` at each `supersede`, until the returned function is called. */
  onSupersede(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

function describe(want: Want): string {
  switch (want.kind) {
    case 'resolved':
      return want.project.suspend ? 'suspend' : `revision ${want.revision}`;
    case 'unpulled':
      return 'another image';
    case 'absent':
      return 'the removal of its manifest';
    case 'unresolved':
      return want.project.suspend ? 'suspend' : 'another manifest';
    case 'invalid':
    case 'unknown':
      return 'another manifest';
  }
}

/** Holds the attempt in hand, if any. */
export interface AttemptSlot {
  current: Attempt | null;
  /** Something else may be wanted since this round of the pass looked: no deployment begins before the next look. */
  changed: boolean;
}
