import PQueue from 'p-queue';
import type { Logger } from 'pino';
import type { Readable } from 'node:stream';
import type { Clock } from '../clock.js';
import { PointsmanError, isAbort, messageOf } from '../errors.js';
import type { Settings } from '../settings/settings.js';
import { planContext, streamContext } from './context.js';
import { credentialFor } from './credentials.js';
import { parseLocation } from './location.js';
import type { Mirror } from './mirror.js';
import { ownSignal } from './git.js';
import type { Listing, ListingScope } from './remote.js';
import type { MirrorStore } from './mirror-store.js';
import type { GitSource, ResolvedSource, SourceRepository } from './port.js';
import { RefWatch } from './ref-watch.js';
import { commitOf, covers, fullNameOf, missingRef, nameOf, readTreeId, scopeOf } from './source-refs.js';

export interface SourceRepositoryDeps {
  readonly settings: Pick<Settings, 'configRepo' | 'credentials'>;
  readonly mirrors: MirrorStore;
  readonly log: Logger;
  readonly clock: Clock;
}

const listingsAtOnce = 4;
/** A listing that failed less than this ago is not tried again by the next question. */
const failureCountsMs = 3_000;
const rememberedTrees = 1_000;

/** One application repository, and what is known of it in this process. */
interface Known {
  readonly mirror: Mirror;
  listing: Listing | null;
  /** Why the last listing failed; null when it did not. */
  error: PointsmanError | null;
  /** Monotonic milliseconds of the last try. */
  listedAt: number;
  /** Ref names that were asked for. */
  readonly names: Set<string>;
  /** Commits asked for since the last collection, and before it. */
  used: Set<string>;
  usedBefore: Set<string> | null;
  /** `commit path` to tree. */
  readonly trees: Map<string, string>;
  /** Ref name to the commit that a restart would find. */
  readonly recorded: Map<string, string>;
}

/**
 * Application sources, mirrored. A ref means what the last listing said; without one, what it meant
 * when it was last resolved, also before a restart.
 */
export class GitSourceRepository implements SourceRepository {
  readonly #deps: SourceRepositoryDeps;
  readonly #known = new Map<string, Known>();
  readonly #queue = new PQueue({ concurrency: listingsAtOnce });
  readonly #watches = new Map<string, RefWatch>();

  constructor(deps: SourceRepositoryDeps) {
    this.#deps = deps;
  }

  async refresh(sources: readonly GitSource[], signal: AbortSignal): Promise<readonly GitSource[]> {
    const groups = new Map<Known, GitSource[]>();
    for (const source of sources) {
      if (source.commit !== null) continue;
      const known = this.#open(source.repo);
      // An address that cannot be used is for `resolve` to report.
      if (known !== null) groups.set(known, [...(groups.get(known) ?? []), source]);
    }
    const moved = await Promise.all(
      [...groups].map(([known, group]) => this.#refreshOne(known, group, signal)),
    );
    return moved.flat();
  }

  async resolve(source: GitSource, signal: AbortSignal): Promise<ResolvedSource> {
    const known = this.#open(source.repo) ?? this.#refuse(source.repo);
    return this.#guarded(known, signal, async () => {
      if (source.commit !== null) {
        const commit = source.commit.toLowerCase();
        return { commit, tree: await this.#treeOf(known, commit, null, source.path, signal), stale: null };
      }
      return this.#resolveRef(known, source, signal);
    });
  }

  async context(
    source: GitSource,
    resolved: ResolvedSource,
    onLeftOut: (line: string) => void,
    signal: AbortSignal,
  ): Promise<Readable> {
    const known = this.#open(source.repo) ?? this.#refuse(source.repo);
    const { mirror } = known;
    const request = { mirror, tree: resolved.tree, dockerfile: source.build.dockerfile, onLeftOut, signal };
    return this.#guarded(known, signal, async () => {
      known.used.add(resolved.commit);
      const lines: string[] = [];
      // A second try would say everything again.
      const quietly = { ...request, onLeftOut: (line: string) => void lines.push(line) };
      const plan = await mirror.read(resolved.commit, refOf(known, source), signal, async () => {
        lines.length = 0;
        return planContext(quietly);
      });
      for (const line of lines) onLeftOut(line);
      return streamContext(request, plan, () => mirror.distrust());
    });
  }

  async watch(repositories: readonly string[], onChange: (repo: string) => void): Promise<void> {
    const wanted = new Map<string, string>();
    for (const repo of repositories) {
      const known = this.#open(repo);
      if (known?.mirror.location.transport === 'local') wanted.set(known.mirror.location.url, repo);
    }
    for (const [path, watch] of this.#watches) {
      if (wanted.has(path)) continue;
      this.#watches.delete(path);
      await watch.close();
    }
    for (const [path, repo] of wanted) {
      const watch = this.#watches.get(path) ?? new RefWatch(path, () => undefined);
      this.#watches.set(path, watch);
      watch.onChange = () => onChange(repo);
      await watch.refresh();
    }
  }

  async collect(repositories: readonly string[], signal: AbortSignal): Promise<void> {
    const kept = new Set<string>();
    const addresses = [this.#deps.settings.configRepo.url];
    for (const repo of repositories) {
      const known = this.#open(repo);
      if (known === null) continue;
      kept.add(known.mirror.location.key);
      addresses.push(repo);
    }
    await this.#deps.mirrors.collect(addresses, signal);
    const config = parseLocation(this.#deps.settings.configRepo.url).key;
    for (const [key, known] of this.#known) {
      if (!kept.has(key)) this.#known.delete(key);
      else await collectKnown(known, key === config, signal);
    }
  }

  async close(): Promise<void> {
    const watches = [...this.#watches.values()];
    this.#watches.clear();
    await Promise.all(watches.map((watch) => watch.close()));
  }

  /** Null for an address that cannot be used. */
  #open(repo: string): Known | null {
    let key: string;
    try {
      key = parseLocation(repo).key;
    } catch {
      return null;
    }
    const found = this.#known.get(key);
    if (found !== undefined) return found;
    const { mirrors, settings } = this.#deps;
    const known: Known = {
      mirror: mirrors.open(repo, credentialFor(repo, settings)),
      listing: null,
      error: null,
      listedAt: Number.NEGATIVE_INFINITY,
      names: new Set(),
      used: new Set(),
      usedBefore: null,
      trees: new Map(),
      recorded: new Map(),
    };
    this.#known.set(key, known);
    return known;
  }

  #refuse(repo: string): never {
    parseLocation(repo);
    throw new PointsmanError('UnsupportedRepository', 'the repository address cannot be used');
  }

  async #refreshOne(
    known: Known,
    sources: readonly GitSource[],
    signal: AbortSignal,
  ): Promise<readonly GitSource[]> {
    const before = new Map<string, string | null>();
    for (const name of new Set(sources.map(nameOf))) {
      known.names.add(name);
      const { listing } = known;
      before.set(
        name,
        listing === null ? await this.#recordedOf(known, name, signal) : commitOf(listing, name),
      );
    }
    await this.#list(known, scopeOf(known.names), signal);
    const { listing, error } = known;
    if (error !== null || listing === null) return [];
    return sources.filter((source) => commitOf(listing, nameOf(source)) !== before.get(nameOf(source)));
  }

  /** One listing, at most four at once. A failure is kept in `known.error`. Rejects only for an abort. */
  async #list(known: Known, scope: ListingScope, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    await this.#queue.add(
      async () => {
        try {
          known.listing = await known.mirror.list(scope, signal);
          if (known.error !== null)
            log.info({ repo: known.mirror.location.display }, 'source can be reached again');
          known.error = null;
        } catch (error) {
          if (isAbort(error, signal)) throw error;
          const failure =
            error instanceof PointsmanError
              ? error
              : new PointsmanError(
                  'SourceUnreachable',
                  `cannot list ${known.mirror.location.display}: ${messageOf(error)}`,
                  { cause: error },
                );
          if (known.error === null)
            log.warn(
              {
                repo: known.mirror.location.display,
                code: failure.code,
                error: messageOf(failure),
                detail: failure.detail,
              },
              'source cannot be listed',
            );
          known.error = failure;
        }
        known.listedAt = clock.monotonic();
      },
      { signal: ownSignal(signal) },
    );
    signal.throwIfAborted();
  }

  async #resolveRef(known: Known, source: GitSource, signal: AbortSignal): Promise<ResolvedSource> {
    const name = nameOf(source);
    known.names.add(name);
    const scope = scopeOf(known.names);
    const isFresh = this.#deps.clock.monotonic() - known.listedAt < failureCountsMs;
    const isEnough = known.listing !== null && covers(known.listing.scope, scope);
    if (!isEnough && !(known.error !== null && isFresh)) await this.#list(known, scope, signal);
    const { listing, error } = known;
    if (listing === null || !covers(listing.scope, scope)) {
      return this.#resolveRecorded(
        known,
        source,
        error ?? known.mirror.damage('its refs were never listed'),
        signal,
      );
    }
    const commit = commitOf(listing, name);
    if (commit === null) throw missingRef(known.mirror, listing, source);
    let tree: string;
    try {
      tree = await this.#treeOf(known, commit, refOf(known, source), source.path, signal);
    } catch (failure) {
      if (!(failure instanceof PointsmanError) || failure.code !== 'SourceUnreachable') throw failure;
      return this.#resolveRecorded(known, source, failure, signal);
    }
    await this.#record(known, name, commit, signal);
    return { commit, tree, stale: error === null ? null : messageOf(error) };
  }

  /** What the ref meant when it was last resolved; `why` is thrown when nobody knows. */
  async #resolveRecorded(
    known: Known,
    source: GitSource,
    why: PointsmanError,
    signal: AbortSignal,
  ): Promise<ResolvedSource> {
    if (why.code !== 'SourceUnreachable') throw why;
    const commit = await this.#recordedOf(known, nameOf(source), signal);
    if (commit === null) throw why;
    return {
      commit,
      tree: await this.#treeOf(known, commit, null, source.path, signal),
      stale: messageOf(why),
    };
  }

  async #recordedOf(known: Known, name: string, signal: AbortSignal): Promise<string | null> {
    const remembered = known.recorded.get(name);
    if (remembered !== undefined) return remembered;
    const commit = await this.#guarded(known, signal, () => known.mirror.recorded(name, signal));
    if (commit !== null) known.recorded.set(name, commit);
    return commit;
  }

  async #record(known: Known, name: string, commit: string, signal: AbortSignal): Promise<void> {
    if ((await this.#recordedOf(known, name, signal)) === commit) return;
    await known.mirror.record(name, commit, signal);
    known.recorded.set(name, commit);
  }

  async #treeOf(
    known: Known,
    commit: string,
    ref: string | null,
    path: string,
    signal: AbortSignal,
  ): Promise<string> {
    known.used.add(commit);
    const key = `${commit} ${path}`;
    const remembered = known.trees.get(key);
    if (remembered !== undefined) return remembered;
    const tree = await known.mirror.read(commit, ref, signal, () =>
      readTreeId(known.mirror, commit, path, signal),
    );
    const oldest = known.trees.size >= rememberedTrees ? known.trees.keys().next().value : undefined;
    if (oldest !== undefined) known.trees.delete(oldest);
    known.trees.set(key, tree);
    return tree;
  }

  /** Every failure as one of ours: the disk's among them. */
  async #guarded<T>(known: Known, signal: AbortSignal, use: () => Promise<T>): Promise<T> {
    try {
      return await use();
    } catch (error) {
      if (isAbort(error, signal) || error instanceof PointsmanError) throw error;
      if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
      throw new PointsmanError(
        'SourceUnreachable',
        `cannot mirror ${known.mirror.location.display}: ${messageOf(error)}; check space and permissions of the state directory`,
        { cause: error },
      );
    }
  }
}

/** For a server that hands out refs only. */
function refOf(known: Known, source: GitSource): string | null {
  return known.listing === null || source.commit !== null ? null : fullNameOf(known.listing, nameOf(source));
}

/** Commits stay through one collection after they were last asked for: at the first one after a start nothing was asked for yet. */
async function collectKnown(known: Known, isConfig: boolean, signal: AbortSignal): Promise<void> {
  const { used, usedBefore, names, mirror } = known;
  known.used = new Set();
  known.usedBefore = used;
  if (usedBefore === null) return;
  const isStillNeeded = (commit: string): boolean => used.has(commit) || usedBefore.has(commit);
  await mirror.collect(new Set([...used, ...usedBefore]), isConfig ? null : names, signal);
  for (const key of known.trees.keys()) if (!isStillNeeded(key.slice(0, 40))) known.trees.delete(key);
}
