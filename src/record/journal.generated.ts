// Generated from the schema by `npm run generate`: change the schema instead.

/**
 * One line of `<stateDir>/journal.jsonl`: append-only, each line durable before the effect that it announces.
 */
export type JournalLine =
  | ControllerRecord
  | SyncRecord
  | ProblemRecord
  | DeploymentRecord
  | SwitchRecord
  | PreviousRecord
  | DriftRecord
  | RemovalRecord
  | CollectRecord
  | RetryRecord
  | CheckpointRecord;
/**
 * A phase of a deployment.
 */
export type JournalPhase =
  'queued' | 'fetching' | 'building' | 'releasing' | 'starting' | 'probing' | 'switching' | 'baking';
/**
 * How a deployment ended.
 */
export type JournalOutcome = 'active' | 'failed' | 'cancelled' | 'rolled-back';
/**
 * Which of the two places a project's container stands in.
 */
export type JournalSlot = 'blue' | 'green';

/**
 * The controller started or stopped.
 */
export interface ControllerRecord {
  /**
   * Of this format.
   */
  version: 1;
  /**
   * Sequence number: one more than the record before.
   */
  seq: number;
  /**
   * When it was appended. ISO 8601, UTC.
   */
  at: string;
  type: 'controller';
  /**
   * Which, and who.
   */
  detail: {
    /**
     * What it did.
     */
    event: 'started' | 'stopped';
    /**
     * Version of Pointsman.
     */
    version: string;
    /**
     * Process id.
     */
    pid: number;
  };
  /**
   * CRC-32, in hex, of the line as it would be without this field. Always the last field.
   */
  crc: string;
}
/**
 * A new commit of the config repository was read.
 */
export interface SyncRecord {
  /**
   * Of this format.
   */
  version: 1;
  /**
   * Sequence number: one more than the record before.
   */
  seq: number;
  /**
   * When it was appended. ISO 8601, UTC.
   */
  at: string;
  type: 'sync';
  /**
   * Commit of the config repository.
   */
  configCommit: string;
  /**
   * What it holds.
   */
  detail: {
    /**
     * Valid projects.
     */
    projects: number;
    /**
     * Problems.
     */
    problems: number;
    /**
     * The commit before; null for the first.
     */
    previous: string | null;
  };
  /**
   * CRC-32, in hex, of the line as it would be without this field. Always the last field.
   */
  crc: string;
}
/**
 * Something that a person has to mend.
 */
export interface ProblemRecord {
  /**
   * Of this format.
   */
  version: 1;
  /**
   * Sequence number: one more than the record before.
   */
  seq: number;
  /**
   * When it was appended. ISO 8601, UTC.
   */
  at: string;
  type: 'problem';
  /**
   * Name of the project.
   */
  project?: string;
  /**
   * What.
   */
  detail: {
    /**
     * Its code.
     */
    code: string;
    /**
     * What is wrong and how to mend it.
     */
    message: string;
  };
  /**
   * CRC-32, in hex, of the line as it would be without this field. Always the last field.
   */
  crc: string;
}
/**
 * A deployment went on to a phase or ended.
 */
export interface DeploymentRecord {
  /**
   * Of this format.
   */
  version: 1;
  /**
   * Sequence number: one more than the record before.
   */
  seq: number;
  /**
   * When it was appended. ISO 8601, UTC.
   */
  at: string;
  type: 'deployment';
  /**
   * Name of the project.
   */
  project: string;
  /**
   * Id of the deployment.
   */
  deployment: string;
  /**
   * The phase before; null when it begins.
   */
  from: JournalPhase | null;
  /**
   * The phase that begins, or the outcome.
   */
  to: JournalPhase | JournalOutcome;
  /**
   * Content hash of everything that decides what runs.
   */
  revision: string;
  /**
   * Commit of the config repository.
   */
  configCommit: string;
  /**
   * Commit of the application's repository; null for projects with `image`.
   */
  sourceCommit: string | null;
  /**
   * What there is to say of this step.
   */
  detail: {
    slot?: JournalSlot;
    /**
     * Number of this attempt at this revision.
     */
    attempt?: number;
    /**
     * This revision was live before.
     */
    isRollback?: boolean;
    /**
     * Code of what failed, like `BuildFailed`.
     */
    reason?: string;
    /**
     * What failed and how to mend it.
     */
    message?: string;
    /**
     * No further attempt at this revision by itself.
     */
    final?: boolean;
    /**
     * The revision failed its bake and is not tried again by itself.
     */
    rejected?: boolean;
    /**
     * When the next attempt begins. ISO 8601, UTC.
     */
    nextRetryAt?: string;
    /**
     * Last lines of the container's or the build's output.
     */
    tail?: string[];
    phases?: JournalPhases;
  };
  /**
   * CRC-32, in hex, of the line as it would be without this field. Always the last field.
   */
  crc: string;
}
/**
 * Milliseconds per phase; a phase that was skipped is left out.
 */
export interface JournalPhases {
  /**
   * Milliseconds spent queued.
   */
  queued?: number;
  /**
   * Milliseconds spent fetching.
   */
  fetching?: number;
  /**
   * Milliseconds spent building.
   */
  building?: number;
  /**
   * Milliseconds spent releasing.
   */
  releasing?: number;
  /**
   * Milliseconds spent starting.
   */
  starting?: number;
  /**
   * Milliseconds spent probing.
   */
  probing?: number;
  /**
   * Milliseconds spent switching.
   */
  switching?: number;
  /**
   * Milliseconds spent baking.
   */
  baking?: number;
}
/**
 * Traffic is about to move from slot to slot.
 */
export interface SwitchRecord {
  /**
   * Of this format.
   */
  version: 1;
  /**
   * Sequence number: one more than the record before.
   */
  seq: number;
  /**
   * When it was appended. ISO 8601, UTC.
   */
  at: string;
  type: 'switch';
  /**
   * Name of the project.
   */
  project: string;
  /**
   * Id of the deployment.
   */
  deployment: string;
  /**
   * Content hash of everything that decides what runs.
   */
  revision: string;
  /**
   * Commit of the config repository.
   */
  configCommit: string;
  /**
   * Commit of the application's repository; null for projects with `image`.
   */
  sourceCommit: string | null;
  /**
   * Where to, and why.
   */
  detail: {
    from: JournalSlot | null;
    to: JournalSlot;
    /**
     * Why.
     */
    cause: 'deploy' | 'rollback' | 'bake-failed' | 'repair';
    /**
     * Image id.
     */
    image: string;
  };
  /**
   * CRC-32, in hex, of the line as it would be without this field. Always the last field.
   */
  crc: string;
}
/**
 * What became of the slot that lost its traffic.
 */
export interface PreviousRecord {
  /**
   * Of this format.
   */
  version: 1;
  /**
   * Sequence number: one more than the record before.
   */
  seq: number;
  /**
   * When it was appended. ISO 8601, UTC.
   */
  at: string;
  type: 'previous';
  /**
   * Name of the project.
   */
  project: string;
  /**
   * Content hash of everything that decides what runs.
   */
  revision: string;
  /**
   * What.
   */
  detail: {
    /**
     * `drained`: no request is left on it. `retired`: stopped and removed.
     */
    event: 'drained' | 'retired';
    slot: JournalSlot;
    /**
     * Requests still open when the wait ended; null when they could not be counted.
     */
    inFlight: number | null;
  };
  /**
   * CRC-32, in hex, of the line as it would be without this field. Always the last field.
   */
  crc: string;
}
/**
 * Something that serves was changed by somebody else.
 */
export interface DriftRecord {
  /**
   * Of this format.
   */
  version: 1;
  /**
   * Sequence number: one more than the record before.
   */
  seq: number;
  /**
   * When it was appended. ISO 8601, UTC.
   */
  at: string;
  type: 'drift';
  /**
   * Name of the project.
   */
  project?: string;
  /**
   * What.
   */
  detail: {
    /**
     * `found`, or `done` when put right.
     */
    event: 'found' | 'done';
    /**
     * What was changed.
     */
    what: string;
  };
  /**
   * CRC-32, in hex, of the line as it would be without this field. Always the last field.
   */
  crc: string;
}
/**
 * A project goes, or held removals were released.
 */
export interface RemovalRecord {
  /**
   * Of this format.
   */
  version: 1;
  /**
   * Sequence number: one more than the record before.
   */
  seq: number;
  /**
   * When it was appended. ISO 8601, UTC.
   */
  at: string;
  type: 'removal';
  /**
   * Name of the project.
   */
  project?: string;
  /**
   * Commit of the config repository.
   */
  configCommit: string;
  /**
   * What.
   */
  detail: {
    /**
     * `confirmed` by a person, `started`, or `done`.
     */
    event: 'confirmed' | 'started' | 'done';
  };
  /**
   * CRC-32, in hex, of the line as it would be without this field. Always the last field.
   */
  crc: string;
}
/**
 * Images that nothing needs any more were removed.
 */
export interface CollectRecord {
  /**
   * Of this format.
   */
  version: 1;
  /**
   * Sequence number: one more than the record before.
   */
  seq: number;
  /**
   * When it was appended. ISO 8601, UTC.
   */
  at: string;
  type: 'collect';
  /**
   * Name of the project.
   */
  project?: string;
  /**
   * Which.
   */
  detail: {
    /**
     * Their tags.
     */
    images: string[];
  };
  /**
   * CRC-32, in hex, of the line as it would be without this field. Always the last field.
   */
  crc: string;
}
/**
 * A person asked to try a failed revision again.
 */
export interface RetryRecord {
  /**
   * Of this format.
   */
  version: 1;
  /**
   * Sequence number: one more than the record before.
   */
  seq: number;
  /**
   * When it was appended. ISO 8601, UTC.
   */
  at: string;
  type: 'retry';
  /**
   * Name of the project.
   */
  project: string;
  /**
   * Nothing further.
   */
  detail: {};
  /**
   * CRC-32, in hex, of the line as it would be without this field. Always the last field.
   */
  crc: string;
}
/**
 * All that the journal remembers: the first record of a file that follows another one.
 */
export interface CheckpointRecord {
  /**
   * Of this format.
   */
  version: 1;
  /**
   * Sequence number: one more than the record before.
   */
  seq: number;
  /**
   * When it was appended. ISO 8601, UTC.
   */
  at: string;
  type: 'checkpoint';
  /**
   * Why, and what.
   */
  detail: {
    /**
     * Why a fresh file was begun.
     */
    reason: 'rotated' | 'damaged' | 'lost';
    /**
     * The memory.
     */
    memory: {
      /**
       * By name.
       */
      projects: {
        [k: string]: RememberedProject;
      };
      /**
       * Config commits whose removals were confirmed, newest last.
       *
       * @maxItems 20
       */
      confirmed: string[];
    };
  };
  /**
   * CRC-32, in hex, of the line as it would be without this field. Always the last field.
   */
  crc: string;
}
/**
 * What is remembered of one project.
 */
export interface RememberedProject {
  /**
   * Of the newest revision tried; null when it did not fail.
   */
  failure: {
    /**
     * Content hash of everything that decides what runs.
     */
    revision: string;
    /**
     * Id of the deployment.
     */
    deployment: string;
    /**
     * Code of what failed.
     */
    reason: string;
    /**
     * What failed and how to mend it.
     */
    message: string;
    /**
     * Attempts so far.
     */
    attempts: number;
    /**
     * No further attempt by itself.
     */
    final: boolean;
    /**
     * It failed its bake.
     */
    rejected: boolean;
    /**
     * When the next attempt begins; null when final. ISO 8601, UTC.
     */
    nextRetryAt: string | null;
  } | null;
  /**
   * A deployment without an outcome; null when there is none.
   */
  open: {
    /**
     * Id of the deployment.
     */
    deployment: string;
    /**
     * Content hash of everything that decides what runs.
     */
    revision: string;
    /**
     * Commit of the config repository.
     */
    configCommit: string;
    /**
     * Commit of the application's repository; null for projects with `image`.
     */
    sourceCommit: string | null;
    phase: JournalPhase;
    slot: JournalSlot | null;
    /**
     * Number of this attempt.
     */
    attempt: number;
    /**
     * This revision was live before.
     */
    isRollback: boolean;
    /**
     * When it began. ISO 8601, UTC.
     */
    startedAt: string;
  } | null;
  /**
   * Revisions that were live, newest last.
   *
   * @maxItems 50
   */
  wasLive: string[];
  /**
   * The deployment that ended last; null when there was none.
   */
  last: {
    /**
     * Id of the deployment.
     */
    deployment: string;
    /**
     * Content hash of everything that decides what runs.
     */
    revision: string;
    outcome: JournalOutcome;
    /**
     * When it began. ISO 8601, UTC.
     */
    startedAt: string;
    /**
     * When it ended. ISO 8601, UTC.
     */
    finishedAt: string;
    phases: JournalPhases;
  } | null;
  /**
   * The previous slot, once drained; null otherwise.
   */
  drained: {
    slot: JournalSlot;
    /**
     * Content hash of everything that decides what runs.
     */
    revision: string;
  } | null;
  /**
   * The last switch; null when there was none.
   */
  switched: {
    /**
     * When. ISO 8601, UTC.
     */
    at: string;
    from: JournalSlot | null;
    to: JournalSlot;
    /**
     * Content hash of everything that decides what runs.
     */
    revision: string;
  } | null;
}
