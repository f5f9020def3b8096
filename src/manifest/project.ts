/** The normalised form of a manifest: every default filled in, every duration in ms, every size in bytes. */
export interface Project {
  readonly name: string;
  readonly suspend: boolean;
  readonly source: GitSource | ImageSource;
  readonly run: RunSpec;
  readonly release: { readonly command: readonly string[]; readonly timeoutMs: number } | null;
  readonly health: HealthSpec;
  readonly route: RouteSpec;
  readonly rollout: { readonly drainMs: number; readonly keepPreviousMs: number };
}

export interface GitSource {
  readonly kind: 'git';
  /** As written: https, http, ssh, `git@host:path` or an absolute path. Never with credentials. */
  readonly repo: string;
  /** Branch or tag; null follows the remote's HEAD. */
  readonly ref: string | null;
  /** Full hash; wins over `ref`. */
  readonly commit: string | null;
  /** Folder inside the repository, `.` for its root; normalised, no `..`. */
  readonly path: string;
  readonly build: BuildSpec;
}

export interface ImageSource {
  readonly kind: 'image';
  /** As written, `nginx:1.27` or with `@sha256:…`. */
  readonly image: string;
}

export interface BuildSpec {
  /** Relative to the source's `path`. */
  readonly dockerfile: string;
  readonly target: string | null;
  readonly args: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

export interface RunSpec {
  readonly port: number;
  readonly command: readonly string[] | null;
  readonly env: Readonly<Record<string, string>>;
  /** Names, sorted, without duplicates. */
  readonly secrets: readonly string[];
  readonly volumes: readonly { readonly name: string; readonly path: string }[];
  readonly memoryBytes: number | null;
  readonly cpus: number | null;
  readonly pids: number;
  readonly user: string | null;
  readonly readOnly: boolean;
  readonly stopTimeoutMs: number;
}

export interface HealthSpec {
  /** Null: a TCP connect. */
  readonly path: string | null;
  /** Inclusive. */
  readonly status: { readonly from: number; readonly to: number };
  /** Between two probes; null when the manifest leaves it out: the prober chooses. */
  readonly intervalMs: number | null;
  readonly timeoutMs: number;
  readonly successes: number;
  /** From container start. */
  readonly withinMs: number;
  readonly bakeMs: number;
  readonly failures: number;
}

export interface RouteSpec {
  /** Lower case, at least one. The first is the `Host` of probes. */
  readonly domains: readonly string[];
  readonly maxBodyBytes: number;
  readonly readTimeoutMs: number;
}

export type Slot = 'blue' | 'green';
export const slots = ['blue', 'green'] as const satisfies readonly Slot[];
export function otherSlot(slot: Slot): Slot {
  return slot === 'blue' ? 'green' : 'blue';
}

/** Something a person has to mend in the config repository. Lines and columns count from 1; 0 without a place. */
export interface Problem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** JSON pointer inside the document, `` for the document itself. */
  readonly path: string;
  /** What is wrong, the value received, and how to mend it. */
  readonly message: string;
  /** The project whose manifest this is, when its document has a readable name. */
  readonly project?: string;
}

/** A valid project and where its manifest stands. */
export interface DeclaredProject {
  readonly project: Project;
  readonly file: string;
  readonly line: number;
}

/**
 * What the config repository says at one commit.
 * A project name stands in at most one of `projects` and `invalid`.
 */
export interface DesiredState {
  /** Empty for a folder that is not committed. */
  readonly commit: string;
  readonly projects: ReadonlyMap<string, DeclaredProject>;
  /** Names that a document claims which cannot be used (schema, duplicate …): these keep running as they are. */
  readonly invalid: ReadonlyMap<string, readonly Problem[]>;
  readonly problems: readonly Problem[];
  /** Set when absence from `projects` must not be read as removal (a document without a valid name, an empty folder). */
  readonly removalsHeldBecause: string | null;
  /** Projects of the manifests that are not as in the commit `since`, which declares the same projects. Absent: it may be any. */
  readonly changes?: { readonly since: string; readonly projects: readonly string[] };
}
