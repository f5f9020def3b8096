import fs from 'node:fs';
import git from 'isomorphic-git';
import { messageOf } from '../errors.js';
import { foreignObject, looseBlobSize, looseObject } from './loose-objects.js';
import type { Mirror } from './mirror.js';

export interface TreeEntry {
  /** Six octal digits: `040000` folder, `100644` and `100755` files, `120000` symbolic link, `160000` submodule. */
  readonly mode: string;
  /** Bytes that are not UTF-8 show as U+FFFD. */
  readonly name: string;
  readonly oid: string;
}

/** Git objects of one repository, by id. A read that fails rejects with SourceCorrupt. */
export interface ObjectStore {
  /** The root tree of a commit. */
  rootTree(commit: string): Promise<string>;
  /** Of a tree that is too long, `mostTreeEntries` and one more. */
  tree(oid: string): Promise<readonly TreeEntry[]>;
  /** Bytes of each blob, without reading them. */
  sizes(oids: readonly string[]): Promise<ReadonlyMap<string, number>>;
  /** Each blob with its bytes, in order, of those that `sizes` names. */
  blobs(sizes: ReadonlyMap<string, number>): AsyncIterable<readonly [oid: string, bytes: Uint8Array]>;
}

/** Up to so many blobs are read in process; more through one `git cat-file`, which is far quicker at that. */
const fewBlobs = 16;
/** Entries of one tree that are read. More of them, packed into little, could take all memory. */
export const mostTreeEntries = 200_000;
/** What one `git cat-file` is asked for, bytes. */
const batchBytes = 16 * 1024 * 1024;

/** What a new commit of a few projects has, several folders deep. */
const mostForeign = 100;

/**
 * The objects of the repository whose git folder is `gitdir`, on this machine and not ours: those that stand
 * in files of their own, as a new commit's do, and few of them. Any other read rejects: git has to fetch it.
 */
export function openForeignObjects(gitdir: string, signal: AbortSignal): ObjectStore {
  const contents = new Map<string, Buffer>();
  let left = mostForeign;
  const read = async (oid: string, type: string): Promise<Buffer> => {
    signal.throwIfAborted();
    const object = left > 0 ? await foreignObject(gitdir, oid) : null;
    left -= 1;
    if (object?.type !== type) throw new Error(`${gitdir} has no ${type} ${oid} that can be read at once`);
    return object.bytes;
  };
  const damage = (why: string): Error => new Error(`${gitdir}: ${why}`);
  return {
    ...commitsAndTrees(read, damage),
    async sizes(oids) {
      if (oids.length > fewBlobs) throw damage(`${oids.length} files are new`);
      // Read whole: what the header says of its length is true when the hash is.
      for (const oid of oids) contents.set(oid, await read(oid, 'blob'));
      return new Map(Array.from(contents, ([oid, bytes]) => [oid, bytes.length]));
    },
    async *blobs(sizes) {
      for (const oid of sizes.keys()) yield [oid, contents.get(oid) ?? (await read(oid, 'blob'))];
    },
  };
}

/** Reads a mirror in process. Packs that were opened stay in memory as long as the store is held. */
export function openObjects(mirror: Mirror, signal: AbortSignal): ObjectStore {
  const cache = {};
  const read = async (oid: string, type: string): Promise<Buffer> => {
    signal.throwIfAborted();
    const loose = looseObject(mirror.path, oid);
    if (loose?.type === type) return loose.bytes;
    let found: Awaited<ReturnType<typeof git.readObject>>;
    try {
      found = await git.readObject({ fs, gitdir: mirror.path, oid, format: 'content', cache });
    } catch (error) {
      throw mirror.damage(messageOf(error));
    }
    if (found.type !== type || !(found.object instanceof Uint8Array))
      throw mirror.damage(`object ${oid} is no ${type}`);
    return Buffer.from(found.object);
  };
  return {
    ...commitsAndTrees(read, (why) => mirror.damage(why)),
    async *blobs(sizes) {
      if (sizes.size <= fewBlobs) {
        for (const oid of sizes.keys()) yield [oid, await read(oid, 'blob')];
        return;
      }
      for (const batch of batches(sizes)) {
        const { stdout } = await mirror.run(['cat-file', '--batch'], signal, `${batch.join('\n')}\n`);
        let start = 0;
        for (const oid of batch) {
          const header = `${oid} blob ${sizes.get(oid) ?? 0}\n`;
          const from = start + header.length;
          const end = from + (sizes.get(oid) ?? 0);
          if (end >= stdout.length || stdout.toString('latin1', start, from) !== header)
            throw mirror.damage(`blob ${oid} cannot be read`);
          yield [oid, stdout.subarray(from, end)];
          start = end + 1;
        }
      }
    },
    async sizes(oids) {
      const sizes = new Map<string, number>();
      for (const oid of oids.length > fewBlobs ? [] : oids) {
        const size = await looseBlobSize(mirror.path, oid);
        if (size !== null) sizes.set(oid, size);
      }
      const others = oids.filter((oid) => !sizes.has(oid));
      if (others.length === 0) return sizes;
      const result = await mirror.run(['cat-file', '--batch-check'], signal, `${others.join('\n')}\n`);
      for (const line of result.stdout.toString('latin1').split('\n')) {
        const [, oid, size] = /^([0-9a-f]{40}) blob (\d+)$/.exec(line) ?? [];
        if (oid !== undefined && size !== undefined) sizes.set(oid, Number(size));
      }
      const missing = oids.find((oid) => !sizes.has(oid));
      if (missing !== undefined) throw mirror.damage(`blob ${missing} is missing`);
      return sizes;
    },
  };
}

function commitsAndTrees(
  read: (oid: string, type: string) => Promise<Buffer>,
  damage: (why: string) => Error,
): Pick<ObjectStore, 'rootTree' | 'tree'> {
  return {
    async rootTree(commit) {
      const text = (await read(commit, 'commit')).toString('latin1', 0, 45);
      const oid = /^tree ([0-9a-f]{40})$/.exec(text)?.[1];
      if (oid === undefined) throw damage(`commit ${commit} names no tree`);
      return oid;
    },
    async tree(oid) {
      const entries = parseTree(await read(oid, 'tree'));
      if (entries === null) throw damage(`tree ${oid} cannot be understood`);
      return entries;
    },
  };
}

function* batches(sizes: ReadonlyMap<string, number>): Iterable<readonly string[]> {
  let batch: string[] = [];
  let bytes = 0;
  for (const [oid, size] of sizes) {
    if (batch.length > 0 && bytes + size > batchBytes) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(oid);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}

/**
 * The entries of a raw tree, in its order, at most `mostTreeEntries` and one more; null when it is cut or
 * has another form. isomorphic-git's own tree reader refuses a whole folder for one file name with a backslash, so it is not used.
 */
export function parseTree(bytes: Buffer): readonly TreeEntry[] | null {
  const entries: TreeEntry[] = [];
  for (let start = 0; start < bytes.length && entries.length <= mostTreeEntries;) {
    const space = bytes.indexOf(0x20, start);
    const end = space === -1 ? -1 : bytes.indexOf(0, space);
    // Git refuses one without a name.
    if (end <= space + 1 || end + 21 > bytes.length) return null;
    const mode = bytes.toString('latin1', start, space);
    if (!/^[0-7]{1,6}$/.test(mode)) return null;
    entries.push({
      mode: mode.padStart(6, '0'),
      name: bytes.toString('utf8', space + 1, end),
      oid: bytes.toString('hex', end + 1, end + 21),
    });
    start = end + 21;
  }
  return entries;
}
