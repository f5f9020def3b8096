import { watch, type FSWatcher } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';

/** What of a folder is followed: null while it is not there. */
interface Followed {
  readonly identity: string | null;
  readonly watcher: FSWatcher | null;
}

/**
 * Tells which entries of some folders change. The kernel names the entry (inotify), so that a change costs
 * the same among ten files and ten thousand: chokidar 5 lists the whole folder at each.
 */
export class FolderWatch {
  readonly #followed = new Map<string, Followed>();
  #turn: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(
    private readonly folders: ReadonlySet<string>,
    /** The path of an entry that was made, changed, moved or removed; of a folder that came or went. */
    private readonly onChange: (path: string) => void,
  ) {}

  /**
   * Watches the folders that are there, and those anew that were replaced. A folder that goes takes its
   * watch with it, and nothing tells of one that comes where its parent is not watched: so this is called
   * again from time to time. Resolves when changes are seen from now on. @throws what the system refuses
   */
  refresh(): Promise<void> {
    return this.#inTurn(async () => {
      for (const folder of this.folders) await this.#follow(folder, false);
    });
  }

  close(): void {
    this.#closed = true;
    for (const folder of this.folders) this.#forget(folder);
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const next = this.#turn.then(work);
    this.#turn = next.catch(() => undefined);
    return next;
  }

  /** `anew`: the watch may be of a folder that is gone, whatever the new one looks like. */
  async #follow(folder: string, anew: boolean): Promise<void> {
    const identity = await identityOf(folder);
    const before = this.#followed.get(folder);
    const isOther = identity !== before?.identity;
    if (this.#closed || !(anew || isOther)) return;
    // The new one first: where it is the same folder, nothing falls between the two.
    this.#followed.set(folder, { identity, watcher: identity === null ? null : this.#watch(folder) });
    before?.watcher?.close();
    if (before !== undefined && isOther) this.onChange(folder);
  }

  #watch(folder: string): FSWatcher {
    const watcher = watch(folder, (_event, name) => this.#onEvent(folder, name));
    watcher.on('error', () => this.#forget(folder));
    return watcher;
  }

  /** As if it were not there: the next refresh looks. */
  #forget(folder: string): void {
    this.#followed.get(folder)?.watcher?.close();
    this.#followed.set(folder, { identity: null, watcher: null });
  }

  #onEvent(folder: string, name: string | null): void {
    // The kernel's word on the folder itself comes under the folder's own name.
    const path = name === null || name === basename(folder) ? folder : join(folder, name);
    if (this.folders.has(path)) void this.#inTurn(() => this.#follow(path, true)).catch(() => undefined);
    else this.onChange(path);
  }
}

/** Null where there is no such folder. One that is made again may have the number of the one before. */
async function identityOf(folder: string): Promise<string | null> {
  try {
    const { dev, ino, birthtimeMs } = await stat(folder);
    return `${dev} ${ino} ${birthtimeMs}`;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw error;
  }
}
