/** The corpus as names: of files, folders, branches and repositories, on disk and in Git. */
import { cp, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { PointsmanError } from '../../src/errors.js';
import { parseSettings } from '../../src/settings/load.js';
import { parseLocation } from '../../src/source/location.js';
import { commitTree, inOrder, writeObject, writeTree, type CraftedEntry } from '../support/crafted-git.js';
import { createCraftedWorld, manifest, namesOf, type CraftedWorld } from '../support/crafted-world.js';
import { entriesOf, sourceOf } from '../support/git-adapters.js';
import { commitFiles, makeRepository } from '../support/git.js';
import { hostileTexts } from './corpus.js';

const signal = new AbortController().signal;
const unprintable = /[\u0000-\u001f\u007f-\u009f]/;
let world: CraftedWorld;
let repository: string;

beforeEach(async () => {
  world = await createCraftedWorld();
  ({ repository } = world);
});
afterEach(() => world.cleanup());

const blob = (text: string): Promise<string> => writeObject(repository, 'blob', text);

/** What can stand in a tree at all; an empty name cannot, see `crafted-objects`. */
const inTrees = hostileTexts.filter((text) => text !== '' && !text.includes('\0'));

it('of files: each is read, or a problem of its own with a printable place', async () => {
  const files = await Promise.all(
    inTrees.map(async (text, index) => {
      const name = `${text}.yaml`;
      const isRead = !text.includes('/') && Buffer.byteLength(name) <= 255;
      return { isRead, project: `p${index}`, name, oid: await blob(manifest(`p${index}`)) };
    }),
  );
  const entries = files.map(({ name, oid }): CraftedEntry => ({ mode: '100644', name, oid }));
  const projects = await writeTree(repository, inOrder(entries));
  await commitTree(
    repository,
    await writeTree(repository, [{ mode: '40000', name: 'projects', oid: projects }]),
  );
  const snapshot = await world.open().config.sync(signal);
  expect(snapshot.error).toBeNull();
  const read = files.filter(({ isRead }) => isRead).map(({ project }) => project);
  expect(namesOf(snapshot)).toEqual(read.sort());
  expect(read.length).toBeGreaterThan(40);
  const problems = snapshot.desired?.problems ?? [];
  expect(problems).toHaveLength(files.length - read.length);
  for (const { file, message } of problems) {
    expect(`${file} ${message}`).not.toMatch(unprintable);
    expect(file.length).toBeLessThan(300);
  }
  for (const { file } of snapshot.desired?.projects.values() ?? [])
    expect(file).toMatch(/^projects\/[^\u0000-\u001f\u007f-\u009f]+\.yaml$/);
});

it('of folders: each is searched, hidden, or a problem of the folder that it stands in', async () => {
  const kinds = await Promise.all(
    inTrees.map(async (text, index) => {
      const inside = { mode: '100644', name: 'a.yaml', oid: await blob(manifest(`p${index}`)) };
      const isImpossible = text.includes('/') || text === '.' || text === '..';
      const kind =
        isImpossible || Buffer.byteLength(text) > 255 ? 'problem' : text.startsWith('.') ? 'hidden' : 'read';
      return {
        kind,
        project: `p${index}`,
        entry: { mode: '40000', name: text, oid: await writeTree(repository, [inside]) },
      };
    }),
  );
  const projects = await writeTree(repository, inOrder(kinds.map(({ entry }) => entry)));
  await commitTree(
    repository,
    await writeTree(repository, [{ mode: '40000', name: 'projects', oid: projects }]),
  );
  const snapshot = await world.open().config.sync(signal);
  expect(snapshot.error).toBeNull();
  const ofKind = (wanted: string): readonly string[] =>
    kinds.filter(({ kind }) => kind === wanted).map(({ project }) => project);
  expect(namesOf(snapshot)).toEqual([...ofKind('read')].sort());
  const problems = snapshot.desired?.problems ?? [];
  expect(problems).toHaveLength(ofKind('problem').length);
  for (const { file, message } of problems) expect(`${file} ${message}`).not.toMatch(unprintable);
});

it('of branches beside the one that is followed: nothing changes', { timeout: 300_000 }, async () => {
  const tip = await commitFiles(repository, { 'projects/a.yaml': manifest('main') });
  const other = await commitFiles(
    repository,
    { 'projects/a.yaml': manifest('other') },
    { branch: 'other', orphan: true },
  );
  const { config } = world.open();
  expect(namesOf(await config.sync(signal))).toEqual(['main']);
  let followed = 0;
  // A line of packed-refs holds all but its end. Where git takes it for damage, the last good state goes on.
  for (const text of inTrees.filter((each) => !each.includes('\n'))) {
    const lines = [`${tip} refs/heads/main`, `${other} refs/heads/${text}`];
    await rm(join(repository, 'refs/heads'), { recursive: true });
    await mkdir(join(repository, 'refs/heads'));
    await writeFile(join(repository, 'packed-refs'), `# pack-refs with: peeled \n${lines.join('\n')}\n`);
    const snapshot = await config.sync(signal);
    expect(namesOf(snapshot), text).toEqual(['main']);
    if (snapshot.error === null) followed += 1;
    else expect(snapshot.error.message).toMatch(/^[^\u0000-\u001f\u007f-\u009f]*repository\.git/);
  }
  expect(followed).toBeGreaterThan(30);
});

it('of the branch in the settings: refused, or that branch and no other', { timeout: 300_000 }, async () => {
  await commitFiles(repository, { 'projects/a.yaml': manifest('main') });
  const other = await commitFiles(
    repository,
    { 'projects/a.yaml': manifest('other') },
    { branch: 'x1', orphan: true },
  );
  const taken: string[] = [];
  for (const text of hostileTexts) {
    const settings = JSON.stringify({ configRepo: { url: repository, branch: text } });
    const loaded = parseSettings('/etc/p.yaml', Buffer.from(settings), {});
    if ('problems' in loaded) continue;
    taken.push(text);
    const missing = await world.open({ branch: text }).config.sync(signal);
    expect(missing.desired, text).toBeNull();
    expect(missing.error?.message).toMatch(/repository\.git/);
    await writeFile(
      join(repository, 'packed-refs'),
      `# pack-refs with: peeled \n${other} refs/heads/${text}\n`,
    );
    const there = await world.open({ branch: text }).config.sync(signal);
    // What git itself takes for no branch is missing to it.
    expect([['other'], []]).toContainEqual(namesOf(there));
    await rm(join(repository, 'packed-refs'));
  }
  process.stdout.write(`hostile branches: ${taken.length} of ${hostileTexts.length} taken by the settings\n`);
  expect(taken.length).toBeGreaterThan(10);
});

it(
  'of repositories on this machine: refused, or that repository and no other',
  { timeout: 300_000 },
  async () => {
    const plain = await makeRepository(join(world.folder, 'repository.git', 'plain'), { bare: true });
    await commitFiles(plain, { 'projects/a.yaml': manifest('plain'), Dockerfile: 'FROM node:base\n' });
    const files = inTrees.filter((text) => !/^\.{1,2}$|\//.test(text) && Buffer.byteLength(text) <= 255);
    let used = 0;
    for (const text of files) {
      const path = join(world.folder, 'repository.git', 'all', text);
      await cp(plain, path, { recursive: true });
      try {
        parseLocation(path);
      } catch (error) {
        expect(error).toBeInstanceOf(PointsmanError);
        expect(text).toMatch(unprintable);
        continue;
      }
      used += 1;
      const { config, sources } = world.open({ url: path });
      const snapshot = await config.sync(signal);
      expect(snapshot.error, text).toBeNull();
      expect(namesOf(snapshot)).toEqual(['plain']);
      const source = sourceOf(path);
      const resolved = await sources.resolve(source, signal);
      const context = await entriesOf(await sources.context(source, resolved, () => undefined, signal));
      expect(context.map(({ name }) => name)).toContain('Dockerfile');
    }
    process.stdout.write(`hostile repositories: ${used} of ${files.length} read\n`);
    expect(used).toBeGreaterThan(35);
    expect(await readdir(join(world.folder, 'repository.git', 'all'))).toHaveLength(files.length);
  },
);
