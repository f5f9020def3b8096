/** Repositories with objects that no git program writes, read by the real git and the real adapters. */
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ConfigSnapshot } from '../../src/source/port.js';
import { commitTree, treeBytes, writeObject, writeTree, type CraftedEntry } from '../support/crafted-git.js';
import { createCraftedWorld, type CraftedWorld } from '../support/crafted-world.js';
import { entriesOf, sourceOf, type ContextEntry } from '../support/git-adapters.js';
import { rejection } from '../support/waiting.js';

const signal = new AbortController().signal;
let world: CraftedWorld;
let repository: string;
let adapters: ReturnType<CraftedWorld['open']>;

beforeEach(async () => {
  world = await createCraftedWorld();
  ({ repository } = world);
  adapters = world.open();
});
afterEach(() => world.cleanup());

const manifest = (name: string): string =>
  `apiVersion: pointsman.dev/v1\nkind: Project\nname: ${name}\nsource: { repo: https://git.example.com/a.git }\n`;
const blob = (text: string): Promise<string> => writeObject(repository, 'blob', text);
const entry = (mode: string, name: string | Buffer, oid: string): CraftedEntry => ({ mode, name, oid });
const nobody = '1'.repeat(40);

/** Commits this as `projects/`. */
async function commitProjects(entries: readonly CraftedEntry[]): Promise<string> {
  const projects = await writeTree(repository, entries);
  return commitTree(repository, await writeTree(repository, [entry('40000', 'projects', projects)]));
}

function namesOf({ desired }: ConfigSnapshot): readonly string[] {
  return [...(desired?.projects.keys() ?? [])].sort();
}

describe('a config repository with a crafted tree', () => {
  let good: CraftedEntry;
  let evilFile: string;
  let evilTree: string;

  beforeEach(async () => {
    good = entry('100644', 'good.yaml', await blob(manifest('good')));
    evilFile = await blob(manifest('evil'));
    evilTree = await writeTree(repository, [entry('100644', 'evil.yaml', evilFile)]);
    await commitProjects([good]);
    expect(namesOf(await adapters.config.sync(signal))).toEqual(['good']);
  });

  it.each<[string, string, string | Buffer]>([
    ['..', '40000', '..'],
    ['.', '40000', '.'],
    ['.git', '40000', '.git'],
    ['.GIT', '40000', '.GIT'],
    ['git~1', '40000', 'git~1'],
    ['a name with a slash', '100644', 'a/evil.yaml'],
    ['a name that leads out', '100644', '../../evil.yaml'],
    ['an absolute name', '100644', '/tmp/evil.yaml'],
    ['a folder with a slash', '40000', 'a/b'],
    ['mode 120000', '120000', 'evil.yaml'],
    ['mode 160000', '160000', 'evil.yaml'],
    ['a folder of mode 120000', '120000', 'evil.yml'],
    ['mode 0', '0', 'evil.yaml'],
    ['mode 000000', '000000', 'evil.yaml'],
    ['mode 777', '777', 'evil.yaml'],
    ['mode 177777', '177777', 'evil.yaml'],
  ])('%s: a problem beside projects that go on', async (_, mode, name) => {
    await commitProjects([entry(mode, name, mode === '40000' ? evilTree : evilFile), good]);
    const snapshot = await adapters.config.sync(signal);
    expect(snapshot.error).toBeNull();
    expect(namesOf(snapshot)).toEqual(['good']);
    expect(snapshot.desired?.problems).toHaveLength(1);
    expect(snapshot.desired?.problems[0]?.message).toMatch(/never followed/);
    expect(snapshot.desired?.removalsHeldBecause).not.toBeNull();
  });

  it('the same name twice: a problem, whichever of them comes first', async () => {
    const other = await blob(manifest('other'));
    for (const oids of [
      [evilFile, other],
      [other, evilFile],
    ]) {
      await commitProjects([...oids.map((oid) => entry('100644', 'evil.yaml', oid)), good]);
      const snapshot = await adapters.config.sync(signal);
      expect(namesOf(snapshot)).toEqual(['good']);
      expect(snapshot.desired?.problems).toHaveLength(2);
      for (const { message } of snapshot.desired?.problems ?? []) expect(message).toContain('more than once');
      expect(snapshot.desired?.removalsHeldBecause).toContain('projects/evil.yaml');
    }
  });

  it('a newline, an escape and bytes that are no UTF-8 in names: printable, and read', async () => {
    await commitProjects([
      good,
      entry('100644', 'a\nb.yaml', await blob(manifest('newline'))),
      entry('100644', '\u001b[2J.yaml', await blob('name: 1')),
      entry('100644', Buffer.from([0xff, 0xfe, 0x2e, 0x79, 0x6d, 0x6c]), await blob(manifest('bytes'))),
    ]);
    const snapshot = await adapters.config.sync(signal);
    expect(namesOf(snapshot)).toEqual(['bytes', 'good', 'newline']);
    expect(snapshot.desired?.projects.get('newline')?.file).toBe('projects/a\\x0ab.yaml');
    for (const { file } of snapshot.desired?.problems ?? []) expect(file).toBe('projects/\\x1b[2J.yaml');
    expect(snapshot.desired?.problems.length).toBeGreaterThan(0);
  });

  it('a wrong order changes nothing of what is read', async () => {
    await commitProjects([
      entry('100644', 'z.yaml', await blob(manifest('z'))),
      good,
      entry('40000', 'deep', evilTree),
      entry('100644', 'a.yaml', await blob(manifest('a'))),
    ]);
    expect(namesOf(await adapters.config.sync(signal))).toEqual(['a', 'evil', 'good', 'z']);
  });

  it.each([1_000, 70_000])('a name of %i characters is read, and its problems stay short', async (length) => {
    await commitProjects([good, entry('100644', `${'x'.repeat(length)}.yaml`, await blob('name: 1'))]);
    const snapshot = await adapters.config.sync(signal);
    expect(namesOf(snapshot)).toEqual(['good']);
    expect(snapshot.desired?.problems.length).toBeGreaterThan(0);
    for (const { file } of snapshot.desired?.problems ?? []) expect(file.length).toBeLessThan(600);
  });

  it.each<[string, string]>([
    ['a symbolic link', '120000'],
    ['a submodule', '160000'],
  ])('the whole folder as %s: a problem of the repository, nothing is removed', async (_, mode) => {
    await commitTree(repository, await writeTree(repository, [entry(mode, 'projects', await blob('/etc'))]));
    const snapshot = await adapters.config.sync(signal);
    expect(snapshot.desired?.problems.map(({ message }) => message)).toEqual([
      expect.stringContaining('is not a folder'),
    ]);
    expect(snapshot.desired?.removalsHeldBecause).not.toBeNull();
  });

  it('a tree that names itself ends: the hash of its own bytes cannot be known, so the same tree 70 levels deep', async () => {
    let tree = evilTree;
    for (let depth = 0; depth < 70; depth += 1)
      tree = await writeTree(repository, [entry('40000', 'd', tree)]);
    await commitProjects([entry('40000', 'deep', tree), good]);
    const snapshot = await adapters.config.sync(signal);
    expect(snapshot.error?.code).toBe('UnsupportedRepository');
    expect(namesOf(snapshot)).toEqual(['good']);
  });

  it('one tree a thousand times over, five levels deep, is refused before memory is gone', async () => {
    let tree = evilTree;
    for (let level = 0; level < 5; level += 1)
      tree = await writeTree(
        repository,
        Array.from({ length: 1_000 }, (_, each) => entry('40000', `d${String(each).padStart(4, '0')}`, tree)),
      );
    await commitProjects([entry('40000', 'many', tree), good]);
    const snapshot = await adapters.config.sync(signal);
    expect(snapshot.error?.code).toBe('UnsupportedRepository');
    expect(namesOf(snapshot)).toEqual(['good']);
  });

  it.each<[string, () => Promise<unknown>]>([
    ['a manifest that is missing', () => commitProjects([good, entry('100644', 'z.yaml', nobody)])],
    ['a folder that is missing', () => commitProjects([good, entry('40000', 'z', nobody)])],
    ['a root tree that is missing', () => commitTree(repository, nobody)],
    ['a manifest that is a tree', () => commitProjects([good, entry('100644', 'z.yaml', evilTree)])],
    ['a folder that is a file', () => commitProjects([good, entry('40000', 'z', evilFile)])],
    [
      'a tree cut in the middle of a hash',
      async () =>
        commitTree(repository, await writeObject(repository, 'tree', treeBytes([good]).subarray(0, -7))),
    ],
    [
      'a tree cut in the middle of a name',
      async () => commitTree(repository, await writeObject(repository, 'tree', '100644 good.ya')),
    ],
    [
      'a tree of other bytes',
      async () => commitTree(repository, await writeObject(repository, 'tree', Buffer.alloc(500, 0xee))),
    ],
    [
      'a tree whose file is cut',
      async () => {
        const commit = await commitProjects([good, entry('40000', 'z', evilTree)]);
        await truncate(join(repository, 'objects', evilTree.slice(0, 2), evilTree.slice(2)), 10);
        return commit;
      },
    ],
    [
      'a commit without a tree',
      async () => {
        const commit = await writeObject(repository, 'commit', 'author nobody\n\nx\n');
        await writeFile(join(repository, 'refs/heads/main'), `${commit}\n`);
      },
    ],
    ['a branch that is a blob', async () => writeFile(join(repository, 'refs/heads/main'), `${evilFile}\n`)],
    ['a branch that is nothing', async () => writeFile(join(repository, 'refs/heads/main'), `${nobody}\n`)],
  ])('%s: said of the repository, and the last good state goes on', async (_, craft) => {
    await craft();
    const snapshot = await adapters.config.sync(signal);
    expect(snapshot.error?.message).toMatch(/repository\.git/);
    expect(namesOf(snapshot)).toEqual(['good']);
    // A commit that mends it heals it.
    await commitProjects([good, entry('100644', 'new.yaml', await blob(manifest('new')))]);
    const healed = await adapters.config.sync(signal);
    expect(healed.error).toBeNull();
    expect(namesOf(healed)).toEqual(['good', 'new']);
  });
});

describe('an application with a crafted tree', () => {
  async function contextOf(
    entries: readonly CraftedEntry[],
  ): Promise<{ readonly entries: readonly ContextEntry[]; readonly left: readonly string[] }> {
    const dockerfile = entry('100644', 'Dockerfile', await blob('FROM node:base\n'));
    const tree = await writeTree(repository, [dockerfile, ...entries]);
    const commit = await commitTree(repository, tree);
    const source = sourceOf(repository, { commit });
    const resolved = await adapters.sources.resolve(source, signal);
    const left: string[] = [];
    const stream = await adapters.sources.context(source, resolved, (line) => left.push(line), signal);
    return { entries: await entriesOf(stream), left };
  }

  it.each<[string, string | Buffer]>([
    ['..', '..'],
    ['.', '.'],
    ['.git', '.git'],
    ['.GIT', '.GIT'],
    ['git~1', 'git~1'],
    ['a name that leads out', '../../evil'],
    ['a winding name', 'a/../../evil'],
    ['an absolute name', '/tmp/evil'],
  ])('%s ends the build for good, whether it is a file or a folder', async (_, name) => {
    const evil = await blob('evil');
    const inside = await writeTree(repository, [entry('100644', 'evil', evil)]);
    for (const crafted of [entry('100644', name, evil), entry('40000', name, inside)]) {
      const error = await rejection(contextOf([crafted]));
      expect(error).toMatchObject({ code: 'UnsupportedRepository', reaction: 'stall' });
      expect(error.message).toContain('a name that git does not take');
    }
  });

  it('nothing goes through a link, also where one name is a link and a folder', async () => {
    const evil = await blob('evil');
    const up = await blob('..');
    const out = await blob('../..');
    const folderOf = (entries: readonly CraftedEntry[]): Promise<string> => writeTree(repository, entries);
    const twice = await folderOf([
      entry('120000', 'l', up),
      entry('40000', 'l', await folderOf([entry('120000', 'm', out), entry('100644', 'n', evil)])),
    ]);
    const { entries, left } = await contextOf([entry('40000', 'a', twice)]);
    const names = entries.map(({ name }) => name);
    expect(names).toContain('a/l');
    expect(names).not.toContain('a/l/m');
    expect(names).not.toContain('a/l/n');
    expect(left.join('\n')).toMatch(/"a\/l\/m" is left out .* below a symbolic link/);
  });

  it('a link over a file of the same name is what the builder gets last, and leads nowhere outside', async () => {
    const { entries } = await contextOf([
      entry('100644', 'x', await blob('plain')),
      entry('120000', 'x', await blob('/etc/passwd')),
    ]);
    expect(entries.filter(({ name }) => name === 'x')).toMatchObject([{ type: 'file', body: 'plain' }]);
  });

  it.each<[string, () => Promise<readonly CraftedEntry[]>]>([
    ['a file that is missing', async () => [entry('100644', 'z', nobody)]],
    ['a folder that is missing', async () => [entry('40000', 'z', nobody)]],
    [
      'a folder that is cut',
      async () => [entry('40000', 'z', await writeObject(repository, 'tree', '100644 good.ya'))],
    ],
    ['a folder that is a file', async () => [entry('40000', 'z', await blob('x'))]],
  ])('%s: an error of this repository alone', async (_, craft) => {
    const error = await rejection(contextOf(await craft()));
    expect(error.message).toMatch(/repository\.git/);
    expect(error.code).toMatch(/^(?:SourceCorrupt|SourceUnreachable|CommitMissing)$/);
  });

  it('names of thousands of characters and of every sign end neither git nor the archive', async () => {
    const evil = await blob('evil');
    const names = ['x'.repeat(5_000), '-rf', '--help', 'a\nb', '$(id)', '*', 'é'];
    const { entries } = await contextOf(names.map((name) => entry('100644', name, evil)));
    expect(entries.map(({ name }) => name)).toEqual(['Dockerfile', ...names]);
  });

  it('modes that are none: what git makes of them, and nothing else', async () => {
    const evil = await blob('evil');
    for (const mode of ['0', '000000', '100777', '104755', '177777', '777']) {
      const result = await contextOf([entry(mode, 'odd', evil)]).catch((error: unknown) => error);
      if (result instanceof Error) expect(result).toMatchObject({ name: 'PointsmanError' });
      else {
        const { entries } = result as Awaited<ReturnType<typeof contextOf>>;
        for (const { name, type } of entries)
          expect(`${name} ${type}`).toMatch(/^(?:Dockerfile file|odd file|odd\/ directory)$/);
      }
    }
  });
});
