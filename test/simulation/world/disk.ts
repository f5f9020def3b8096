/**
 * A disk in memory, in the place of `node:fs/promises` while the controller's code is simulated.
 * Specification: what is written is seen at once by everybody; it survives a power cut only after the
 * file (contents) and its folder (names) were synced. A process that dies loses nothing. Every file
 * belongs to the controller's user.
 */
import { basename, dirname } from 'node:path';
import { never } from './scheduler.js';

interface Inode {
  readonly number: number;
  data: Buffer;
  synced: Buffer;
  mode: number;
}

export type DiskFault = 'crash-before' | 'crash-after' | 'power-before' | 'power-after' | 'error' | 'timeout';

export class Disk {
  names = new Map<string, Inode>();
  durable = new Map<string, Inode>();
  readonly folders = new Set<string>(['/']);
  /** While a life is being ended nothing it still asks for takes place. */
  isFrozen = false;
  strike: (operation: string, path: string) => DiskFault | null = () => null;
  onFault: (kind: 'process' | 'power') => void = () => undefined;
  onReplace: (path: string, text: string) => void = () => undefined;
  #inodes = 0;

  make(mode: number): Inode {
    return { number: (this.#inodes += 1), data: Buffer.alloc(0), synced: Buffer.alloc(0), mode };
  }

  /** A person puts a file there, and it stays. */
  place(path: string, text: string, mode: number): void {
    const inode = this.make(mode);
    inode.data = inode.synced = Buffer.from(text);
    for (const names of [this.names, this.durable]) names.set(path, inode);
  }

  /** A person takes a file away. */
  take(path: string): void {
    for (const names of [this.names, this.durable]) names.delete(path);
  }

  powerCut(): void {
    this.names = new Map(this.durable);
    for (const inode of this.names.values()) inode.data = inode.synced;
  }

  /** Runs one operation, or what a fault makes of it. */
  async run<T>(operation: string, path: string, apply: () => T): Promise<T> {
    if (this.isFrozen) return never();
    const fault = this.strike(operation, path);
    if (fault === null) return apply();
    if (fault === 'crash-before' || fault === 'power-before') return this.#end(fault);
    if (fault === 'error') throw failure('EIO', operation, path);
    const value = apply();
    if (fault === 'timeout') throw failure('EIO', operation, path);
    void value;
    return this.#end(fault);
  }

  #end(fault: DiskFault): Promise<never> {
    this.isFrozen = true;
    this.onFault(fault.startsWith('power') ? 'power' : 'process');
    return never();
  }
}

let disk = new Disk();

/** The disk that every later call works on. */
export function useDisk(other: Disk): void {
  disk = other;
}

function failure(code: string, operation: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${operation} '${path}'`), { code, path, syscall: operation });
}

function found(path: string, operation: string): Inode {
  const inode = disk.names.get(path);
  if (inode === undefined) throw failure('ENOENT', operation, path);
  return inode;
}

class Handle {
  constructor(
    private readonly path: string,
    private readonly inode: Inode | null,
  ) {}

  write(
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ bytesWritten: number }> {
    return disk.run('write', this.path, () => {
      const inode = this.#file();
      const data = Buffer.alloc(Math.max(inode.data.length, position + length));
      inode.data.copy(data);
      data.set(buffer.subarray(offset, offset + length), position);
      inode.data = data;
      return { bytesWritten: length };
    });
  }

  writeFile(data: string | Uint8Array): Promise<void> {
    return disk.run('write', this.path, () => void (this.#file().data = Buffer.from(data as string)));
  }

  async readFile(encoding?: string): Promise<Buffer | string> {
    return encoding === undefined ? this.#file().data : this.#file().data.toString('utf8');
  }

  sync(): Promise<void> {
    return disk.run('fsync', this.path, () => {
      if (this.inode !== null) return void (this.inode.synced = this.inode.data);
      for (const path of [...disk.durable.keys()])
        if (dirname(path) === this.path && !disk.names.has(path)) disk.durable.delete(path);
      for (const [path, inode] of disk.names) if (dirname(path) === this.path) disk.durable.set(path, inode);
    });
  }

  datasync(): Promise<void> {
    return this.sync();
  }

  async chmod(mode: number): Promise<void> {
    if (this.inode !== null) this.inode.mode = mode;
  }

  truncate(length: number): Promise<void> {
    return disk.run(
      'truncate',
      this.path,
      () => void (this.#file().data = this.#file().data.subarray(0, length)),
    );
  }

  async stat(): Promise<Facts> {
    return factsOf(this.#file());
  }

  async close(): Promise<void> {
    // A handle holds nothing.
  }

  #file(): Inode {
    if (this.inode === null) throw failure('EISDIR', 'write', this.path);
    return this.inode;
  }
}

interface Facts {
  readonly size: number;
  readonly ino: number;
  readonly dev: number;
  readonly mode: number;
  readonly uid: number;
  isFile(): boolean;
}

function factsOf(inode: Inode): Facts {
  const { data, number: ino, mode } = inode;
  return { size: data.length, ino, dev: 1, mode, uid: process.geteuid?.() ?? 0, isFile: () => true };
}

export function open(path: string, flags: number | string = 0, mode = 0o644): Promise<Handle> {
  const creates = typeof flags === 'number' && (flags & 0o100) !== 0;
  const apply = (): Handle => {
    const inode = disk.names.get(path);
    if (inode !== undefined) return new Handle(path, inode);
    if (!creates) {
      if (disk.folders.has(path)) return new Handle(path, null);
      throw failure('ENOENT', 'open', path);
    }
    const made = disk.make(mode);
    disk.names.set(path, made);
    return new Handle(path, made);
  };
  return creates ? disk.run('create', path, apply) : settled(apply);
}

export function stat(path: string): Promise<Facts> {
  return settled(() => factsOf(found(path, 'stat')));
}

export function readFile(path: string, encoding?: string): Promise<Buffer | string> {
  return settled(() => {
    const { data } = found(path, 'open');
    return encoding === undefined ? data : data.toString('utf8');
  });
}

export function writeFile(
  path: string,
  data: string | Uint8Array,
  options: { mode?: number } = {},
): Promise<void> {
  return disk.run('write', path, () => {
    const inode = disk.names.get(path) ?? disk.make(options.mode ?? 0o644);
    inode.data = Buffer.from(data as string);
    disk.names.set(path, inode);
  });
}

export function rename(from: string, to: string): Promise<void> {
  return disk.run('rename', to, () => {
    const inode = found(from, 'rename');
    disk.names.delete(from);
    disk.names.set(to, inode);
    if (basename(to) === 'status.json') disk.onReplace(to, inode.data.toString('utf8'));
  });
}

export function unlink(path: string): Promise<void> {
  return disk.run('unlink', path, () => {
    found(path, 'unlink');
    disk.names.delete(path);
  });
}

export function link(from: string, to: string): Promise<void> {
  return disk.run('link', to, () => {
    if (disk.names.has(to)) throw failure('EEXIST', 'link', to);
    disk.names.set(to, found(from, 'link'));
  });
}

export async function copyFile(from: string, to: string): Promise<void> {
  await writeFile(to, (await readFile(from)) as Buffer);
}

export function readdir(path: string): Promise<string[]> {
  return settled(() => {
    if (!disk.folders.has(path)) throw failure('ENOENT', 'scandir', path);
    return [...disk.names.keys()].filter((name) => dirname(name) === path).map((name) => basename(name));
  });
}

export function mkdir(path: string, _options?: unknown): Promise<undefined> {
  return settled(() => {
    for (let folder = path; folder !== '/'; folder = dirname(folder)) disk.folders.add(folder);
    return undefined;
  });
}

export async function chmod(): Promise<void> {
  // Permissions play no part in the simulation.
}

export async function utimes(): Promise<void> {
  // Nothing reads them.
}

export async function rm(path: string): Promise<void> {
  disk.names.delete(path);
}

/** A look: it has no effect, and comes back in the same turn. */
async function settled<T>(apply: () => T): Promise<T> {
  return disk.isFrozen ? never() : apply();
}
