import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { foreignObject, looseBlobSize, looseObject, writeLooseRef } from '../../src/source/loose-objects.js';
import { commitFiles, git, makeRepository } from '../support/git.js';

const ref = 'refs/pointsman/last/0123';

let folder: string;
let gitdir: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pointsman loose '));
  gitdir = await makeRepository(join(folder, 'a'), { bare: true });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it.each([
  ['nothing', ''],
  ['one byte', 'a'],
  ['what cannot be compressed', randomBytes(30_000).toString('base64')],
  ['what can be compressed to nearly nothing', 'a'.repeat(3_000_000)],
])('tells how long a blob is: %s', async (_, text) => {
  await commitFiles(gitdir, { file: text });
  const oid = await git(gitdir, 'rev-parse', 'main:file');
  expect(await looseBlobSize(gitdir, oid)).toBe(text.length);
});

it('leaves to git what is no blob in a file of its own, or a broken one', async () => {
  const commit = await commitFiles(gitdir, { file: 'text' });
  const oid = await git(gitdir, 'rev-parse', 'main:file');
  expect(await looseBlobSize(gitdir, commit)).toBeNull();
  expect(await looseBlobSize(gitdir, '0'.repeat(40))).toBeNull();
  const file = join(gitdir, 'objects', oid.slice(0, 2), oid.slice(2));
  await git(gitdir, 'repack', '--quiet', '-a');
  for (const bytes of [2, 0]) {
    await truncate(file, bytes);
    expect(await looseBlobSize(gitdir, oid)).toBeNull();
  }
  await writeFile(file, 'blob 4\0text');
  expect(await looseBlobSize(gitdir, oid)).toBeNull();
  await rm(file);
  expect(await looseBlobSize(gitdir, oid)).toBeNull();
});

it('reads an object whole, of whatever type', async () => {
  const commit = await commitFiles(gitdir, { file: 'text' });
  const blob = await git(gitdir, 'rev-parse', 'main:file');
  const tree = await git(gitdir, 'rev-parse', 'main^{tree}');
  expect(looseObject(gitdir, blob)).toEqual({ type: 'blob', bytes: Buffer.from('text') });
  expect(looseObject(gitdir, commit)?.type).toBe('commit');
  expect(looseObject(gitdir, commit)?.bytes.toString('utf8')).toMatch(new RegExp(`^tree ${tree}\n`));
  expect(looseObject(gitdir, tree)?.bytes.toString('hex').endsWith(blob)).toBe(true);
});

it('reads no object that is packed, too long, cut, or another one than its name says', async () => {
  const commit = await commitFiles(gitdir, {
    file: 'text',
    long: 'a'.repeat(3_000_000),
    dense: randomBytes(1_200_000).toString('base64'),
    other: 'another',
  });
  const oid = await git(gitdir, 'rev-parse', 'main:file');
  const other = await git(gitdir, 'rev-parse', 'main:other');
  for (const name of ['long', 'dense'])
    expect(looseObject(gitdir, await git(gitdir, 'rev-parse', `main:${name}`))).toBeNull();
  const fileOf = (hash: string): string => join(gitdir, 'objects', hash.slice(0, 2), hash.slice(2));
  await rm(fileOf(oid));
  await copyFile(fileOf(other), fileOf(oid));
  expect(looseObject(gitdir, oid)).toBeNull();
  await truncate(fileOf(other), 5);
  expect(looseObject(gitdir, other)).toBeNull();
  await rm(fileOf(commit));
  expect(looseObject(gitdir, commit)).toBeNull();
});

it('writes a ref that git reads, over one that is packed too', async () => {
  const first = await commitFiles(gitdir, { file: '1' });
  expect(await writeLooseRef(gitdir, ref, first)).toBe(true);
  await git(gitdir, 'pack-refs', '--all', '--prune');
  const second = await commitFiles(gitdir, { file: '2' });
  expect(await git(gitdir, 'rev-parse', ref)).toBe(first);
  expect(await writeLooseRef(gitdir, ref, second)).toBe(true);
  expect(await git(gitdir, 'rev-parse', ref)).toBe(second);
  expect(existsSync(join(gitdir, `${ref}.lock`))).toBe(false);
});

it('makes nothing that others can read or write, whatever our umask is', async () => {
  const commit = await commitFiles(gitdir, { file: '1' });
  const umask = process.umask(0);
  try {
    expect(await writeLooseRef(gitdir, ref, commit)).toBe(true);
  } finally {
    process.umask(umask);
  }
  for (const path of ['refs/pointsman', 'refs/pointsman/last', ref])
    expect((await stat(join(gitdir, path))).mode & 0o077).toBe(0);
});

it('leaves to git a ref that somebody else is writing', async () => {
  const commit = await commitFiles(gitdir, { file: '1' });
  await mkdir(join(gitdir, 'refs/pointsman/last'), { recursive: true });
  await writeFile(join(gitdir, `${ref}.lock`), '');
  expect(await writeLooseRef(gitdir, ref, commit)).toBe(false);
  expect(existsSync(join(gitdir, `${ref}.lock`))).toBe(true);
  expect(existsSync(join(gitdir, ref))).toBe(false);
});

it('leaves to git a commit that has no file, and refs that have none', async () => {
  const commit = await commitFiles(gitdir, { file: '1' });
  expect(await writeLooseRef(gitdir, ref, '1'.repeat(40))).toBe(false);
  expect(await writeLooseRef(join(folder, 'none'), ref, commit)).toBe(false);
  await mkdir(join(gitdir, 'reftable'));
  expect(await writeLooseRef(gitdir, ref, commit)).toBe(false);
  expect(existsSync(join(folder, 'none'))).toBe(false);
  expect(existsSync(join(gitdir, ref))).toBe(false);
});

it('reads of a foreign repository what is whole and what its name says, and nothing else', async () => {
  await commitFiles(gitdir, { file: 'text', other: 'other' });
  const [oid, other] = [
    await git(gitdir, 'rev-parse', 'main:file'),
    await git(gitdir, 'rev-parse', 'main:other'),
  ];
  const fileOf = (id: string) => join(gitdir, 'objects', id.slice(0, 2), id.slice(2));
  expect(await foreignObject(gitdir, oid)).toEqual({ type: 'blob', bytes: Buffer.from('text') });
  expect(await foreignObject(gitdir, '0'.repeat(40))).toBeNull();
  const file = fileOf(oid);
  await rm(file);
  await copyFile(fileOf(other), file);
  expect(await foreignObject(gitdir, oid)).toBeNull();
  await rm(file);
  await symlink(fileOf(other), file);
  expect(await foreignObject(gitdir, other)).not.toBeNull();
  expect(await foreignObject(gitdir, oid)).toBeNull();
  await rm(file);
  // Nobody ever writes to it.
  execFileSync('mkfifo', [file]);
  expect(await foreignObject(gitdir, oid)).toBeNull();
  await rm(file);
  await writeFile(file, deflateSync('a'.repeat(3_000_000)));
  expect(await foreignObject(gitdir, oid)).toBeNull();
  await writeFile(file, randomBytes(1024 * 1024 + 1));
  expect(await foreignObject(gitdir, oid)).toBeNull();
});
