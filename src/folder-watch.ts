import { watch, type FSWatcher } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';

/** What of a folder is followed: null while it is not there. */
interface Followed {
  readonly identity: string | null;
  readonly watcher: FSWatcher | null;
}

/**
 * Tells which entries of some folders change. The kernel names the entry (inotify), so that a change costs
 * the same among ten files and ten thousand.
 */
export class FolderWatch {
  readonly #followed = new Map<string, Followed>();
  #turn: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(
    /** The path of an entry that was made, changed, moved or removed; of a folder that came or went. */
    private readonly onChange: (path: string) => void,
  ) {}

  /**
   * Watches these folders and no others: those that are there, and those anew that were replaced. Each is
   * watched before the next one is asked for, which may then depend on what is in it. A folder that goes
   * takes its watch with it, and nothing tells of one that comes where its parent is not watched: so this
   * is called again from time to time. Resolves, when changes are seen from now on, to whether some folder
   * is watched that was not. @throws the first thing that the system refuses; the others are watched then
   */
  refresh(folders: Iterable<string> | AsyncIterable<string>): Promise<boolean> {
    return this.#inTurn(async () => {
      const wanted = new Set<string>();
      const refused: unknown[] = [];
      let isMore = false;
      for await (const folder of folders) {
        if (this.#closed) return false;
        wanted.add(folder);
        await this.#follow(folder, false).then(
          (isNew) => (isMore ||= isNew),
          (error: unknown) => refused.push(error),
        );
      }
      for (const folder of this.#followed.keys()) if (!wanted.has(folder)) this.#forget(folder);
      if (refused.length > 0) throw refused[0];
      return isMore;
    });
  }

  /** Whether `path` is one of the folders, there or not. */
  follows(path: string): boolean {
    return this.#followed.has(path);
  }

  close(): void {
    this.#closed = true;
    for (const folder of this.#followed.keys()) this.#forget(folder);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#turn.then(work);
    this.#turn = next.catch(() => undefined);
    return next;
  }

  /** `anew`: the watch may be of a folder that is gone, whatever the new one looks like. */
  async #follow(folder: string, anew: boolean): Promise<boolean> {
    const identity = await identityOf(folder);
    const before = this.#followed.get(folder);
    const isOther = identity !== before?.identity;
    if (this.#closed || !(anew || isOther)) return false;
    // The new one first: where it is the same folder, nothing falls between the two.
    const watcher = identity === null ? null : this.#watch(folder);
    this.#followed.set(folder, { identity: watcher === null ? null : identity, watcher });
    before?.watcher?.close();
    // Also when a name that was a folder's is another entry's now.
    if (before !== undefined && (isOther || identity === null)) this.onChange(folder);
    return watcher !== null;
  }

  /** Null where there is no such folder any more. */
  #watch(folder: string): FSWatcher | null {
    try {
      // What the kernel tells of the folder itself comes under the last part of its path: a name that no entry has.
      const watcher = watch(`${folder}/.`, (_event, name) => this.#onEvent(folder, name ?? '.'));
      // As if it were not there: the next refresh looks.
      watcher.on('error', () => {
        watcher.close();
        this.#followed.set(folder, { identity: null, watcher: null });
      });
      return watcher;
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  }

  #forget(folder: string): void {
    this.#followed.get(folder)?.watcher?.close();
    this.#followed.delete(folder);
  }

  #onEvent(folder: string, name: string): void {
    const path = join(folder, name);
    if (!this.#followed.has(path)) this.onChange(path);
    // One that cannot be watched any more has changed for all we know.
    else void this.#inTurn(() => this.#follow(path, true)).catch(() => this.onChange(path));
  }
}

/** Null where there is no such folder. One that is made again may have the number of the one before. */
export async function identityOf(folder: string): Promise<string | null> {
  try {
    const facts = await stat(folder);
    return facts.isDirectory() ? `${facts.dev} ${facts.ino} ${facts.birthtimeMs}` : null;
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR';
}
