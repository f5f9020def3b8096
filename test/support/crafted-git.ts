/** Git objects that no git program would write, as loose objects. */
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { git } from './git.js';

/** As it stands in the tree: `name` may be bytes, and `oid` need not be there. */
export interface CraftedEntry {
  readonly mode: string;
  readonly name: string | Buffer;
  readonly oid: string;
}

/** Writes an object without looking at it. Resolves to its id. */
export async function writeObject(
  gitFolder: string,
  type: 'blob' | 'tree' | 'commit',
  body: string | Buffer,
): Promise<string> {
  const bytes = Buffer.from(body);
  const whole = Buffer.concat([Buffer.from(`${type} ${bytes.length}\0`), bytes]);
  const oid = createHash('sha1').update(whole).digest('hex');
  const folder = join(gitFolder, 'objects', oid.slice(0, 2));
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, oid.slice(2)), deflateSync(whole));
  return oid;
}

/** The bytes of a tree with these entries, in this order. */
export function treeBytes(entries: readonly CraftedEntry[]): Buffer {
  return Buffer.concat(
    entries.flatMap(({ mode, name, oid }) => [
      Buffer.from(`${mode} `),
      Buffer.from(name),
      Buffer.from([0]),
      Buffer.from(oid, 'hex'),
    ]),
  );
}

export async function writeTree(gitFolder: string, entries: readonly CraftedEntry[]): Promise<string> {
  return writeObject(gitFolder, 'tree', treeBytes(entries));
}

/** In the order in which git writes them: by bytes, a folder as if its name ended in a slash. */
export function inOrder(entries: readonly CraftedEntry[]): readonly CraftedEntry[] {
  const key = ({ mode, name }: CraftedEntry): Buffer =>
    Buffer.concat([Buffer.from(name), Buffer.from(/^0?40000$/.test(mode) ? '/' : '')]);
  return [...entries].sort((a, b) => Buffer.compare(key(a), key(b)));
}

/** A commit of this root tree, which becomes `branch` of the bare repository. Resolves to the commit. */
export async function commitTree(repository: string, tree: string, branch = 'main'): Promise<string> {
  const who = 'Test <test@example.com> 1700000000 +0000';
  const body = `tree ${tree}\nauthor ${who}\ncommitter ${who}\n\ncrafted\n`;
  const commit = await writeObject(repository, 'commit', body);
  await git(repository, 'update-ref', `refs/heads/${branch}`, commit);
  return commit;
}
