import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import { PointsmanError, isAbort, messageOf } from '../errors.js';
import type { DesiredState, Problem } from '../manifest/project.js';
import type { Settings } from '../settings/settings.js';
import { printable } from './entry-name.js';
import { looseRef, refFolders } from './local-refs.js';
import { parseLocation } from './location.js';
import {
  emptyManifestTree,
  readManifestTree,
  type ManifestTreeCache,
  type ManifestTreeResult,
} from './manifest-tree.js';
import { graceSeconds } from './mirror-refs.js';
import type { Mirror } from './mirror.js';
import type { MirrorStore } from './mirror-store.js';
import { openForeignObjects, openObjects, type ObjectStore } from './object-store.js';
import type { ConfigRepository, ConfigSnapshot } from './port.js';
import { RefWatch } from './ref-watch.js';
import { wholeHash } from './short-hash.js';

/** What a configuration repository is made of. `P` is what one parsed file is. */
export interface ConfigRepositoryDeps<P> {
  readonly settings: Pick<Settings, 'configRepo'>;
  readonly mirrors: MirrorStore;
  readonly log: Logger;
  /** Pure: one file to whatever `assemble` takes. Called once per path and content. */
  readonly parse: (file: string, bytes: Uint8Array) => P;
  /** Files of one commit to the desired state; `extraProblems` are of entries that could not be parsed at all. */
  readonly assemble: (
    commit: string,
    files: readonly P[],
    extraProblems: readonly Problem[],
  ) => DesiredState | Promise<DesiredState>;
  /** For tests that count what is read; default: the objects as they are. */
  readonly observe?: (objects: ObjectStore) => ObjectStore;
}

type Read<P> = ManifestTreeResult<P> & { readonly cache: ManifestTreeCache<P> };

interface Reading<P> {
  readonly desired: DesiredState;
  readonly read: Read<P>;
}

/** Commits fetched between two clean-ups of the mirror. */
const fetchesPerTidy = 64;
/** How long a commit that was read beside the mirror waits for its fetch into it, and newer ones with it. */
const keepAfterMs = 5_000;
/** Of that fetch, of few objects on this machine, with the wait for others that write to the mirror. */
const keepTimeoutMs = 10_000;

/**
 * The config repository, mirrored. A look costs one listing; when the tip moved, one fetch and the
 * trees and files that changed. What could be read last counts until something newer can be read,
 * also over a restart with the remote down. A new commit of a repository on this machine is read where it
 * stands, and fetched a while later: no deployment waits for the 20 ms that takes.
 */
export class GitConfigRepository<P> implements ConfigRepository {
  readonly #deps: ConfigRepositoryDeps<P>;
  readonly #mirror: Mirror;
  /** Full name of the branch. */
  readonly #ref: string;
  /** What the mirror notes is noted by this name: an application may follow the same branch of the same repository. */
  readonly #note: string;
  #desired: DesiredState | null = null;
  /** What `#desired` was made of. */
  #read: Read<P> | null = null;
  /** The commit that a restart would find. */
  #recorded: { readonly commit: string; readonly generation: number } | null = null;
  /** Whether the mirror has what was read last: `refused` when it could not be fetched, so that git says why. */
  #kept: 'yes' | 'not yet' | 'refused' = 'yes';
  #keepTimer: NodeJS.Timeout | null = null;
  #fetches = 0;
  #watch: RefWatch | null = null;
  /** The look in hand: looks take turns. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(deps: ConfigRepositoryDeps<P>) {
    this.#deps = deps;
    const { url, branch, credential } = deps.settings.configRepo;
    this.#mirror = deps.mirrors.openFirst(url, credential);
    this.#ref = `refs/heads/${branch}`;
    this.#note = `config ${this.#ref}`;
  }

  async sync(signal: AbortSignal): Promise<ConfigSnapshot> {
    const snapshot = this.#inTurn(async () => {
      signal.throwIfAborted();
      try {
        await this.#watch?.refresh();
        await this.#advance(signal);
        return { desired: this.#desired, error: null };
      } catch (error) {
        if (isAbort(error, signal)) throw error;
        const code = error instanceof PointsmanError ? error.code : 'SourceCorrupt';
        const detail = error instanceof PointsmanError ? error.detail : {};
        this.#deps.log.warn(
          { code, error: messageOf(error), detail, commit: this.#desired?.commit ?? null },
          'config repository could not be read',
        );
        return { desired: this.#desired, error: { code, message: messageOf(error) } };
      }
    });
    // What was read may be acted on before it is noted.
    this.#turn = snapshot
      .then(async ({ error }) => {
        if (error !== null) return;
        if (this.#kept === 'yes') await this.#remember(signal);
        else this.#keepLater();
        await this.#tidy(signal);
      })
      .catch(() => undefined);
    return snapshot;
  }

  async readAt(commit: string, signal: AbortSignal): Promise<DesiredState> {
    return this.#inTurn(async () => {
      const whole = await wholeHash(commit.toLowerCase(), this.#mirror, this.#deps.mirrors.git, signal);
      return (await this.#readCommit(whole, null, signal)).desired;
    });
  }

  /**
   * The commit at the tip of the branch, asked of the remote: no mirror is made for it.
   * @throws PointsmanError SourceUnreachable, RefMissing, UnsupportedRepository
   */
  async tip(signal: AbortSignal): Promise<string> {
    const { location } = this.#mirror;
    const loose = location.transport === 'local' ? await looseRef(location.url, this.#ref) : null;
    if (loose !== null) return loose;
    const { refs } = await this.#mirror.list('branches', signal);
    const tip = refs.get(this.#ref);
    if (tip !== undefined) return tip;
    const { branch } = this.#deps.settings.configRepo;
    const { display } = location;
    if (refs.size === 0) {
      throw new PointsmanError(
        'RefMissing',
        `${display} has no branch ${branch}: it has no commit yet; commit a manifest and push it`,
      );
    }
    const names = [...refs.keys()].slice(0, 5).map((name) => printable(name.replace('refs/heads/', '')));
    throw new PointsmanError(
      'RefMissing',
      `${display} has no branch ${branch}, but ${names.join(', ')}; push it, or set configRepo.branch`,
    );
  }

  async watch(onChange: () => void): Promise<() => Promise<void>> {
    if (this.#mirror.location.transport !== 'local') return async () => undefined;
    this.#watch?.close();
    const watch = new RefWatch(this.#mirror.location.url, onChange);
    this.#watch = watch;
    await watch.refresh();
    return async () => {
      if (this.#watch === watch) this.#watch = null;
      watch.close();
    };
  }

  /** Resolves when what was read last is in the mirror, and noted, or cannot be. Later looks are fine. */
  async close(): Promise<void> {
    await this.#turn;
    clearTimeout(this.#keepTimer ?? undefined);
    this.#keepTimer = null;
    if (this.#kept === 'not yet') await this.#keep();
  }

  #keepLater(): void {
    this.#keepTimer ??= setTimeout(() => {
      this.#keepTimer = null;
      void this.#keep().then(() => {
        if (this.#kept === 'not yet') this.#keepLater();
      });
    }, keepAfterMs).unref();
  }

  async #keep(): Promise<void> {
    await this.#inTurn(() => this.#remember(AbortSignal.timeout(keepTimeoutMs)));
  }

  async #advance(signal: AbortSignal): Promise<void> {
    let tip: string;
    try {
      tip = await this.tip(signal);
    } catch (error) {
      if (!isAbort(error, signal) && this.#desired === null) await this.#restore(signal);
      throw error;
    }
    if (tip !== this.#desired?.commit || this.#kept === 'refused') await this.#take(tip, signal);
    else if (this.#desired.invalid.size > 0) await this.#decideAgain();
  }

  /** Who keeps what several manifests claim depends on what is live, which may be another since the commit was read. */
  async #decideAgain(): Promise<void> {
    const before = this.#desired;
    if (before === null || this.#read === null) return;
    const { files, problems } = this.#read;
    const now = holdRemovals(await this.#deps.assemble(before.commit, files, problems), problems);
    if (!isDeepStrictEqual(now.problems, before.problems)) this.#desired = now;
  }

  /** Notes what was read, for a restart with the remote down. A failure is made good by the next look. */
  async #remember(signal: AbortSignal): Promise<void> {
    const commit = this.#desired?.commit;
    const { generation } = this.#mirror;
    if (commit === undefined) return;
    if (commit === this.#recorded?.commit && generation === this.#recorded.generation) return;
    try {
      if (this.#kept !== 'yes') await this.#mirror.read(commit, this.#ref, signal, async () => undefined);
      this.#kept = 'yes';
      await this.#mirror.record(this.#note, commit, signal);
      this.#recorded = { commit, generation: this.#mirror.generation };
      this.#fetches += 1;
    } catch (error) {
      if (signal.aborted && this.#kept === 'yes') return;
      // What only took too long is tried again, and does not keep newer commits from being read beside.
      if (!signal.aborted && this.#kept !== 'yes') this.#kept = 'refused';
      this.#deps.log.warn({ commit, error: messageOf(error) }, 'the mirror cannot note what was read last');
    }
  }

  async #take(tip: string, signal: AbortSignal): Promise<void> {
    try {
      const beside = await this.#readBeside(tip, signal);
      const { desired, read } = beside ?? (await this.#readCommit(tip, this.#ref, signal));
      this.#kept = beside === null ? 'yes' : 'not yet';
      this.#desired = desired;
      this.#read = read;
      this.#deps.log.info(
        { commit: tip, projects: desired.projects.size, problems: desired.problems.length },
        'config repository read',
      );
    } catch (error) {
      if (!isAbort(error, signal) && this.#desired === null) await this.#restore(signal);
      throw error;
    }
  }

  /** After a start with the remote down: the commit that was read last, when the mirror still has it. */
  async #restore(signal: AbortSignal): Promise<void> {
    try {
      const commit = await this.#mirror.recorded(this.#note, signal);
      if (commit === null) return;
      const { desired, read } = await this.#readCommit(commit, null, signal);
      this.#desired = desired;
      this.#read = read;
      this.#deps.log.info(
        { commit, projects: desired.projects.size },
        'config repository read from the mirror',
      );
    } catch (error) {
      if (isAbort(error, signal)) throw error;
      this.#deps.log.warn({ error: messageOf(error) }, 'the last known state cannot be read from the mirror');
    }
  }

  async #readCommit(commit: string, ref: string | null, signal: AbortSignal): Promise<Reading<P>> {
    const read = await this.#mirror.read(commit, ref, signal, () =>
      this.#readFrom(openObjects(this.#mirror, signal), commit),
    );
    return this.#assembled(commit, read);
  }

  /**
   * A new commit, read from the repository on this machine itself. Null when git has to fetch it: when none
   * came from the mirror yet, so that git says what is wrong with a repository; what is packed, long, broken
   * or missing; and what git refused after it had been read like this.
   */
  async #readBeside(commit: string, signal: AbortSignal): Promise<Reading<P> | null> {
    const { location } = this.#mirror;
    if (location.transport !== 'local' || this.#read === null || this.#kept === 'refused') return null;
    let read: Read<P>;
    try {
      const [gitdir] = await refFolders(location.url);
      if (gitdir === undefined) return null;
      read = await this.#readFrom(openForeignObjects(gitdir, signal), commit);
      // Before anything acts on it: a restart must not take an older commit for the newest.
      this.#recorded = null;
      if (this.#kept === 'yes') await this.#mirror.outdate(this.#note);
    } catch (error) {
      if (isAbort(error, signal)) throw error;
      return null;
    }
    return this.#assembled(commit, read);
  }

  async #readFrom(objects: ObjectStore, commit: string): Promise<Read<P>> {
    const { parse, settings, observe } = this.#deps;
    return readManifestTree(commit, settings.configRepo.path, {
      objects: observe?.(objects) ?? objects,
      parse,
      cache: this.#read?.cache ?? emptyManifestTree<P>(),
    });
  }

  async #assembled(commit: string, read: Read<P>): Promise<Reading<P>> {
    const { files, problems } = read;
    return {
      desired: holdRemovals(await this.#deps.assemble(commit, files, problems), problems),
      read,
    };
  }

  /** Lets go of older commits from time to time. A failure costs disk space alone. */
  async #tidy(signal: AbortSignal): Promise<void> {
    const commit = this.#desired?.commit;
    if (commit === undefined || this.#fetches < fetchesPerTidy) return;
    this.#fetches = 0;
    try {
      const grace = this.#isSource() ? graceSeconds.builds : graceSeconds.manifests;
      await this.#mirror.collect(new Set([commit]), null, grace, signal);
    } catch (error) {
      if (isAbort(error, signal)) throw error;
      this.#deps.log.warn(
        { error: messageOf(error) },
        'the mirror of the config repository could not be packed',
      );
    }
  }

  /** Whether an application comes out of this repository, and so out of this mirror. */
  #isSource(): boolean {
    const { key } = this.#mirror.location;
    return [...(this.#desired?.projects.values() ?? [])].some(
      ({ project: { source } }) => source.kind === 'git' && parseLocation(source.repo).key === key,
    );
  }

  async #inTurn<T>(look: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(look);
    this.#turn = result.catch(() => undefined);
    return result;
  }
}

/**
 * An entry that could not be parsed may have declared a project: what it declared must not look removed,
 * whatever `assemble` made of it.
 */
function holdRemovals(desired: DesiredState, problems: readonly Problem[]): DesiredState {
  const [first] = problems;
  if (first === undefined || desired.removalsHeldBecause !== null) return desired;
  return { ...desired, removalsHeldBecause: `${first.file}: ${first.message}` };
}
