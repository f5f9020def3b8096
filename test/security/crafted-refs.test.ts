/** Refs that no git program writes, in files of their own and packed; and settings that name them. */
import { execFile } from 'node:child_process';
import { appendFile, mkdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseSettings } from '../../src/settings/load.js';
import { createCraftedWorld, manifest, namesOf, type CraftedWorld } from '../support/crafted-world.js';
import { sourceOf } from '../support/git-adapters.js';
import { commitFiles, git } from '../support/git.js';
import { rejection } from '../support/waiting.js';

const execute = promisify(execFile);
const signal = new AbortController().signal;
let world: CraftedWorld;
let repository: string;

beforeEach(async () => {
  world = await createCraftedWorld();
  ({ repository } = world);
});
afterEach(() => world.cleanup());

async function commit(name: string, branch = 'main'): Promise<string> {
  return commitFiles(repository, { 'projects/a.yaml': manifest(name) }, { branch, orphan: true });
}

/** Writes a ref as a file, whatever its name. */
async function loose(name: string, text: string): Promise<void> {
  const file = join(repository, name);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
}

async function packed(lines: readonly (readonly [name: string, hash: string])[]): Promise<void> {
  const text = lines.map(([name, hash]) => `${hash} ${name}\n`).join('');
  await writeFile(join(repository, 'packed-refs'), `# pack-refs with: peeled fully-peeled sorted \n${text}`);
}

/** What git itself allows as the name of a branch. */
const allowed = [
  'a;b$(id)',
  '__proto__',
  'constructor',
  'a|b&c',
  'a\'b"c',
  'a`id`',
  'HEAD',
  'refs/heads/x',
  'é',
];
/** What it does not, though a file or a line of `packed-refs` can have it. */
const refused = [
  '-x',
  '--upload-pack=id',
  'a..b',
  'a b',
  'a~1',
  'a^{}',
  'a.lock',
  '@{-1}',
  'a\u001b[2J',
  '.a',
];

describe('a config repository whose branches have hostile names', () => {
  it.each(allowed)('%s: is followed when the settings name it, as a file and packed', async (branch) => {
    await commit('main');
    const [first, second] = [await commit('one', 'x1'), await commit('two', 'x2')];
    await loose(`refs/heads/${branch}`, `${first}\n`);
    const { config, close } = world.open({ branch });
    expect(namesOf(await config.sync(signal))).toEqual(['one']);
    await rm(join(repository, `refs/heads/${branch}`));
    await packed([[`refs/heads/${branch}`, second]]);
    const snapshot = await config.sync(signal);
    expect(snapshot.error).toBeNull();
    expect(namesOf(snapshot)).toEqual(['two']);
    expect(({} as Record<string, unknown>)['one']).toBeUndefined();
    // After a restart with the repository away.
    await close();
    await git(repository, 'config', 'core.bare', 'nonsense');
    expect(namesOf(await world.open({ branch }).config.sync(signal))).toEqual(['two']);
  });

  it.each([...allowed, ...refused])('%s beside main, as a file and packed, changes nothing', async (name) => {
    const tip = await commit('main');
    const other = await commit('other', 'x1');
    await loose(`refs/heads/${name}`, `${other}\n`);
    const { config } = world.open();
    expect(namesOf(await config.sync(signal))).toEqual(['main']);
    await rm(join(repository, 'refs/heads'), { recursive: true });
    await mkdir(join(repository, 'refs/heads'));
    await packed([
      ['refs/heads/main', tip],
      [`refs/heads/${name}`, other],
    ]);
    const snapshot = await config.sync(signal);
    expect(namesOf(snapshot)).toEqual(['main']);
    if (snapshot.error !== null) expect(snapshot.error.message).toContain('repository.git');
  });

  it('names of others in a message are printable', async () => {
    const other = await commit('other', 'x1');
    await packed([['refs/heads/a\u009b2Jb', other]]);
    await git(repository, 'update-ref', '-d', 'refs/heads/x1');
    const { error } = await world.open().config.sync(signal);
    expect(error?.message).toMatch(/has no branch main/);
    expect(error?.message).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
  });

  it.each(refused)('settings that name %s are refused', (branch) => {
    const text = JSON.stringify({ configRepo: { url: 'https://git.example.com/a.git', branch } });
    expect(parseSettings('/etc/p.yaml', Buffer.from(text), {})).toHaveProperty('problems');
  });

  it.each(allowed)('settings that name %s are taken', (branch) => {
    const text = JSON.stringify({ configRepo: { url: 'https://git.example.com/a.git', branch } });
    expect(parseSettings('/etc/p.yaml', Buffer.from(text), {})).toHaveProperty(
      'settings.configRepo.branch',
      branch,
    );
  });
});

describe('a branch that cannot be followed', () => {
  it.each<[string, () => Promise<unknown>]>([
    [
      'a loop of symbolic refs',
      async () => {
        await loose('refs/heads/main', 'ref: refs/heads/loop\n');
        await loose('refs/heads/loop', 'ref: refs/heads/main\n');
      },
    ],
    ['itself', () => loose('refs/heads/main', 'ref: refs/heads/main\n')],
    ['a symbolic ref that leads out', () => loose('refs/heads/main', 'ref: ../../outside\n')],
    ['an absolute symbolic ref', () => loose('refs/heads/main', 'ref: /etc/passwd\n')],
    ['a symbolic ref to nothing', () => loose('refs/heads/main', 'ref: refs/heads/none\n')],
    ['other text', () => loose('refs/heads/main', 'id;$(id)\n')],
    ['nothing', () => loose('refs/heads/main', '')],
    ['zeros', () => loose('refs/heads/main', `${'0'.repeat(40)}\n`)],
    [
      'a link to a file of this machine',
      async () => {
        await rm(join(repository, 'refs/heads/main'));
        await symlink('/etc/passwd', join(repository, 'refs/heads/main'));
      },
    ],
    [
      'a pipe',
      async () => {
        await rm(join(repository, 'refs/heads/main'));
        await execute('mkfifo', [join(repository, 'refs/heads/main')]);
        // Git waits for the pipe for as long as it may; a writer that says nothing ends that.
        setTimeout(() => void appendFile(join(repository, 'refs/heads/main'), ''), 500);
      },
    ],
    [
      'a file far too long',
      async () => {
        await writeFile(join(repository, 'refs/heads/main'), '0');
        await truncate(join(repository, 'refs/heads/main'), 64 * 1024 ** 2);
      },
    ],
    ['broken lines of packed-refs', () => brokenPacked()],
  ])('%s: said, and the last good state goes on; a commit mends it', async (_, craft) => {
    const tip = await commit('good');
    const { config } = world.open();
    expect(namesOf(await config.sync(signal))).toEqual(['good']);
    await craft();
    const snapshot = await config.sync(signal);
    expect(snapshot.error?.message).toMatch(/repository\.git/);
    expect(snapshot.error?.message).not.toMatch(/root:/);
    expect(namesOf(snapshot)).toEqual(['good']);
    await rm(join(repository, 'packed-refs'), { force: true });
    await rm(join(repository, 'refs/heads/main'), { force: true });
    await loose('refs/heads/main', `${tip}\n`);
    expect((await config.sync(signal)).error).toBeNull();
  });

  async function brokenPacked(): Promise<void> {
    await rm(join(repository, 'refs/heads/main'));
    await writeFile(join(repository, 'packed-refs'), '# pack-refs\nnonsense\nrefs/heads/main\n');
  }

  it('a link out of the repository gives nothing of the file behind it away', async () => {
    const tip = await commit('good');
    await writeFile(join(world.folder, 'state-secret'), `${tip}\n`);
    await rm(join(repository, 'refs/heads/main'));
    await symlink(join(world.folder, 'state-secret'), join(repository, 'refs/heads/main'));
    const { error } = await world.open().config.sync(signal);
    // Git follows the link; whatever it says, it is one line about this repository.
    if (error !== null) expect(error.message).toContain('repository.git');
    await rm(join(world.folder, 'state-secret'));
  });
});

describe('an application whose repository is hostile', () => {
  it.each<[string, () => Promise<unknown>]>([
    ['commondir is a pipe', () => execute('mkfifo', [join(repository, 'commondir')])],
    [
      'the folder is a work tree whose .git is a pipe',
      async () => {
        await rm(repository, { recursive: true });
        await mkdir(repository);
        await execute('mkfifo', [join(repository, '.git')]);
      },
    ],
  ])('%s: nobody waits for it', async (_, craft) => {
    await commit('a');
    await craft();
    const { sources } = world.open();
    let settled = false;
    const watching = sources.watch([repository], () => undefined).then(() => (settled = true));
    await Promise.race([watching, new Promise((resolve) => setTimeout(resolve, 5_000))]);
    if (!settled) await appendFile(join(repository, 'commondir'), '').catch(() => undefined);
    expect(settled).toBe(true);
  });

  it.each(['a;b$(id)', '__proto__', 'constructor', 'toString'])(
    'ref %s that is not there is missing, and nothing else',
    async (ref) => {
      await commit('a');
      const { sources } = world.open();
      const error = await rejection(sources.resolve(sourceOf(repository, { ref }), signal));
      expect(error.code).toBe('RefMissing');
      const tip = await commit('b');
      await loose(`refs/heads/${ref}`, `${tip}\n`);
      await sources.refresh([sourceOf(repository, { ref })], signal);
      expect((await sources.resolve(sourceOf(repository, { ref }), signal)).commit).toBe(tip);
      expect(await readFile(join(repository, 'HEAD'), 'utf8')).toBe('ref: refs/heads/main\n');
    },
  );
});
