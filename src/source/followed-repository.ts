import type { Logger } from 'pino';
import type { Clock } from '../clock.js';
import { PointsmanError, isAbort, messageOf } from '../errors.js';
import { graceSeconds } from './mirror-refs.js';
import type { Mirror } from './mirror.js';
import type { GitSource, ResolvedSource } from './port.js';
import type { Listing } from './remote.js';
import { commitOf, covers, fullNameOf, missingRef, nameOf, readTreeId, scopeOf } from './source-refs.js';

/** A listing that failed less than this ago is not tried again by the next question. */
const failureCountsMs = 3_000;
const rememberedTrees = 1_000;

/**
 * One application repository, and what is known of it in this process. A ref means what the last
 * listing said; without one, what it meant when it was last resolved, also before a restart.
 */
export class FollowedRepository {
  readonly mirror: Mirror;
  readonly #clock: Clock;
  readonly #log: Logger;
  #listing: Listing | null = null;
  /** Why the last listing failed; null when it did not. */
  #error: PointsmanError | null = null;
  /** Monotonic milliseconds of the last try. */
  #listedAt = Number.NEGATIVE_INFINITY;
  /** Ref names that were asked for. */
  readonly #names = new Set<string>();
  /** Commits asked for since the last collection, and before it. */
  #used = new Set<string>();
  #usedBefore: ReadonlySet<string> | null = null;
  /** `commit path` to tree. */
  readonly #trees = new Map<string, string>();
  /** Ref name to the commit that a restart would find, in this generation of the mirror. */
  #recorded = new Map<string, string>();
  #generation = 0;

  constructor(deps: { readonly mirror: Mirror; readonly clock: Clock; readonly log: Logger }) {
    this.mirror = deps.mirror;
    this.#clock = deps.clock;
    this.#log = deps.log;
  }

  /** Lists the refs once. Resolves to those sources whose commit moved; to none when the remote does not answer. */
  async refresh(sources: readonly GitSource[], signal: AbortSignal): Promise<readonly GitSource[]> {
    const before = new Map<string, string | null>();
    for (const name of new Set(sources.map(nameOf))) {
      this.#names.add(name);
      const listing = this.#listing;
      before.set(name, listing === null ? await this.#recordedOf(name, signal) : commitOf(listing, name));
    }
    await this.#list(signal);
    const listing = this.#listing;
    if (this.#error !== null || listing === null) return [];
    return sources.filter((source) => commitOf(listing, nameOf(source)) !== before.get(nameOf(source)));
  }

  /** @throws PointsmanError SourceUnreachable, RefMissing, CommitMissing, PathMissing, UnsupportedRepository, SourceCorrupt */
  async resolve(source: GitSource, signal: AbortSignal): Promise<ResolvedSource> {
    return this.guarded(signal, async () => {
      if (source.commit === null) return this.#resolveRef(source, signal);
      const commit = source.commit.toLowerCase();
      return { commit, tree: await this.#treeOf(commit, null, source.path, signal), stale: null };
    });
  }

  /** Full name of the ref that `source` follows, for a server that hands out refs only; null when it is not known. */
  refOf(source: GitSource): string | null {
    if (this.#listing === null || source.commit !== null) return null;
    return fullNameOf(this.#listing, nameOf(source));
  }

  /** Keeps `commit` from the next collection. */
  use(commit: string): void {
    this.#used.add(commit);
  }

  /**
   * Lets go of commits that nobody asked for since the collection before the last: at the first one
   * after a start nothing was asked for yet. `keepRecords`: others record refs in this mirror too.
   */
  async collect(keepRecords: boolean, signal: AbortSignal): Promise<void> {
    const used = this.#used;
    const before = this.#usedBefore;
    this.#used = new Set();
    this.#usedBefore = used;
    if (before === null) return;
    const kept = new Set([...used, ...before]);
    const names = keepRecords || this.#names.size === 0 ? null : this.#names;
    await this.mirror.collect(kept, names, graceSeconds.builds, signal);
    for (const key of this.#trees.keys()) if (!kept.has(key.slice(0, 40))) this.#trees.delete(key);
  }

  /** Every failure of `use` as one of ours: the disk's among them. */
  async guarded<T>(signal: AbortSignal, use: () => Promise<T>): Promise<T> {
    try {
      return await use();
    } catch (error) {
      if (isAbort(error, signal) || error instanceof PointsmanError) throw error;
      if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
      throw new PointsmanError(
        'SourceUnreachable',
        `cannot mirror ${this.mirror.location.display}: ${messageOf(error)}; check space and permissions of the state directory`,
        { cause: error },
      );
    }
  }

  /** A failure is kept in `#error`. Rejects only for an abort. */
  async #list(signal: AbortSignal): Promise<void> {
    const repo = this.mirror.location.display;
    try {
      this.#listing = await this.guarded(signal, () => this.mirror.list(scopeOf(this.#names), signal));
      if (this.#error !== null) this.#log.info({ repo }, 'source can be reached again');
      this.#error = null;
    } catch (error) {
      if (!(error instanceof PointsmanError)) throw error;
      const { code, detail } = error;
      if (this.#error === null)
        this.#log.warn({ repo, code, error: messageOf(error), detail }, 'source cannot be listed');
      this.#error = error;
    }
    this.#listedAt = this.#clock.monotonic();
  }

  async #resolveRef(source: GitSource, signal: AbortSignal): Promise<ResolvedSource> {
    const name = nameOf(source);
    this.#names.add(name);
    const hasFailedJustNow =
      this.#error !== null && this.#clock.monotonic() - this.#listedAt < failureCountsMs;
    if (this.#coveringListing() === null && !hasFailedJustNow) await this.#list(signal);
    const listing = this.#coveringListing();
    if (listing === null) {
      return this.#resolveRecorded(
        source,
        this.#error ?? this.mirror.damage('its refs were never listed'),
        signal,
      );
    }
    const commit = commitOf(listing, name);
    if (commit === null) throw missingRef(this.mirror, listing, source);
    let tree: string;
    try {
      tree = await this.#treeOf(commit, this.refOf(source), source.path, signal);
    } catch (error) {
      if (!(error instanceof PointsmanError) || error.code !== 'SourceUnreachable') throw error;
      return this.#resolveRecorded(source, error, signal);
    }
    if ((await this.#recordedOf(name, signal)) !== commit) {
      await this.mirror.record(name, commit, signal);
      this.#recorded.set(name, commit);
    }
    return { commit, tree, stale: this.#error === null ? null : messageOf(this.#error) };
  }

  /** What the ref meant when it was last resolved; `why` is thrown when nobody knows. */
  async #resolveRecorded(
    source: GitSource,
    why: PointsmanError,
    signal: AbortSignal,
  ): Promise<ResolvedSource> {
    if (why.code !== 'SourceUnreachable') throw why;
    const commit = await this.#recordedOf(nameOf(source), signal);
    if (commit === null) throw why;
    return { commit, tree: await this.#treeOf(commit, null, source.path, signal), stale: messageOf(why) };
  }

  /** The last listing, when it says what all asked names mean. */
  #coveringListing(): Listing | null {
    const listing = this.#listing;
    return listing !== null && covers(listing.scope, scopeOf(this.#names)) ? listing : null;
  }

  async #recordedOf(name: string, signal: AbortSignal): Promise<string | null> {
    if (this.#generation !== this.mirror.generation) this.#recorded = new Map();
    this.#generation = this.mirror.generation;
    const remembered = this.#recorded.get(name);
    if (remembered !== undefined) return remembered;
    const commit = await this.guarded(signal, () => this.mirror.recorded(name, signal));
    if (commit !== null) this.#recorded.set(name, commit);
    return commit;
  }

  async #treeOf(commit: string, ref: string | null, path: string, signal: AbortSignal): Promise<string> {
    this.use(commit);
    const key = `${commit} ${path}`;
    const remembered = this.#trees.get(key);
    if (remembered !== undefined) return remembered;
    const tree = await this.mirror.read(commit, ref, signal, () =>
      readTreeId(this.mirror, commit, path, signal),
    );
    const oldest = this.#trees.size >= rememberedTrees ? this.#trees.keys().next().value : undefined;
    if (oldest !== undefined) this.#trees.delete(oldest);
    this.#trees.set(key, tree);
    return tree;
  }
}
