/** Repositories with objects that no git program writes, read by the real git and the real adapters. */
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { GitSource } from '../../src/source/port.js';
import {
  commitTree,
  inOrder,
  treeBytes,
  writeObject,
  writeTree,
  type CraftedEntry,
} from '../support/crafted-git.js';
import { createCraftedWorld, manifest, namesOf, type CraftedWorld } from '../support/crafted-world.js';
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

const blob = (text: string): Promise<string> => writeObject(repository, 'blob', text);
const entry = (mode: string, name: string | Buffer, oid: string): CraftedEntry => ({ mode, name, oid });
const nobody = '1'.repeat(40);

/** Commits this as `projects/`. */
async function commitProjects(entries: readonly CraftedEntry[]): Promise<string> {
  const projects = await writeTree(repository, entries);
  return commitTree(repository, await writeTree(repository, [entry('40000', 'projects', projects)]));
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
    const [found] = snapshot.desired?.problems ?? [];
    expect(found?.message).toMatch(/never followed/);
    // A name that makes no path is said of its folder.
    const isPath = typeof name === 'string' && /^evil\.ya?ml$/.test(name);
    expect(found?.file).toBe(isPath ? `projects/${name}` : 'projects');
    if (!isPath)
      expect(found?.message).toContain(`the folder projects holds an entry named "${String(name)}"`);
    expect(snapshot.desired?.removalsHeldBecause).not.toBeNull();
  });

  it.each(['projects', 'projects/deep', '.'])(
    'an entry without a name in %s: the last good state goes on, and what is wrong is said',
    async (folder) => {
      const nameless = await writeTree(repository, [entry('40000', '', evilTree), good]);
      const deep = await writeTree(repository, [entry('40000', 'deep', nameless), good]);
      const inside = folder === 'projects' ? nameless : deep;
      const root = await writeTree(repository, [entry('40000', 'projects', inside)]);
      await commitTree(repository, folder === '.' ? nameless : root);
      const snapshot = await adapters.config.sync(signal);
      expect(snapshot.error?.code).toBe('UnsupportedRepository');
      expect(snapshot.error?.message).toMatch(
        /a folder of its newest commit holds an entry without a name.*git fsck/,
      );
      expect(namesOf(snapshot)).toEqual(['good']);
    },
  );

  it('an entry without a name beside the manifests: they count, what is wrong is said, and a restart goes back to nothing older', async () => {
    const projects = await writeTree(repository, [
      good,
      entry('100644', 'other.yaml', await blob(manifest('other'))),
    ]);
    const beside = await writeTree(repository, [entry('100644', '', evilFile)]);
    const both = [entry('40000', 'beside', beside), entry('40000', 'projects', projects)];
    await commitTree(repository, await writeTree(repository, both));
    const first = await adapters.config.sync(signal);
    expect(first.error).toBeNull();
    expect(namesOf(first)).toEqual(['good', 'other']);
    await adapters.close();
    const later = await adapters.config.sync(signal);
    expect(later.error?.code).toBe('UnsupportedRepository');
    expect(namesOf(later)).toEqual(['good', 'other']);
    const restarted = await world.open().config.sync(signal);
    expect(restarted.error?.code).toBe('UnsupportedRepository');
    expect(restarted.desired).toBeNull();
    await commitTree(repository, await writeTree(repository, [entry('40000', 'projects', projects)]));
    expect(namesOf(await adapters.config.sync(signal))).toEqual(['good', 'other']);
    expect((await adapters.config.sync(signal)).error).toBeNull();
  });

  it('a folder of more entries than are read is refused before memory is gone, also on the way to the manifests', async () => {
    const one = treeBytes([entry('100644', 'a.yaml', evilFile)]);
    const many = await writeObject(repository, 'tree', Buffer.alloc(one.length * 400_000, one));
    for (const root of [[entry('40000', 'projects', many)], null]) {
      await commitTree(repository, root === null ? many : await writeTree(repository, root));
      const snapshot = await adapters.config.sync(signal);
      expect(snapshot.error?.code).toBe('UnsupportedRepository');
      expect(snapshot.error?.message).toContain('more than 200000 files');
      expect(namesOf(snapshot)).toEqual(['good']);
    }
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

  it.each([256, 1_000, 70_000])(
    'a name of %i bytes, which no file system takes, is a problem that stays short',
    async (length) => {
      const named = (bytes: number): CraftedEntry =>
        entry('100644', `${'x'.repeat(bytes - '.yaml'.length)}.yaml`, evilFile);
      await commitProjects([good, named(255)]);
      expect(namesOf(await adapters.config.sync(signal))).toEqual(['evil', 'good']);
      await commitProjects([good, named(length)]);
      const snapshot = await adapters.config.sync(signal);
      expect(namesOf(snapshot)).toEqual(['good']);
      expect(snapshot.desired?.problems).toHaveLength(1);
      const [found] = snapshot.desired?.problems ?? [];
      expect(found?.message).toContain(`the name has ${length} bytes`);
      expect(found?.file.length).toBeLessThan(600);
    },
  );

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
    order = inOrder,
  ): Promise<{ readonly entries: readonly ContextEntry[]; readonly left: readonly string[] }> {
    const dockerfile = entry('100644', 'Dockerfile', await blob('FROM node:base\n'));
    return contextOfTree(await writeTree(repository, order([dockerfile, ...entries])));
  }

  async function contextOfTree(
    tree: string,
    build: Partial<GitSource['build']> = {},
  ): Promise<{ readonly entries: readonly ContextEntry[]; readonly left: readonly string[] }> {
    const commit = await commitTree(repository, tree);
    const plain = sourceOf(repository, { commit });
    const source = { ...plain, build: { ...plain.build, ...build } };
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

  const asWritten = (entries: readonly CraftedEntry[]): readonly CraftedEntry[] => entries;
  const foreign = '# syntax=evil.example/frontend\nFROM node:base\n';

  it.each<[string, (of: (text: string) => Promise<string>) => Promise<readonly CraftedEntry[]>]>([
    ['a Dockerfile', async (of) => [entry('100644', 'Dockerfile', await of(foreign))]],
    ['a file', async (of) => [entry('100644', 'x', await of('1')), entry('100644', 'x', await of('2'))]],
    [
      'a link over a file',
      async (of) => [entry('100644', 'x', await of('1')), entry('120000', 'x', await of('/etc/passwd'))],
    ],
    [
      'a folder',
      async (of) => {
        const inside = await writeTree(repository, [entry('100644', 'y', await of('y'))]);
        return [entry('40000', 'x', inside), entry('40000', 'x', inside)];
      },
    ],
    [
      'a file and a folder',
      async (of) => {
        const inside = await writeTree(repository, [entry('100644', 'y', await of('y'))]);
        return [entry('100644', 'x', await of('1')), entry('40000', 'x', inside)];
      },
    ],
    [
      'a link and a folder that another name stands between',
      async (of) => {
        const inside = await writeTree(repository, [entry('100644', 'y', await of('y'))]);
        return [
          entry('120000', 'x', await of('..')),
          entry('100644', 'x-', await of('')),
          entry('40000', 'x', inside),
        ];
      },
    ],
  ])(
    '%s that stands twice ends the build for good: git and the builder could mean two of them',
    async (_, craft) => {
      const error = await rejection(contextOf(await craft(blob)));
      expect(error).toMatchObject({ code: 'UnsupportedRepository', reaction: 'stall' });
      expect(error.message).toMatch(/has the entry ".+" twice or out of order/);
    },
  );

  it('a tree out of order ends the build for good, wherever in it', async () => {
    const [evil, deep] = [await blob('evil'), await blob('deep')];
    const inside = await writeTree(repository, [entry('100644', 'b', deep), entry('100644', 'a', deep)]);
    for (const [entries, order] of [
      [[entry('100644', 'A', evil)], asWritten],
      [[entry('40000', 'x', inside)], inOrder],
    ] as const) {
      const error = await rejection(contextOf(entries, order));
      expect(error.message).toMatch(/has the entry "(?:A|x\/a)" twice or out of order/);
    }
  });

  it('names in the order of their bytes are in order', async () => {
    const file = await blob('x');
    const inside = await writeTree(repository, [entry('100644', 'y', file)]);
    // Of UTF-16, the last two would be the other way round.
    const names = ['a', 'a-b', 'a.b', 'a0', '\uffee', '\u{1f600}'];
    const { entries } = await contextOf([
      ...names.map((name) => entry('100644', name, file)),
      entry('40000', 'a-', inside),
      entry('160000', 'sub', nobody),
    ]);
    expect(entries.map(({ name }) => name)).toEqual([
      'Dockerfile',
      'a',
      'a-/',
      'a-/y',
      'a-b',
      'a.b',
      'a0',
      'sub/',
      '\uffee',
      '\u{1f600}',
    ]);
  });

  it('a Dockerfile that is a link is judged with the one that BuildKit falls back to', async () => {
    const link = entry('120000', 'Dockerfile', await blob('d'));
    const judged = entry('100644', 'd', await blob('FROM node:base\n'));
    const ignoring = entry('100644', '.dockerignore', await blob('d\n'));
    const fallback = entry('100644', 'dockerfile', await blob(foreign));
    const tree = (...entries: readonly CraftedEntry[]): Promise<string> =>
      writeTree(repository, inOrder([link, judged, ...entries]));
    const error = await rejection(contextOfTree(await tree(ignoring, fallback)));
    expect(error).toMatchObject({ code: 'PolicyRefused', reaction: 'stall' });
    expect(error.message).toContain('dockerfile asks for the syntax "evil.example/frontend"');
    await contextOfTree(await tree());
    // In a folder, and where the manifest names it.
    const folder = await writeTree(repository, inOrder([link, judged, fallback]));
    const below = await rejection(
      contextOfTree(await writeTree(repository, [entry('40000', 'web', folder)]), {
        dockerfile: 'web/Dockerfile',
      }),
    );
    expect(below.message).toContain('web/dockerfile asks for');
  });

  it('a tree that names one subtree a thousand times over, four levels deep, ends instead of listing for ever', async () => {
    let tree = await writeTree(repository, [entry('100644', 'f', await blob('x'))]);
    for (let level = 0; level < 4; level += 1)
      tree = await writeTree(
        repository,
        Array.from({ length: 1_000 }, (_, each) => entry('40000', `d${String(each).padStart(4, '0')}`, tree)),
      );
    const error = await rejection(contextOf([entry('40000', 'many', tree)]));
    expect(error).toMatchObject({ code: 'UnsupportedRepository', reaction: 'stall' });
    expect(error.message).toContain('more than 1000000 files in the build context');
  });

  it('patterns that take all ways to match cost no more than others', async () => {
    const { entries } = await contextOf([
      entry('100644', '.dockerignore', await blob(`${'*a'.repeat(40)}b\n${'**/a'.repeat(40)}b\n`)),
      entry('100644', 'a'.repeat(250), await blob('x')),
    ]);
    expect(entries).toHaveLength(3);
    const worst = entry('100644', '.dockerignore', await blob(`${'?*'.repeat(32_000)}!\n`));
    const error = await rejection(contextOf([worst, entry('100644', 'a'.repeat(4_000), await blob('x'))]));
    expect(error).toMatchObject({ code: 'BuildFailed', reaction: 'stall' });
    expect(error.message).toMatch(/the patterns of \.dockerignore take too long/);
    const long = entry('100644', '.dockerignore', await blob('x\n'.repeat(40_000)));
    expect((await rejection(contextOf([long]))).message).toContain('80000 bytes, at most 65536');
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
    const names = ['x'.repeat(4_000), '-rf', '--help', 'a\nb', '$(id)', '*', 'é'];
    const { entries } = await contextOf(names.map((name) => entry('100644', name, evil)));
    expect(entries.map(({ name }) => name).sort()).toEqual(['Dockerfile', ...names].sort());
    for (const length of [4_097, 100_000]) {
      const longer = await rejection(contextOf([entry('100644', 'x'.repeat(length), evil)]));
      expect(longer).toMatchObject({ code: 'UnsupportedRepository', reaction: 'stall' });
      expect(longer.message).toContain('a path of more than 4096 bytes');
    }
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
