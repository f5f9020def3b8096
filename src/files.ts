import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readdir, rename, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

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
    const buffer = Buffer.alloc(most);
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
