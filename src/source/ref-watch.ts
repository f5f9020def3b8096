import { watch, type FSWatcher } from 'chokidar';
import { stat } from 'node:fs/promises';
import { basename, isAbsolute, relative, sep } from 'node:path';
import { refFolders } from './local-refs.js';

/**
 * The first event is told at once, and what may have followed it is told so long after it: of two changes
 * within 50 ms the watcher lets the second one fall (chokidar 5), and no event comes after it.
 */
const againMs = 200;

/**
 * Watches the refs of a local repository: HEAD, packed refs, loose refs, reftable, of the common
 * folder and, for a linked work tree, its own HEAD. Folders are watched, never files, so that a file
 * that is replaced by a rename goes on being seen.
 */
export class RefWatch {
  onChange: () => void;
  readonly #path: string;
  #watcher: FSWatcher | null = null;
  /** Which folders on disk are watched; `` while there are none. */
  #identity = '';
  #timer: NodeJS.Timeout | null = null;
  #changedAgain = false;
  #closed = false;

  constructor(path: string, onChange: () => void) {
    this.#path = path;
    this.onChange = onChange;
  }

  /**
   * Starts watching, or starts again where the repository was made, moved or replaced since. Resolves
   * when changes are seen. A repository that is not there is watched from a later call on.
   */
  async refresh(): Promise<void> {
    const folders = await refFolders(this.#path);
    const identity = await identityOf(folders);
    if (identity === this.#identity || this.#closed) return;
    await this.#watcher?.close();
    this.#watcher = null;
    this.#identity = identity;
    if (identity === '') return;
    const watcher = watch([...folders], {
      ignoreInitial: true,
      persistent: true,
      atomic: false,
      followSymlinks: false,
      ignored: (path) => !isRefPath(path, folders),
    });
    this.#watcher = watcher;
    watcher.on('all', () => this.#changed());
    // A folder that vanishes under the watcher: the next refresh looks again.
    watcher.on('error', () => {
      this.#identity = '';
    });
    await new Promise<void>((done) => watcher.once('ready', () => done()));
    if (this.#closed) await watcher.close();
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    await this.#watcher?.close();
    this.#watcher = null;
  }

  #changed(): void {
    if (this.#closed) return;
    this.#changedAgain = this.#timer !== null;
    if (this.#changedAgain) return;
    this.#tellAgain();
    this.onChange();
  }

  #tellAgain(): void {
    this.#timer = setTimeout(() => {
      this.#timer = null;
      if (this.#changedAgain) this.#tellAgain();
      this.#changedAgain = false;
      this.onChange();
    }, againMs);
  }
}

async function identityOf(folders: readonly string[]): Promise<string> {
  const parts: string[] = [];
  for (const folder of folders) {
    const facts = await stat(folder).catch(() => null);
    if (facts === null) return '';
    parts.push(`${folder} ${facts.dev} ${facts.ino}`);
  }
  return parts.join('\n');
}

function isRefPath(path: string, folders: readonly string[]): boolean {
  if (path.endsWith('.lock')) return false;
  return folders.some((folder) => {
    const inside = relative(folder, path);
    if (inside.startsWith('..') || isAbsolute(inside)) return false;
    const [top = ''] = inside.split(sep);
    if (top === 'refs' || top === 'reftable') return true;
    return inside === '' || inside === 'HEAD' || inside === 'packed-refs' || basename(inside) === '';
  });
}
