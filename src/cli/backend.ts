import type { Logger } from '../log.js';
import type { Slot } from '../manifest/project.js';
import type { Problem } from '../manifest/project.js';
import type { LogChunk } from '../runtime/port.js';
import type { Settings } from '../settings/settings.js';
import type { ProgressEvent } from '../status-keeper.js';

/** What commands need of the controller's inside. The composition provides it; tests give their own. */
export interface CommandBackend {
  /**
   * Runs the controller: one sync with `once`, else until `signal` aborts.
   * Resolves to the exit code: 0 when all is live or suspended (or when it was asked to stop), else 1.
   * @throws PointsmanError AlreadyRunning
   */
  run(settings: Settings, options: RunOptions): Promise<number>;
  /** What the next pass would do. Changes nothing but the mirrors. */
  plan(settings: Settings, options: PlanOptions): Promise<PlanReport>;
  /** Output of the container in `slot`; of the live one when it is null. @throws PointsmanError NotRunning when there is none */
  logs(settings: Settings, options: ContainerLogOptions): AsyncIterable<LogChunk>;
  /** The commit at the tip of the followed branch, asked of the remote. @throws PointsmanError SourceUnreachable, RefMissing … */
  configTip(settings: Settings, signal: AbortSignal): Promise<string>;
}

export interface RunOptions {
  readonly once: boolean;
  readonly log: Logger;
  readonly onProgress: (event: ProgressEvent) => void;
  /** Aborts at the first SIGINT or SIGTERM: the action in hand is left safely. */
  readonly signal: AbortSignal;
  /** Of Pointsman. */
  readonly version: string;
}

export interface PlanOptions {
  /** Where the manifests are read. */
  readonly from:
    | { readonly kind: 'tip' }
    | { readonly kind: 'commit'; readonly commit: string }
    /** Absolute path of a folder. */
    | { readonly kind: 'folder'; readonly folder: string };
  readonly log: Logger;
  readonly signal: AbortSignal;
}

export interface PlanReport {
  /** Commit of the config repository; null for a folder. */
  readonly commit: string | null;
  readonly projects: readonly PlannedProject[];
  readonly problems: readonly Problem[];
  /** Names that the plan would remove. */
  readonly removals: readonly string[];
  /** Why removals are held back; null when they are not. */
  readonly removalsHeldBecause: string | null;
}

export interface PlannedProject {
  readonly project: string;
  /** In one word, as in status. */
  readonly state: string;
  /** In order; empty when there is nothing to do. */
  readonly steps: readonly { readonly action: string; readonly why: string }[];
  readonly blocked: { readonly code: string; readonly message: string } | null;
}

export interface ContainerLogOptions {
  readonly project: string;
  readonly slot: Slot | null;
  readonly follow: boolean;
  /** Lines from the end; null for all. */
  readonly tail: number | null;
  readonly signal: AbortSignal;
}
