import type { ErrorCode } from '../errors.js';
import type { Slot } from '../manifest/project.js';

/**
 * Phases a deployment walks through, in this order, skipping what is not needed; then one outcome.
 * queued → fetching → building → releasing → starting → probing → switching → baking → active
 */
export type Phase =
  'queued' | 'fetching' | 'building' | 'releasing' | 'starting' | 'probing' | 'switching' | 'baking';
export type Outcome = 'active' | 'failed' | 'cancelled' | 'rolled-back';
export type SwitchCause = 'deploy' | 'rollback' | 'bake-failed' | 'repair';

/** What is appended; the journal adds `version`, `seq`, `at` and `crc`. */
export type JournalEntry =
  | {
      readonly type: 'controller';
      readonly detail: {
        readonly event: 'started' | 'stopped';
        readonly version: string;
        readonly pid: number;
      };
    }
  | {
      readonly type: 'sync';
      readonly configCommit: string;
      readonly detail: {
        readonly projects: number;
        readonly problems: number;
        readonly previous: string | null;
      };
    }
  | {
      readonly type: 'problem';
      readonly project?: string;
      readonly detail: { readonly code: string; readonly message: string };
    }
  | {
      readonly type: 'deployment';
      readonly project: string;
      readonly deployment: string;
      readonly from: Phase | null;
      readonly to: Phase | Outcome;
      readonly revision: string;
      readonly configCommit: string;
      readonly sourceCommit: string | null;
      readonly detail: DeploymentDetail;
    }
  | {
      readonly type: 'switch';
      readonly project: string;
      readonly deployment: string;
      readonly revision: string;
      readonly configCommit: string;
      readonly sourceCommit: string | null;
      readonly detail: {
        readonly from: Slot | null;
        readonly to: Slot;
        readonly cause: SwitchCause;
        readonly image: string;
      };
    }
  | {
      readonly type: 'previous';
      readonly project: string;
      readonly revision: string;
      readonly detail: {
        readonly event: 'drained' | 'retired';
        readonly slot: Slot;
        readonly inFlight: number | null;
      };
    }
  | {
      readonly type: 'drift';
      readonly project?: string;
      readonly detail: { readonly event: 'found' | 'done'; readonly what: string };
    }
  | {
      readonly type: 'removal';
      readonly project?: string;
      readonly configCommit: string;
      readonly detail: { readonly event: 'confirmed' | 'started' | 'done' };
    }
  | {
      readonly type: 'collect';
      readonly project?: string;
      readonly detail: { readonly images: readonly string[] };
    }
  /** A person asked to try a failed revision again: forgets the failure. */
  | { readonly type: 'retry'; readonly project: string; readonly detail: Readonly<Record<string, never>> }
  /** The whole memory: first record of a file that follows another one. Written by the journal itself. */
  | { readonly type: 'checkpoint'; readonly detail: CheckpointDetail };

export interface CheckpointDetail {
  /** Why a new file was begun: the old one was full, was damaged and set aside, or was taken away under our feet. */
  readonly reason: 'rotated' | 'damaged' | 'lost';
  readonly memory: MemoryState;
}

/** All that the journal remembers, as plain data. */
export interface MemoryState {
  readonly projects: Readonly<Record<string, ProjectMemory>>;
  /** Config commits whose removals were confirmed, newest last, at most 20. */
  readonly confirmed: readonly string[];
}

export interface DeploymentDetail {
  readonly slot?: Slot;
  /** Number of this attempt at this revision, from 1. */
  readonly attempt?: number;
  readonly isRollback?: boolean;
  readonly reason?: ErrorCode;
  readonly message?: string;
  /** Final for this revision: no further attempt by itself. */
  readonly final?: boolean;
  /** The revision failed its bake and is not tried again. */
  readonly rejected?: boolean;
  readonly nextRetryAt?: string;
  /** Last lines of the container's or build's output. */
  readonly tail?: readonly string[];
  /** Milliseconds per phase, with the outcome. */
  readonly phases?: Readonly<Partial<Record<Phase, number>>>;
}

export type JournalRecord = JournalEntry & {
  readonly version: 1;
  readonly seq: number;
  /** ISO time. */
  readonly at: string;
};

/** Append-only history. */
export interface Journal {
  /** Memory folded from what the file held at opening and every record since. */
  readonly memory: JournalMemory;
  /**
   * Durable when it resolves; applied to `memory`. Concurrent appends share an fsync.
   * @throws PointsmanError JournalUnwritable
   */
  append(entry: JournalEntry): Promise<JournalRecord>;
  /** Null while appends succeed; otherwise why the last one did not. */
  readonly fault: string | null;
  /** What was wrong with the file found at opening, and where it was set aside; null when it was sound. */
  readonly damage: string | null;
  close(): Promise<void>;
}

/** What nothing but the journal can tell (SPEC section 8). Read-only to everybody else. */
export interface JournalMemory {
  project(name: string): ProjectMemory;
  /** Names that have a memory. */
  projects(): readonly string[];
  /** Config commits whose removals were confirmed. */
  isConfirmed(configCommit: string): boolean;
}

export interface ProjectMemory {
  /** Of the newest revision tried; forgotten when another revision is tried, one becomes active, or on retry. */
  readonly failure: {
    readonly revision: string;
    readonly deployment: string;
    readonly reason: ErrorCode;
    readonly message: string;
    /** Attempts so far at this revision. */
    readonly attempts: number;
    readonly final: boolean;
    readonly rejected: boolean;
    /** ISO time; null when final. */
    readonly nextRetryAt: string | null;
  } | null;
  /** A deployment without an outcome. */
  readonly open: {
    readonly deployment: string;
    readonly revision: string;
    readonly configCommit: string;
    readonly sourceCommit: string | null;
    readonly phase: Phase;
    readonly slot: Slot | null;
    readonly attempt: number;
    readonly isRollback: boolean;
    /** ISO time. */
    readonly startedAt: string;
  } | null;
  /** Revisions that were live (became active), newest last, at most 50. */
  readonly wasLive: readonly string[];
  /** The deployment with an outcome that ended last. */
  readonly last: {
    readonly deployment: string;
    readonly revision: string;
    readonly outcome: Outcome;
    readonly startedAt: string;
    readonly finishedAt: string;
    readonly phases: Readonly<Partial<Record<Phase, number>>>;
  } | null;
  /** Slot and revision whose drain ended, while it is the previous one. */
  readonly drained: { readonly slot: Slot; readonly revision: string } | null;
  /** ISO time of the last switch, and what it left behind; null when it never switched. */
  readonly switched: {
    readonly at: string;
    readonly from: Slot | null;
    readonly to: Slot;
    readonly revision: string;
  } | null;
}

/** The empty memory, for projects the journal does not know. */
export const noMemory: ProjectMemory = {
  failure: null,
  open: null,
  wasLive: [],
  last: null,
  drained: null,
  switched: null,
};
