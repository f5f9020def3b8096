import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type PQueue from 'p-queue';
import { PointsmanError } from '../errors.js';
import { makeFolder, replaceFile } from '../files.js';
import type { GitCredential } from '../settings/settings.js';
import { withAccess } from './credentials.js';
import type { Git, GitResult } from './git.js';
import { explainRemote, lastLine, remoteError, sha256Refused, type RemoteFailure } from './git-errors.js';
import type { RepositoryLocation } from './location.js';
import { commits, full, incoming } from './mirror-refs.js';

/** How much a listing asks the server for. Each covers the ones before it. */
export const listingScopes = ['branches', 'branches-and-tags', 'all'] as const;
export type ListingScope = (typeof listingScopes)[number];

export interface Listing {
  readonly scope: ListingScope;
  /** Full ref name (also `HEAD` in scope `all`) to commit; annotated tags are peeled. */
  readonly refs: ReadonlyMap<string, string>;
}

const listTimeoutMs = 30_000;
const fetchTimeoutMs = 10 * 60_000;

/** Undoes every attribute that changes what `git archive` writes, so that it gives a blob's own bytes. */
const attributes =
  '* -export-ignore -export-subst -text -ident -filter !eol !working-tree-encoding !crlf -diff -merge\n';

/** The repository that is mirrored, wherever it stands: what it has, and getting it from there. */
export class Remote {
  readonly location: RepositoryLocation;
  readonly #credential: GitCredential | null;
  readonly #git: Git;
  readonly #queue: PQueue;

  constructor(deps: {
    readonly git: Git;
    readonly location: RepositoryLocation;
    readonly credential: GitCredential | null;
    /** Of calls that talk to the server. */
    readonly queue: PQueue;
  }) {
    this.#queue = deps.queue;
    this.#git = deps.git;
    this.location = deps.location;
    this.#credential = deps.credential;
  }

  /** Asks the remote for its refs. @throws PointsmanError SourceUnreachable, UnsupportedRepository */
  async list(scope: ListingScope, signal: AbortSignal): Promise<Listing> {
    const filters = { branches: ['--heads'], 'branches-and-tags': ['--heads', '--tags'], all: ['--symref'] }[
      scope
    ];
    const result = await this.#remotely(
      ['ls-remote', ...filters, '--', this.location.url],
      listTimeoutMs,
      signal,
    );
    if (result.code !== 0) {
      const failure = explainRemote(result.stderr, this.#context);
      if (failure.kind === 'remote') throw failure.error;
      throw remoteError(
        'SourceUnreachable',
        'the connection failed; check the server and the network',
        this.#context,
        lastLine(result.stderr),
      );
    }
    const refs = new Map<string, string>();
    for (const line of result.stdout.toString('utf8').split('\n')) {
      const [hash, name] = line.split('\t');
      if (hash === undefined || name === undefined || hash.startsWith('ref: ')) continue;
      if (hash.length === 64) throw sha256Refused(this.#context);
      // `<tag>^{}` follows its tag and names the commit behind it.
      refs.set(name.endsWith('^{}') ? name.slice(0, -3) : name, hash);
    }
    return { scope, refs };
  }

  /**
   * Makes `commit` a kept one of the mirror at `path`, which is made when it is not there. Resolves to
   * what is wrong with that mirror, null when nothing.
   * @throws PointsmanError SourceUnreachable, CommitMissing, UnsupportedRepository
   */
  async fetchInto(
    path: string,
    commit: string,
    ref: string | null,
    signal: AbortSignal,
  ): Promise<string | null> {
    const broken = await this.#initialise(path, signal);
    if (broken !== null) return broken;
    const failure = await this.#fetchCommit(path, commit, ref, signal);
    if (failure === null) return null;
    if (failure.kind === 'remote') throw failure.error;
    const { display } = this.location;
    if (failure.kind === 'local') {
      const type = await this.#typeOf(path, commit, signal);
      if (type === null || type === 'commit') return failure.message;
      throw new PointsmanError(
        'CommitMissing',
        `${commit} in ${display} is a ${type}, not a commit; name a commit`,
      );
    }
    throw new PointsmanError(
      'CommitMissing',
      `commit ${commit} is not in ${display}; push it, or name one that is there`,
    );
  }

  /** Null when the object is not here. */
  async #typeOf(path: string, object: string, signal: AbortSignal): Promise<string | null> {
    const { code, stdout } = await this.#git.runIn(path, ['cat-file', '-t', object], { signal });
    return code === 0 ? stdout.toString('utf8').trim() : null;
  }

  /** By its hash; else by a ref that had it; else everything, with its history. */
  async #fetchCommit(
    path: string,
    commit: string,
    ref: string | null,
    signal: AbortSignal,
  ): Promise<RemoteFailure | null> {
    const byHash = await this.#fetch(path, ['--depth=1'], [`+${commit}:${commits}/${commit}`], signal);
    if (byHash === null || byHash.kind === 'local' || byHash.kind === 'remote') return byHash;
    if (byHash.kind === 'hash-refused' && ref !== null) {
      // A name that the schema took and the server has: nothing in it is more than a name to a refspec.
      const byRef = await this.#fetch(path, ['--depth=1'], [`+${ref}:${incoming}`], signal);
      if (byRef?.kind === 'local' || byRef?.kind === 'remote') return byRef;
      // The ref may have moved on since it was listed.
      if (byRef === null && (await this.#keep(path, commit, signal))) return null;
    }
    const whole = existsSync(join(path, 'shallow')) ? '--unshallow' : '--update-shallow';
    const refspecs = [`+refs/heads/*:${full}/heads/*`, `+refs/tags/*:${full}/tags/*`];
    const all = await this.#fetch(path, [whole, '--prune'], refspecs, signal);
    if (all !== null) return all;
    return (await this.#keep(path, commit, signal)) ? null : { kind: 'hash-refused' };
  }

  /** True when `commit` is here; it is kept then. */
  async #keep(path: string, commit: string, signal: AbortSignal): Promise<boolean> {
    if ((await this.#typeOf(path, commit, signal)) !== 'commit') return false;
    const kept = await this.#git.runIn(path, ['update-ref', `${commits}/${commit}`, commit], { signal });
    return kept.code === 0;
  }

  async #fetch(
    path: string,
    depth: readonly string[],
    refspecs: readonly string[],
    signal: AbortSignal,
  ): Promise<RemoteFailure | null> {
    const options = [
      '--quiet',
      '--force',
      '--no-tags',
      '--no-write-fetch-head',
      '--no-recurse-submodules',
      ...depth,
    ];
    const args = [`--git-dir=${path}`, 'fetch', ...options, '--', this.location.url, ...refspecs];
    const result = await this.#remotely(args, fetchTimeoutMs, signal);
    return result.code === 0 ? null : explainRemote(result.stderr, this.#context);
  }

  /** Resolves to what is wrong, null when the mirror is ready. The attributes file is written last, as the mark of a whole one. */
  async #initialise(path: string, signal: AbortSignal): Promise<string | null> {
    const marker = join(path, 'info', 'attributes');
    if (existsSync(marker)) return null;
    const made = await this.#git.run({
      // Private whatever our umask is.
      args: ['init', '--quiet', '--bare', '--shared=0600', '--template=', '--', path],
      signal,
    });
    if (made.code !== 0) return lastLine(made.stderr);
    await makeFolder(dirname(marker), 0o700);
    await replaceFile(marker, attributes, 0o600);
    return null;
  }

  async #remotely(args: readonly string[], timeoutMs: number, signal: AbortSignal): Promise<GitResult> {
    await this.#git.prepare();
    try {
      return await withAccess(this.#git.folder, this.location, this.#credential, (access) =>
        this.#git.run({ args, signal, timeoutMs, access, queue: this.#queue }),
      );
    } catch (error) {
      if (!(error instanceof PointsmanError)) throw error;
      throw new PointsmanError(error.code, `cannot reach ${this.location.display}: ${error.message}`, {
        cause: error,
      });
    }
  }

  /** @throws PointsmanError when `commit` cannot be the hash of a commit here */
  refuseHash(commit: string): void {
    if (/^[0-9a-f]{64}$/.test(commit)) throw sha256Refused(this.#context);
    if (/^[0-9a-f]{40}$/.test(commit)) return;
    throw new PointsmanError(
      'CommitMissing',
      `${JSON.stringify(commit)} is not a commit hash; write its 40 hex digits`,
    );
  }

  get #context(): { location: RepositoryLocation; credential: GitCredential | null } {
    return { location: this.location, credential: this.#credential };
  }
}
