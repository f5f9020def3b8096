import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { readBounded } from '../files.js';

/** Longest file that is looked into, bytes: the path of a folder is the longest thing of interest. */
const longestFile = 8 * 1024;
/** A hash with its line end, and one byte more, bytes. */
const longestRef = 42;

/** The folders that hold refs: the common one first. Empty when there is no repository. */
export async function refFolders(path: string): Promise<readonly string[]> {
  const own = await gitFolder(path);
  if (own === null) return [];
  const common = await textOf(join(own, 'commondir'), longestFile);
  return common === null ? [own] : [resolve(own, common.trim()), own];
}

async function gitFolder(path: string): Promise<string | null> {
  const dotGit = join(path, '.git');
  const facts = await stat(dotGit).catch(() => null);
  if (facts?.isDirectory() === true) return dotGit;
  if (facts?.isFile() === true) {
    const target = /^gitdir: (.+)$/m.exec((await textOf(dotGit, longestFile)) ?? '')?.[1];
    return target === undefined ? null : resolve(path, target);
  }
  const head = await stat(join(path, 'HEAD')).catch(() => null);
  return head?.isFile() === true ? path : null;
}

/**
 * The commit that `ref` (a full name) of the repository at `path` points to, without a process: 0.3 ms for
 * 6 ms of `git ls-remote`. Null when it has to be listed: it is packed, symbolic, missing or unreadable.
 */
export async function looseRef(path: string, ref: string): Promise<string | null> {
  const [common] = await refFolders(path);
  if (common === undefined) return null;
  const text = await textOf(join(common, ref), longestRef);
  return /^([0-9a-f]{40})\n$/.exec(text ?? '')?.[1] ?? null;
}

/**
 * Null when there is no such regular file: whoever can write to a repository must not stop us by a pipe,
 * a link or a file without end.
 */
async function textOf(file: string, most: number): Promise<string | null> {
  const bytes = await readBounded(file, most, { followLinks: false }).catch(() => null);
  return bytes === null ? null : Buffer.from(bytes).toString('utf8');
}
