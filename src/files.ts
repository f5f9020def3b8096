import { randomBytes } from 'node:crypto';
import { closeSync, constants, fstatSync, lstatSync, openSync, readFileSync, statSync } from 'node:fs';
import { mkdir, open, readdir, rename, unlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

/**
 * Replaces `path` by `data`: readers see the old bytes or the new ones, never a part, and after the
 * promise resolves the new ones survive a power cut. `mode` is the new file's permissions. Not `isDurable`
 * is for what is written anew after a power cut anyway: it waits for no disk.
 */
export async function replaceFile(
  path: string,
  data: string | Uint8Array,
  mode: number,
  isDurable = true,
): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  const handle = await open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, mode);
  try {
    try {
      await handle.chmod(mode);
      await handle.writeFile(data);
      if (isDurable) await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  if (isDurable) await syncFolder(dirname(path));
}

/** Takes away what a `replaceFile` that was killed left in `folder`; nobody else may write there meanwhile. */
export async function dropTemporaries(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (/^\..+\.[0-9a-f]{12}\.tmp$/.test(name)) await removeFile(join(folder, name));
  }
}

/**
 * The first `most` bytes of a regular file; one byte more tells the caller that there is more, so ask for
 * one more than is wanted. Never waits for a pipe. `followLinks`: whether `file` itself may be a link.
 */
export async function readBounded(
  file: string,
  most: number,
  { followLinks }: { readonly followLinks: boolean },
): Promise<Uint8Array> {
  const noFollow = followLinks ? 0 : constants.O_NOFOLLOW;
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK | noFollow);
  try {
    if (!(await handle.stat()).isFile()) throw new Error('it is not a regular file');
    const buffer = Buffer.allocUnsafe(most);
    let length = 0;
    while (length < most) {
      const { bytesRead } = await handle.read(buffer, length, most - length, length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return buffer.subarray(0, length);
  } finally {
    await handle.close();
  }
}

/** Of a file that is read at once, bytes: far more than the longest that nginx is given. */
const mostAtOnce = 16 * 1024 * 1024;

/** What stands in the place of a file of ours and cannot be one. */
export class NoFileOfOurs extends Error {
  override readonly name = 'NoFileOfOurs';
}

/**
 * The bytes of a small file of our own, at once: that takes 0.01 ms of the processor, where a thread of the
 * pool takes 0.19 (means of 3,000 reads of 1.5 kB). Null when there is none. Everything waits for it: never
 * for a pipe, but where the file system hangs. @throws NoFileOfOurs for what is no regular file, or longer
 * than `most` bytes
 */
export function bytesAtOnce(path: string, most = mostAtOnce): Buffer | null {
  const descriptor = orMissing(() => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
  if (descriptor === undefined) return null;
  try {
    const facts = fstatSync(descriptor);
    if (!facts.isFile()) throw new NoFileOfOurs(`${path} is not a regular file`);
    if (facts.size > most) throw new NoFileOfOurs(`${path} has more than ${most} bytes`);
    return readFileSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** The same as text. */
export function textAtOnce(path: string): string | null {
  return bytesAtOnce(path)?.toString('utf8') ?? null;
}

/** Why there can be no folder, in words. `code` is the errno. */
export class NoFolder extends Error {
  override readonly name = 'NoFolder';
  readonly syscall = 'mkdir';

  constructor(
    message: string,
    readonly code: string,
    cause?: unknown,
  ) {
    super(message, { cause });
  }
}

/** `path` and the folders above it that are not there, the highest first. @throws NoFolder when something else is in the way */
export function missingFolders(path: string): readonly string[] {
  const missing: string[] = [];
  for (let folder = resolve(path); ; folder = dirname(folder)) {
    // Looked at once, so that a folder somebody makes meanwhile is there or is not, and no link.
    const entry = orMissing(() => lstatSync(folder));
    const found = entry?.isSymbolicLink() === true ? orMissing(() => statSync(folder)) : entry;
    if (found?.isDirectory() === true) return missing;
    if (found !== undefined) throw new NoFolder(`${folder} is not a folder`, 'ENOTDIR');
    if (entry !== undefined) throw new NoFolder(`${folder} is a link to what is not there`, 'EEXIST');
    missing.unshift(folder);
  }
}

function orMissing<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

/**
 * Makes the folder and those above it that are missing, one by one: node's recursive `mkdir` never ends where
 * the file system refuses with ENOENT, as /proc does. @throws NoFolder when there can be none
 */
export async function makeFolder(path: string, mode = 0o777): Promise<void> {
  for (const folder of missingFolders(path)) {
    try {
      await mkdir(folder, mode);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? '';
      // Somebody else made it meanwhile.
      if (code === 'EEXIST' && missingFolders(folder).length === 0) continue;
      const why = refusals[code]?.(dirname(folder));
      throw why === undefined ? error : new NoFolder(why, code, error);
    }
  }
}

const refusals: Readonly<Record<string, (above: string) => string>> = {
  ENOENT: (above) => `no folder can be made in ${above}`,
  EACCES: (above) => `${above} may not be written to by this user`,
  EPERM: (above) => `${above} may not be written to by this user`,
  EROFS: (above) => `${above} is on a file system that is read-only`,
};

/** Removes `path` durably. A file that is gone already is fine. */
export async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  await syncFolder(dirname(path));
}

/** Makes creations, renames and removals in `folder` survive a power cut. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
