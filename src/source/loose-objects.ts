/**
 * What a small fetch brought stands in files of its own, one for each object, until git packs it: such a
 * one can be asked about and read without a process, in 0.3 ms for 6 ms. Null or false: it takes more than that.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { open, rename, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { constants, inflateSync } from 'node:zlib';
import { bytesAtOnce, makeFolder, readBounded } from '../files.js';

/** Of an object's file; deflated, the header is far shorter. */
const headBytes = 512;
/** Of an object that is read whole, bytes, deflated and not. */
const longestObject = 1024 * 1024;

/** Bytes of the blob, from the header of its file. */
export async function looseBlobSize(gitdir: string, oid: string): Promise<number | null> {
  try {
    const head = await readBounded(fileOf(gitdir, oid), headBytes, { followLinks: false });
    // The input is cut: without this flush that would be an error.
    const text = inflateSync(head, { finishFlush: constants.Z_SYNC_FLUSH }).toString('latin1', 0, 32);
    const size = /^blob (\d+)\0/.exec(text)?.[1];
    return size === undefined ? null : Number(size);
  } catch {
    return null;
  }
}

export interface GitObject {
  readonly type: string;
  readonly bytes: Buffer;
}

/** An object that is found whole, with the hash that it is called by. */
export function looseObject(gitdir: string, oid: string): GitObject | null {
  try {
    const file = bytesAtOnce(fileOf(gitdir, oid), longestObject);
    return file === null ? null : parseObject(file, oid);
  } catch {
    return null;
  }
}

/** The same of a repository that is not ours, and may stand on a file system that hangs: by a thread, so that only who asks waits. */
export async function foreignObject(gitdir: string, oid: string): Promise<GitObject | null> {
  try {
    const file = await readBounded(fileOf(gitdir, oid), longestObject + 1, { followLinks: false });
    return file.length > longestObject ? null : parseObject(file, oid);
  } catch {
    return null;
  }
}

/** Null when it is not `oid`, or not whole. */
function parseObject(file: Uint8Array, oid: string): GitObject | null {
  try {
    const whole = inflateSync(file, { maxOutputLength: longestObject });
    const end = whole.indexOf(0);
    const [, type, size] = /^(\w+) (\d+)$/.exec(whole.toString('latin1', 0, Math.max(end, 0))) ?? [];
    const bytes = whole.subarray(end + 1);
    if (type === undefined || Number(size) !== bytes.length) return null;
    return createHash('sha1').update(whole).digest('hex') === oid ? { type, bytes } : null;
  } catch {
    return null;
  }
}

/** Points `ref` to `commit` as git itself does: written to `<ref>.lock`, which nobody else has then, and renamed. */
export async function writeLooseRef(gitdir: string, ref: string, commit: string): Promise<boolean> {
  if (existsSync(join(gitdir, 'reftable')) || !existsSync(fileOf(gitdir, commit))) return false;
  const path = join(gitdir, ref);
  const lock = `${path}.lock`;
  try {
    await makeFolder(dirname(path), 0o700);
    const handle = await open(lock, 'wx', 0o600);
    try {
      await handle.writeFile(`${commit}\n`);
      await handle.sync();
      await rename(lock, path);
      return true;
    } catch (error) {
      await unlink(lock).catch(() => undefined);
      throw error;
    } finally {
      await handle.close();
    }
  } catch {
    return false;
  }
}

function fileOf(gitdir: string, oid: string): string {
  return join(gitdir, 'objects', oid.slice(0, 2), oid.slice(2));
}
