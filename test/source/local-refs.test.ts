import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { looseRef } from '../../src/source/local-refs.js';
import { commitFiles, git, makeRepository } from '../support/git.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pointsman refs '));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it.each([true, false])('reads the tip of a repository, bare: %s', async (bare) => {
  const path = await makeRepository(join(folder, 'a'), { bare });
  const commit = await commitFiles(path, { a: 'a' });
  expect(await looseRef(path, 'refs/heads/main')).toBe(commit);
});

it('reads that of a linked work tree where its refs are', async () => {
  const path = await makeRepository(join(folder, 'a'));
  const commit = await commitFiles(path, { a: 'a' });
  await git(path, 'worktree', 'add', '--quiet', '--detach', join(folder, 'b'), commit);
  expect(await looseRef(join(folder, 'b'), 'refs/heads/main')).toBe(commit);
});

it('leaves to git whatever is no plain ref in a file', async () => {
  const path = await makeRepository(join(folder, 'a'), { bare: true });
  const commit = await commitFiles(path, { a: 'a' });
  await git(path, 'symbolic-ref', 'refs/heads/also', 'refs/heads/main');
  expect(await looseRef(path, 'refs/heads/also')).toBeNull();
  expect(await looseRef(path, 'refs/heads/none')).toBeNull();
  expect(await looseRef(join(folder, 'none'), 'refs/heads/main')).toBeNull();
  for (const text of ['', commit.slice(0, 20), `${'1'.repeat(64)}\n`]) {
    await writeFile(join(path, 'refs/heads/odd'), text);
    expect(await looseRef(path, 'refs/heads/odd')).toBeNull();
  }
  await rm(join(path, 'refs/heads/odd'));
  await git(path, 'pack-refs', '--all');
  expect(await looseRef(path, 'refs/heads/main')).toBeNull();
});
