import type { ErrorCode } from '../errors.js';
import type { Policy } from '../manifest/policy.js';
import type { Project, Slot } from '../manifest/project.js';
import type { Identity, Observed } from '../observe/observed.js';
import type { Phase, ProjectMemory } from '../record/port.js';
import type { Want } from '../resolve/want.js';
import type { Site } from '../router/port.js';
import type { Draining } from './previous.js';

export interface PlanInput {
  readonly project: string;
  readonly want: Want;
  readonly observed: Observed;
  readonly memory: ProjectMemory;
  /** What may start on this server. */
  readonly policy: Policy;
  /** A site file was asked for and waits for its turn. */
  readonly sitePending: boolean;
  /** Exits of the live container within `crashWindowMs`, or since a crash loop began that still lasts. */
  readonly recentExits: number;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** Six exits in five minutes are a crash loop (SPEC section 10). */
export const crashLoopExits = 6;
export const crashWindowMs = 5 * 60_000;

export interface Plan {
  readonly project: string;
  /** In order. Empty: nothing to do. */
  readonly steps: readonly Step[];
  readonly state: PlanState;
  /** Set when something keeps the project from where it should be. */
  readonly blocked: { readonly code: ErrorCode; readonly message: string } | null;
  /** Milliseconds since the epoch at which looking again is worth it without any event. */
  readonly wakeAt: number | null;
}

/** `gone`: nothing is wanted and nothing is there. */
export type PlanState = 'live' | 'progressing' | 'failed' | 'suspended' | 'invalid' | 'removing' | 'gone';

export type Step =
  | { readonly kind: 'close'; readonly deployment: string; readonly why: string }
  | {
      readonly kind: 'restore-switch';
      readonly slot: Slot;
      readonly identity: Identity;
      readonly why: string;
    }
  | { readonly kind: 'settle-switch'; readonly slot: Slot; readonly identity: Identity; readonly why: string }
  | { readonly kind: 'recreate'; readonly slot: Slot; readonly identity: Identity; readonly why: string }
  | { readonly kind: 'start'; readonly slot: Slot; readonly container: string; readonly why: string }
  | {
      readonly kind: 'set-restart-policy';
      readonly slot: Slot;
      readonly container: string;
      readonly policy: 'no' | 'unless-stopped';
      readonly why: string;
    }
  | { readonly kind: 'site'; readonly site: Site; readonly drift: boolean; readonly why: string }
  | { readonly kind: 'pull'; readonly reference: string; readonly tag: string; readonly why: string }
  | DeployStep
  | {
      readonly kind: 'switch-back';
      readonly slot: Slot;
      readonly identity: Identity;
      readonly container: string;
      readonly why: string;
    }
  | ({ readonly kind: 'drain'; readonly why: string } & Draining)
  | {
      readonly kind: 'remove';
      readonly role: Slot | 'release';
      readonly container: string;
      readonly stopTimeoutMs: number;
      readonly retires: string | null;
      readonly why: string;
    }
  | { readonly kind: 'forget-failure'; readonly why: string }
  /** `configCommit`: the one without its manifest. */
  | { readonly kind: 'unroute'; readonly configCommit: string; readonly why: string }
  | {
      readonly kind: 'empty-slots';
      readonly upstreams: readonly string[];
      readonly drainMs: number;
      readonly why: string;
    }
  | { readonly kind: 'clear-switch'; readonly why: string }
  | { readonly kind: 'remove-network'; readonly why: string };

/** One deployment: the attempt to make `target` live in `slot`, by the phases it still needs. */
export interface DeployStep {
  readonly kind: 'deploy';
  readonly slot: Slot;
  readonly target: DeployTarget;
  readonly phases: readonly DeployPhase[];
  readonly cause: 'deploy' | 'rollback';
  /** This revision was live before. */
  readonly isRollback: boolean;
  /** Number of this attempt at this revision, from 1. */
  readonly attempt: number;
  /** The deployment that an earlier life of the controller left open and this one goes on with. */
  readonly resumes: { readonly deployment: string; readonly phase: Phase } | null;
  readonly why: string;
}

/**
 * The journal's phases, and two that are part of them: `clearing` (of the phase before it) waits for the
 * slot's drain and empties it; `routing` (of `switching`) waits for the first site file.
 */
export type DeployPhase = Exclude<Phase, 'queued' | 'fetching'> | 'clearing' | 'routing';

export interface DeployTarget {
  readonly project: Project;
  readonly revision: string;
  readonly imageKey: string;
  readonly tag: string;
  readonly image: string | null;
  readonly tree: string | null;
  readonly configCommit: string;
  readonly sourceCommit: string | null;
}
