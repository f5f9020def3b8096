import type { Readable } from 'node:stream';
import type { DesiredState, GitSource, ImageSource } from '../manifest/project.js';

/** What the last look at the config repository gave. */
export interface ConfigSnapshot {
  /** The newest state that could be read; null before the first success. */
  readonly desired: DesiredState | null;
  /** Why the newest tip could not be read; the last good state counts meanwhile. */
  readonly error: { readonly code: string; readonly message: string } | null;
}

/** The config repository, mirrored. */
export interface ConfigRepository {
  /**
   * Lists the branch's tip, and when it moved reads and parses what changed. Never rejects but for an
   * abort: a failure is in `error` and the last good state stays.
   */
  sync(signal: AbortSignal): Promise<ConfigSnapshot>;
  /** The state at any commit that the remote gives out, for `plan --commit`. A short hash will do for a commit that is known here. */
  readAt(commit: string, signal: AbortSignal): Promise<DesiredState>;
  /** Calls `onChange` when a ref of a local repository moves; does nothing for a remote one. */
  watch(onChange: () => void): Promise<() => Promise<void>>;
}

export interface ResolvedSource {
  readonly commit: string;
  /** Object id of the tree at `path`: what the image key covers. */
  readonly tree: string;
  /** Set when the remote did not answer and `commit` is the last one known. */
  readonly stale: string | null;
}

/** Application sources, mirrored: one bare mirror per repository, shared by its projects. */
export interface SourceRepository {
  /**
   * Lists the refs of each distinct repository once. A repository that does not answer keeps its last
   * listing. Resolves to the sources (as given) whose commit moved.
   */
  refresh(sources: readonly GitSource[], signal: AbortSignal): Promise<readonly GitSource[]>;
  /**
   * The commit that `source` means by the last listing (listing now when there is none), fetched.
   * @throws PointsmanError SourceUnreachable, RefMissing, CommitMissing, PathMissing, UnsupportedRepository
   */
  resolve(source: GitSource, signal: AbortSignal): Promise<ResolvedSource>;
  /**
   * The build context as a tar stream: `.dockerignore` honoured, nothing that leads out of it.
   * `onLeftOut` hears of each entry that was dropped for leading out.
   * @throws PointsmanError DockerfileMissing, SourceCorrupt
   */
  context(
    source: GitSource,
    resolved: ResolvedSource,
    onLeftOut: (line: string) => void,
    signal: AbortSignal,
  ): Promise<Readable>;
  /** Calls `onChange` with the repository when a ref of one of these local repositories moves. Replaces the set watched before. */
  watch(repositories: readonly string[], onChange: (repo: string) => void): Promise<void>;
  /** Drops mirrors of repositories other than these, and objects that no project needs. */
  collect(repositories: readonly string[], signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

export type { GitSource, ImageSource };
