import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, rename, rm, statfs, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type PQueue from 'p-queue';
import { PointsmanError } from '../errors.js';
import type { GitCredential } from '../settings/settings.js';
import type { Git, GitResult, GitStream } from './git.js';
import { lastLine } from './git-errors.js';
import { writeLooseRef } from './loose-objects.js';
import { mirrorName, type RepositoryLocation } from './location.js';
import { withMirrorLock } from './mirror-lock.js';
import { collectMirror, commits, last, refNameHash } from './mirror-refs.js';
import { Remote, type Listing, type ListingScope } from './remote.js';

/** Less room than this is none: a failed write takes back what it wrote, some kilobytes as a rule. */
const leastRoomBytes = 1024 ** 2;

/**
 * One repository, mirrored into a bare repository of our own. Refs there are ours alone:
 * `commits/<hash>` keeps a fetched commit, `last/<hash of a ref's name>` is what that ref meant when it
 * was last resolved, `full/…` holds branches and tags of a server that hands out nothing else.
 * Writers take turns across processes; readers need no lock.
 */
export class Mirror {
  readonly path: string;
  readonly location: RepositoryLocation;
  readonly #git: Git;
  readonly #remote: Remote;
  #isDistrusted = false;
  #generation = 0;

  constructor(deps: {
    readonly git: Git;
    /** Where mirrors stand, `<stateDir>/repos`. */
    readonly folder: string;
    readonly location: RepositoryLocation;
    readonly credential: GitCredential | null;
    /** Of calls that talk to the server. */
    readonly queue: PQueue;
  }) {
    this.#git = deps.git;
    this.location = deps.location;
    this.#remote = new Remote(deps);
    this.path = join(deps.folder, `${mirrorName(deps.location)}.git`);
  }

  /** Grows when the mirror is made anew: what was recorded in the one before is gone then. */
  get generation(): number {
    return this.#generation;
  }

  /** Asks the remote for its refs. @throws PointsmanError SourceUnreachable, UnsupportedRepository */
  async list(scope: ListingScope, signal: AbortSignal): Promise<Listing> {
    return this.#remote.list(scope, signal);
  }

  /**
   * Runs `reader` with `commit` in the mirror: fetched (shallow) when it is not there, and once more
   * into a new mirror when `reader` finds this one damaged (rejects with SourceCorrupt). `ref` is the
   * full name of a ref that points to the commit, for servers that do not hand out hashes; or null.
   * @throws PointsmanError SourceUnreachable, SourceCorrupt, CommitMissing, UnsupportedRepository
   */
  async read<T>(
    commit: string,
    ref: string | null,
    signal: AbortSignal,
    reader: () => Promise<T>,
  ): Promise<T> {
    this.#remote.refuseHash(commit);
    await this.#ensure(commit, ref, signal);
    if (!this.#isDistrusted) {
      const first = await attempt(reader);
      if (first.kind === 'read') return first.value;
    }
    return this.#exclusively(signal, async () => {
      // Somebody may have packed or renewed the mirror under the first try.
      const second: Attempt<T> = this.#isDistrusted
        ? { kind: 'damaged', error: this.damage('not every file could be read') }
        : await attempt(reader);
      if (second.kind === 'read') return second.value;
      await this.#rebuild(commit, ref, second.error.message, signal);
      return reader();
    });
  }

  /** Says that a read outside of `read` found damage: the next `read` fetches into a new mirror. */
  distrust(): void {
    this.#isDistrusted = true;
  }

  /** True when the commit and its root tree are here and kept. */
  async has(commit: string, signal: AbortSignal): Promise<boolean> {
    if (!(await this.#mayKeep(commit))) return false;
    const result = await this.run(
      ['cat-file', '--batch-check'],
      signal,
      `${commits}/${commit}\n${commit}^{tree}\n`,
    );
    const lines = result.stdout.toString('utf8').split('\n');
    return (
      result.code === 0 &&
      lines[0]?.startsWith(`${commit} commit `) === true &&
      / tree \d+$/.test(lines[1] ?? '')
    );
  }

  /** By the names of refs alone: a new commit, which is what is asked for most, costs no process. */
  async #mayKeep(commit: string): Promise<boolean> {
    if (existsSync(join(this.path, commits, commit)) || existsSync(join(this.path, 'reftable'))) return true;
    const packed = await readFile(join(this.path, 'packed-refs'), 'latin1').catch(() => '');
    return packed.includes(`${commits}/${commit}`);
  }

  /** Remembers, beyond a restart, that the ref called `name` meant `commit`. */
  async record(name: string, commit: string, signal: AbortSignal): Promise<void> {
    const ref = `${last}/${refNameHash(name)}`;
    if (!(await writeLooseRef(this.path, ref, commit))) await this.#putRef(ref, commit, signal);
    await rm(this.#outdatedMark(name), { force: true });
  }

  /**
   * Remembers, beyond a crash, that the ref called `name` means a newer commit, which is not here: what was
   * recorded is no more, until `record`. A power cut may take the mark.
   */
  async outdate(name: string): Promise<void> {
    await writeFile(this.#outdatedMark(name), '');
  }

  #outdatedMark(name: string): string {
    return join(this.path, `outdated-${refNameHash(name)}`);
  }

  async #putRef(ref: string, commit: string, signal: AbortSignal): Promise<void> {
    const put = (): Promise<GitResult> => this.run(['update-ref', ref, commit], signal);
    // The commit was read a moment ago: git itself refuses one that is not here.
    if (existsSync(this.path) && (await put()).code === 0) return;
    await this.read(commit, null, signal, async () => {
      const result = await put();
      if (result.code !== 0) throw this.damage(lastLine(result.stderr));
    });
  }

  /** What `record` said last of the ref called `name`; null when nothing, or when that commit is not here, or not any more. */
  async recorded(name: string, signal: AbortSignal): Promise<string | null> {
    if (!existsSync(this.path) || existsSync(this.#outdatedMark(name))) return null;
    const result = await this.run(
      ['rev-parse', '--verify', '--quiet', `${last}/${refNameHash(name)}^{commit}`],
      signal,
    );
    return result.code === 0 ? result.stdout.toString('utf8').trim() : null;
  }

  /** Runs git on the mirror, whatever its exit code. */
  async run(
    args: readonly string[],
    signal: AbortSignal,
    input?: string,
    timeoutMs?: number,
  ): Promise<GitResult> {
    return this.#git.runIn(this.path, args, { signal, input, timeoutMs });
  }

  async stream(args: readonly string[], signal: AbortSignal): Promise<GitStream> {
    return this.#git.stream([`--git-dir=${this.path}`, ...args], signal);
  }

  /** What a failed read of the mirror is; `read` answers it by fetching anew. */
  damage(why: string): PointsmanError {
    return new PointsmanError('SourceCorrupt', `the mirror of ${this.location.display} is damaged: ${why}`);
  }

  /**
   * Lets go of every kept commit but `keep` and the recorded ones, and of records but those of the refs
   * called `names` (null keeps all of them), and packs what is left. Objects that nothing keeps go when they
   * were written more than `graceOfObjects` seconds ago; a reader that misses one has the mirror made anew.
   */
  async collect(
    keep: ReadonlySet<string>,
    names: ReadonlySet<string> | null,
    graceOfObjects: number,
    signal: AbortSignal,
  ): Promise<void> {
    if (!existsSync(this.path)) return;
    await this.#exclusively(signal, () =>
      collectMirror(
        (args, input, timeoutMs) => this.run(args, signal, input, timeoutMs),
        keep,
        names,
        graceOfObjects,
      ),
    );
  }

  async #ensure(commit: string, ref: string | null, signal: AbortSignal): Promise<void> {
    if (await this.has(commit, signal)) return;
    await this.#exclusively(signal, async () => {
      if (await this.has(commit, signal)) return;
      if (!existsSync(this.path)) this.#generation += 1;
      const damage = await this.#remote.fetchInto(this.path, commit, ref, signal);
      if (damage !== null) await this.#rebuild(commit, ref, damage, signal);
    });
  }

  /** Fetches into a new mirror and puts it in the place of the damaged one, which stays until that worked. */
  async #rebuild(commit: string, ref: string | null, why: string, signal: AbortSignal): Promise<void> {
    const mark = randomBytes(6).toString('hex');
    const fresh = `${this.path}.new-${mark}`;
    const old = `${this.path}.old-${mark}`;
    try {
      const failure = await this.#remote.fetchInto(fresh, commit, ref, signal).catch((error: unknown) => {
        if (!(error instanceof PointsmanError) || error.code !== 'SourceUnreachable') throw error;
        return error.message;
      });
      if (failure !== null) throw await this.#neither(why, failure);
      if (existsSync(this.path)) await rename(this.path, old);
      await rename(fresh, this.path);
      this.#isDistrusted = false;
      this.#generation += 1;
    } finally {
      await rm(fresh, { recursive: true, force: true });
      await rm(old, { recursive: true, force: true });
    }
  }

  /** Neither the mirror nor a new one will do. Git does not name a full disk in every message. */
  async #neither(why: string, failure: string): Promise<PointsmanError> {
    const folder = dirname(this.path);
    const message = (await isDiskFull(folder))
      ? `could not be written (${failure}): no space left on device; free space on the disk of ${folder}`
      : `is damaged and could not be fetched anew: ${failure}; check the repository, and space and permissions in ${folder}`;
    return new PointsmanError('SourceCorrupt', `the mirror of ${this.location.display} ${message}`, {
      detail: { damage: why },
    });
  }

  async #exclusively<T>(signal: AbortSignal, use: () => Promise<T>): Promise<T> {
    return withMirrorLock(dirname(this.path), mirrorName(this.location), this.location.display, signal, use);
  }
}

type Attempt<T> =
  { readonly kind: 'read'; readonly value: T } | { readonly kind: 'damaged'; readonly error: PointsmanError };

async function attempt<T>(reader: () => Promise<T>): Promise<Attempt<T>> {
  try {
    return { kind: 'read', value: await reader() };
  } catch (error) {
    if (error instanceof PointsmanError && error.code === 'SourceCorrupt') return { kind: 'damaged', error };
    throw error;
  }
}

/** Whether nothing can be written below `folder` for want of room or of files. False when it is not there. */
async function isDiskFull(folder: string): Promise<boolean> {
  const facts = await statfs(folder).catch(() => null);
  if (facts === null) return false;
  const { bavail, bsize, files, ffree } = facts;
  return bavail * bsize < leastRoomBytes || (files > 0 && ffree === 0);
}
