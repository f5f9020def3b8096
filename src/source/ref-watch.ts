import { lstat, readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { FolderWatch, identityOf } from '../folder-watch.js';
import { refFolders } from './local-refs.js';

/** The first change is told at once, all that follow within this time together: a push may move hundreds of refs. */
const gatherMs = 200;
/**
 * At most so many folders are watched, the outer ones first: the kernel has a limit for all that a user runs
 * (8,192 on small machines). Refs in the others are seen when the repository is looked at next, each interval.
 */
const mostFolders = 1_000;
/** What a git folder has of refs. */
const refEntries = new Set(['HEAD', 'packed-refs', 'refs', 'reftable']);

/**
 * Watches the refs of a local repository: HEAD, packed refs, loose refs, reftable, of the common folder and,
 * for a linked work tree, of its own. Symbolic links are not followed. What cannot be watched is left to the
 * looks at each interval, and tried again by the next `refresh`.
 */
export class RefWatch {
  onChange: () => void;
  readonly #path: string;
  readonly #folders = new FolderWatch((path) => this.#onEvent(path));
  /** The git folders. */
  #roots: readonly string[] = [];
  /** Of the git folders, when everything below them was watched last; null when something could not be. */
  #identity: string | null = null;
  /** Entries that were not told yet. */
  readonly #changed = new Set<string>();
  #isTelling = false;
  readonly #closing = new AbortController();

  constructor(path: string, onChange: () => void) {
    this.#path = path;
    this.onChange = onChange;
  }

  /**
   * Starts watching, or starts again where the repository was made, moved or replaced since; costs a few
   * calls of the system when it was not. Resolves when changes are seen. Never rejects: a repository that is
   * not there is watched from a later call on.
   */
  async refresh(): Promise<void> {
    await this.#follow(false);
  }

  close(): void {
    this.#closing.abort();
    this.#folders.close();
  }

  /** Resolves to whether some folder may be watched that was not. `anew`: whether the git folders are the same or not. */
  async #follow(anew: boolean): Promise<boolean> {
    try {
      const roots = await refFolders(this.#path);
      const identities = await Promise.all(roots.map(async (root) => [root, await identityOf(root)]));
      const identity = JSON.stringify(identities);
      if (!anew && identity === this.#identity) return false;
      this.#roots = roots;
      const isMore = await this.#folders.refresh(foldersBelow(roots));
      this.#identity = identity;
      return isMore;
    } catch {
      this.#identity = null;
      return true;
    }
  }

  #onEvent(path: string): void {
    if (!isOfRefs(path, this.#roots)) return;
    this.#changed.add(path);
    if (!this.#isTelling) void this.#tell();
  }

  /** Until there is nothing more to tell. */
  async #tell(): Promise<void> {
    const { signal } = this.#closing;
    this.#isTelling = true;
    let isMore = false;
    do {
      const paths = [...this.#changed];
      this.#changed.clear();
      this.onChange();
      const pause = delay(gatherMs, undefined, { signal }).catch(() => undefined);
      // A folder that came may have got a ref before it was watched: that one is told by the next call.
      isMore = (await this.#isFolderAmong(paths)) && (await this.#follow(true));
      await pause;
    } while (!signal.aborted && (isMore || this.#changed.size > 0));
    this.#isTelling = false;
  }

  /** Whether one of them is a folder, or was one. */
  async #isFolderAmong(paths: readonly string[]): Promise<boolean> {
    for (const path of paths) {
      if (this.#folders.follows(path)) return true;
      const facts = await lstat(path).catch(() => null);
      if (facts?.isDirectory() === true) return true;
    }
    return false;
  }
}

/** Lists a folder after it was taken: when it is watched, so that none that comes later goes unseen. */
async function* foldersBelow(roots: readonly string[]): AsyncGenerator<string> {
  const folders = [...roots];
  for (const folder of folders) {
    yield folder;
    for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
      const path = join(folder, entry.name);
      if (entry.isDirectory() && folders.length < mostFolders && isOfRefs(path, roots)) folders.push(path);
    }
  }
}

/** Of what changes in the folders that are watched. */
function isOfRefs(path: string, roots: readonly string[]): boolean {
  const [folder, name] = [dirname(path), basename(path)];
  // Git writes `<name>.lock` and renames it.
  if (name.endsWith('.lock')) return false;
  if (roots.includes(folder)) return refEntries.has(name);
  // Tables come before the list that names them, and mean nothing till then.
  if (basename(folder) === 'reftable' && roots.includes(dirname(folder))) return name === 'tables.list';
  return true;
}
