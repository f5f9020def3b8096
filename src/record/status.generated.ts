// Generated from the schema by `npm run generate`: change the schema instead.

/**
 * Which of the two places a project's container stands in.
 */
export type StatusSlot = 'blue' | 'green';

/**
 * What is true now: `<stateDir>/status.json`, replaced atomically at each change and at least every 10 s.
 */
export interface Status {
  /**
   * Of this format.
   */
  version: 1;
  /**
   * When this was written. Older than 30 s: stale. ISO 8601, UTC.
   */
  writtenAt: string;
  controller: ControllerStatus;
  source: SourceStatus;
  /**
   * The services that everything stands on.
   */
  components: {
    docker: ComponentStatus;
    nginx: ComponentStatus;
  };
  summary: StatusSummary;
  /**
   * Everything that a person has to mend, of manifests and of the controller itself.
   */
  problems: StatusProblem[];
  /**
   * By name.
   */
  projects: {
    [k: string]: ProjectStatus;
  };
}
/**
 * The controller that wrote this.
 */
export interface ControllerStatus {
  /**
   * Version of Pointsman.
   */
  version: string;
  /**
   * Process id.
   */
  pid: number;
  /**
   * When it started. ISO 8601, UTC.
   */
  startedAt: string;
  /**
   * `stopped` is written as its last act.
   */
  state: 'running' | 'stopped';
}
/**
 * The config repository.
 */
export interface SourceStatus {
  /**
   * Where it is, without credentials.
   */
  url: string;
  /**
   * The branch that is followed.
   */
  branch: string;
  /**
   * The newest commit that could be read; null before the first.
   */
  commit: string | null;
  /**
   * When it was last looked at. ISO 8601, UTC.
   */
  lastAttemptAt: string | null;
  /**
   * When that last succeeded. ISO 8601, UTC.
   */
  lastSuccessAt: string | null;
  /**
   * Why the last look failed; null when it did not.
   */
  error: string | null;
}
/**
 * Whether one of the machine's services answers.
 */
export interface ComponentStatus {
  /**
   * It answers and does what it is asked.
   */
  ok: boolean;
  /**
   * What is wrong and how to mend it; null when all is well.
   */
  message: string | null;
}
/**
 * Projects by state.
 */
export interface StatusSummary {
  /**
   * All projects.
   */
  total: number;
  /**
   * Projects in state `live`.
   */
  live: number;
  /**
   * Projects in state `progressing`.
   */
  progressing: number;
  /**
   * Projects in state `failed`.
   */
  failed: number;
  /**
   * Projects in state `suspended`.
   */
  suspended: number;
  /**
   * Projects in state `invalid`.
   */
  invalid: number;
  /**
   * Projects in state `removing`.
   */
  removing: number;
}
/**
 * Something that a person has to mend.
 */
export interface StatusProblem {
  /**
   * File in the config repository; empty when the problem is not in a file.
   */
  file: string;
  /**
   * Line in that file, from 1; 0 without a place in one.
   */
  line: number;
  /**
   * Column in that line, from 1; 0 without a place in one.
   */
  column: number;
  /**
   * JSON pointer inside the document; empty for the document itself.
   */
  path: string;
  /**
   * What is wrong, the value received, and how to mend it.
   */
  message: string;
  /**
   * The project concerned, where it is known.
   */
  project?: string;
}
/**
 * One project.
 */
export interface ProjectStatus {
  /**
   * What can be said of it in one word.
   */
  state: 'live' | 'progressing' | 'failed' | 'suspended' | 'invalid' | 'removing';
  /**
   * Where its deployment in hand is; null when there is none.
   */
  phase:
    'queued' | 'fetching' | 'building' | 'releasing' | 'starting' | 'probing' | 'switching' | 'baking' | null;
  /**
   * Code of what is in the way, like `BuildFailed`; null when nothing is.
   */
  reason: string | null;
  /**
   * One line that a person can act on; null when there is nothing to say.
   */
  message: string | null;
  /**
   * What the config repository asks for; null when that is not known.
   */
  desired: DesiredStatus | null;
  /**
   * What nginx really routes to, observed; null when nothing.
   */
  live: LiveStatus | null;
  /**
   * The slot that was live before; null when it is gone.
   */
  previous: PreviousStatus | null;
  /**
   * Where the project answers.
   */
  urls: string[];
  /**
   * Attempts at the desired revision that failed.
   */
  attempts: number;
  /**
   * When the next attempt begins by itself; null when none will. ISO 8601, UTC.
   */
  nextRetryAt: string | null;
  /**
   * The deployment that ended last; null when there was none.
   */
  lastDeployment: LastDeployment | null;
}
/**
 * What the config repository asks for.
 */
export interface DesiredStatus {
  /**
   * Content hash of everything that decides what runs; null while it cannot be told (source or secrets out of reach).
   */
  revision: string | null;
  /**
   * Commit of the config repository.
   */
  configCommit: string;
  /**
   * Commit of the application's repository; null for projects with `image`, and while it is not known.
   */
  sourceCommit: string | null;
}
/**
 * What nginx really routes to, observed.
 */
export interface LiveStatus {
  slot: StatusSlot;
  /**
   * Revision that runs there.
   */
  revision: string;
  /**
   * Commit of the application's repository; null for projects with `image`.
   */
  sourceCommit: string | null;
  /**
   * Image id, `sha256:…`.
   */
  image: string;
  /**
   * Container id; null when the container is gone and not yet brought back.
   */
  container: string | null;
  /**
   * Address and port that nginx connects to.
   */
  address: string;
  /**
   * When traffic moved here. ISO 8601, UTC.
   */
  since: string;
  /**
   * Id of the deployment that made it.
   */
  deployment: string;
  /**
   * This revision was live before.
   */
  isRollback: boolean;
}
/**
 * The slot that was live before and still exists.
 */
export interface PreviousStatus {
  slot: StatusSlot;
  /**
   * Revision that runs there.
   */
  revision: string;
  /**
   * `draining`: requests in flight are waited for. `warm`: kept running, so that a revert is instant.
   */
  state: 'draining' | 'warm';
  /**
   * Requests still open on it; null when they cannot be counted.
   */
  inFlight: number | null;
  /**
   * When it is stopped; null when it goes as soon as it is drained. ISO 8601, UTC.
   */
  warmUntil: string | null;
}
/**
 * The deployment that ended last.
 */
export interface LastDeployment {
  /**
   * Its id.
   */
  id: string;
  /**
   * How it ended.
   */
  outcome: 'active' | 'failed' | 'cancelled' | 'rolled-back';
  /**
   * When it began. ISO 8601, UTC.
   */
  startedAt: string;
  /**
   * When it ended. ISO 8601, UTC.
   */
  finishedAt: string;
  /**
   * Milliseconds per phase; a phase that was skipped is left out.
   */
  phases: {
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
  };
}
