/** Symbolic links in build contexts, from the first commit and put there by a later one. */
import { readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseManifests } from '../../src/manifest/parse.js';
import { createCraftedWorld, type CraftedWorld } from '../support/crafted-world.js';
import { entriesOf, sourceOf, type ContextEntry } from '../support/git-adapters.js';
import { commitFiles, git, type FileChange } from '../support/git.js';
import { rejection } from '../support/waiting.js';

const signal = new AbortController().signal;
let world: CraftedWorld;
let sources: ReturnType<CraftedWorld['open']>['sources'];

beforeEach(async () => {
  world = await createCraftedWorld();
  ({ sources } = world.open());
});
afterEach(() => world.cleanup());

const link = (content: string): FileChange => ({ mode: '120000', content });

/** Commits and reads the context, as a deployment of the followed branch does. */
async function contextAfter(
  files: Readonly<Record<string, FileChange>>,
  path = '.',
): Promise<{ readonly entries: readonly ContextEntry[]; readonly left: readonly string[] }> {
  await commitFiles(world.repository, files);
  const source = sourceOf(world.repository, { path });
  await sources.refresh([source], signal);
  const resolved = await sources.resolve(source, signal);
  const left: string[] = [];
  const stream = await sources.context(source, resolved, (line) => left.push(line), signal);
  return { entries: await entriesOf(stream), left };
}

const first = {
  'app/Dockerfile': 'FROM node:base\n',
  'app/config': 'config of the application',
  'app/data/file': 'data of the application',
  'app/inside': link('config'),
  secret: 'beside the context',
};

describe('what was regular and becomes a link', () => {
  it.each<[string, Readonly<Record<string, FileChange>>, string]>([
    ['a file, absolute', { 'app/config': link('/etc/passwd') }, 'config'],
    ['a file, to what stands beside the context', { 'app/config': link('../secret') }, 'config'],
    ['a file, far out', { 'app/config': link('../../../../etc/passwd') }, 'config'],
    ['a file, through a folder', { 'app/config': link('data/../../secret') }, 'config'],
    ['a file, to the processes of the machine', { 'app/config': link('/proc/self/environ') }, 'config'],
    ['a folder, absolute', { 'app/data/file': null, 'app/data': link('/etc') }, 'data'],
    ['a folder, out', { 'app/data/file': null, 'app/data': link('..') }, 'data'],
    ['a link inside that now leads out', { 'app/inside': link('../secret') }, 'inside'],
    ['a link inside that now is absolute', { 'app/inside': link('/etc/shadow') }, 'inside'],
  ])('%s: it is left out, and the build is told', async (_, change, name) => {
    const before = await contextAfter(first, 'app');
    expect(before.entries.map((entry) => entry.name).sort()).toEqual(
      ['Dockerfile', 'config', 'data/', 'data/file', 'inside'].sort(),
    );
    expect(before.left).toEqual([]);
    const after = await contextAfter(change, 'app');
    expect(after.entries.filter((entry) => entry.name.split('/')[0] === name)).toEqual([]);
    expect(after.left).toHaveLength(1);
    expect(after.left[0]).toContain(`${JSON.stringify(name)} is left out of the build context`);
    const passwords = await readFile('/etc/passwd', 'latin1');
    for (const { body } of after.entries) {
      expect(body).not.toContain('beside the context');
      expect(body === '' || !passwords.includes(body)).toBe(true);
    }
  });

  it('the way to the context: a folder that becomes a link is no folder', async () => {
    await contextAfter(first, 'app');
    const without = { 'app/Dockerfile': null, 'app/config': null, 'app/data/file': null, 'app/inside': null };
    const error = await rejection(contextAfter({ ...without, app: link('/etc') }, 'app'));
    expect(error).toMatchObject({ code: 'PathMissing', reaction: 'stall' });
  });

  it('a link inside the work tree of a local repository is never looked at', async () => {
    const files = { Dockerfile: 'FROM node:base\n', a: 'committed' };
    await contextAfter(files);
    await writeFile(join(world.repository, 'a'), 'from the disk');
    await symlink('/etc/passwd', join(world.repository, 'b'));
    const { entries } = await contextAfter({ c: 'c' });
    expect(entries.map(({ name, body }) => [name, body])).toEqual([
      ['Dockerfile', 'FROM node:base\n'],
      ['a', 'committed'],
      ['c', 'c'],
    ]);
    await git(world.repository, 'rev-parse', 'main');
  });
});

describe('a Dockerfile', () => {
  it.each(['/etc/passwd', '../secret', '../../etc/passwd', 'Dockerfile', 'none', 'data'])(
    'that becomes a link to %s is missing, for good, and the message says why',
    async (target) => {
      await contextAfter(first, 'app');
      const error = await rejection(contextAfter({ 'app/Dockerfile': link(target) }, 'app'));
      expect(error).toMatchObject({ code: 'DockerfileMissing', reaction: 'stall' });
      expect(error.message).toContain('a symbolic link that leads to no file in it');
    },
  );

  it.each(['../Dockerfile', '/etc/passwd', 'a/../../Dockerfile', '..', 'a\\b', 'a\nb', '-', ''])(
    'at %j: named in a manifest, it is a problem of that project alone, or only a name',
    async (dockerfile) => {
      const written = JSON.stringify({
        apiVersion: 'pointsman.dev/v1',
        kind: 'Project',
        name: 'shop',
        source: { repo: world.repository },
        build: { dockerfile },
      });
      const { projects, invalid, problems } = parseManifests('projects/a.yaml', Buffer.from(written));
      if (dockerfile === '-') expect(projects).toHaveLength(1);
      else {
        expect(projects).toEqual([]);
        expect(invalid.map(({ name }) => name)).toEqual(['shop']);
        expect(problems.map(({ path }) => path)).toEqual(['/build/dockerfile']);
      }
      // Also where it came by another way, nothing but the tree is read.
      await commitFiles(world.repository, { Dockerfile: 'FROM node:base\n', 'a/b': 'x' });
      const build = { dockerfile, target: null, args: {}, timeoutMs: 1_000 };
      const source = sourceOf(world.repository, { path: 'a', build });
      const resolved = await sources.resolve(source, signal);
      const error = await rejection(sources.context(source, resolved, () => undefined, signal));
      expect(error.code).toBe('DockerfileMissing');
    },
  );
});
