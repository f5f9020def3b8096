import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rename,
  rm,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { spawn } from 'node:child_process';
import { deflateSync } from 'node:zlib';
import { extract } from 'tar-stream';
import type { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/clock.js';
import { silentLogger } from '../../src/log.js';
import { assembleDesired } from '../../src/manifest/assemble.js';
import { parseManifests, type ParsedFile } from '../../src/manifest/parse.js';
import type { DesiredState, GitSource, Problem } from '../../src/manifest/project.js';
import type { GitCredential, Settings } from '../../src/settings/settings.js';
import { GitConfigRepository } from '../../src/source/config-repository.js';
import { MirrorStore } from '../../src/source/mirror-store.js';
import type { ConfigRepository } from '../../src/source/port.js';
import type { ObjectStore } from '../../src/source/object-store.js';
import { GitSourceRepository } from '../../src/source/source-repository.js';
import {
  commitFiles,
  deleteObjects,
  git,
  makeRepository,
  startGitHttp,
  startGitSsh,
  truncatePacks,
  type GitHttpServer,
  type GitSshServer,
} from '../support/git.js';

let folder: string;
let stateDir: string;
const signal = new AbortController().signal;
const closers: (() => Promise<void>)[] = [];

beforeEach(async () => {
  // A name that needs quoting wherever it goes.
  folder = await mkdtemp(join(tmpdir(), "pointsman source '%h-"));
  stateDir = join(folder, 'state');
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  await rm(folder, { recursive: true, force: true });
});

interface File {
  readonly file: string;
  readonly text: string;
}

/** The desired state of these tests: one project for every file, named by its content. */
function assemble(
  builds: string,
  commit: string,
  files: readonly File[],
  problems: readonly Problem[],
): DesiredState {
  const source = { kind: 'git', repo: builds };
  const projects = new Map(
    files.map(({ file, text }) => [text.trim(), { project: { name: text.trim(), source }, file, line: 1 }]),
  );
  return {
    commit,
    projects,
    invalid: new Map(),
    problems,
    removalsHeldBecause: null,
  } as unknown as DesiredState;
}

interface ConfigOptions {
  readonly branch?: string;
  readonly path?: string;
  readonly credential?: GitCredential | null;
  /** The repository that its projects are built from. */
  readonly builds?: string;
}

function configSettings(
  url: string,
  options: ConfigOptions = {},
): Pick<Settings, 'configRepo' | 'credentials' | 'policy'> {
  const { branch = 'main', path = 'projects', credential = null } = options;
  const configRepo = { url, branch, path, intervalMs: 60_000, credential };
  return {
    configRepo,
    credentials: [],
    policy: { sources: [], images: [], frontends: ['docker.io/docker'] },
  };
}

function openConfig(url: string, options: ConfigOptions = {}) {
  const parsed: string[] = [];
  const reads = { blobs: 0, trees: 0 };
  const repository = new GitConfigRepository<File>({
    settings: configSettings(url, options),
    mirrors: new MirrorStore({ stateDir }),
    log: silentLogger,
    parse: (file, bytes) => {
      parsed.push(file);
      return { file, text: Buffer.from(bytes).toString('utf8') };
    },
    assemble: (...read) => assemble(options.builds ?? 'https://example.com/app', ...read),
    observe: (objects) => counting(objects, reads),
  });
  closers.push(() => repository.close());
  const config: ConfigRepository & { look(abort: AbortSignal): ReturnType<ConfigRepository['sync']> } = {
    /** Nothing after the answer. */
    look: (abort) => repository.sync(abort),
    // With what a look still notes after its answer: what comes next here is a restart, or damage.
    async sync(abort) {
      const snapshot = await repository.sync(abort);
      await repository.close();
      return snapshot;
    },
    readAt: (commit, abort) => repository.readAt(commit, abort),
    watch: (onChange) => repository.watch(onChange),
  };
  return { config, parsed, reads };
}

function counting(store: ObjectStore, reads: { blobs: number; trees: number }): ObjectStore {
  return {
    ...store,
    blobs: (sizes) => {
      reads.blobs += sizes.size;
      return store.blobs(sizes);
    },
    tree: (oid) => {
      reads.trees += 1;
      return store.tree(oid);
    },
  };
}

function openSources(credentials: Settings['credentials'] = []) {
  const sources = new GitSourceRepository({
    settings: { ...configSettings('/nowhere/config'), credentials },
    mirrors: new MirrorStore({ stateDir }),
    log: silentLogger,
    clock: systemClock,
  });
  closers.push(() => sources.close());
  return sources;
}

function source(repo: string, part: Partial<GitSource> = {}): GitSource {
  const build = { dockerfile: 'Dockerfile', target: null, args: {}, timeoutMs: 60_000 };
  return { kind: 'git', repo, ref: null, commit: null, path: '.', build, ...part };
}

function names(desired: DesiredState | null): string[] {
  return [...(desired?.projects.keys() ?? [])].sort();
}

async function mirrors(): Promise<string[]> {
  return (await readdir(join(stateDir, 'repos')))
    .filter((name) => !name.startsWith('.'))
    .map((name) => join(stateDir, 'repos', name));
}

async function http(root: string, options: Parameters<typeof startGitHttp>[1] = {}): Promise<GitHttpServer> {
  const server = await startGitHttp(root, options);
  closers.push(() => server.close());
  return server;
}

async function configAt(path: string, bare = false): Promise<string> {
  await makeRepository(path, { bare });
  await commitFiles(path, {
    'projects/a.yaml': 'a',
    'projects/deep/b.yml': 'b',
    'projects/readme.md': 'no',
    'c.yaml': 'outside',
  });
  return path;
}

async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  await vi.waitFor(async () => expect(await condition(), what).toBe(true), { timeout: 10_000, interval: 20 });
}

async function unpack(
  stream: Readable,
): Promise<Map<string, { body: string; mode: number; link: string | null; time: number }>> {
  const entries = new Map<string, { body: string; mode: number; link: string | null; time: number }>();
  const reader = extract();
  stream.once('error', (error) => reader.destroy(error));
  stream.pipe(reader as unknown as NodeJS.WritableStream);
  for await (const entry of reader) {
    const chunks: Buffer[] = [];
    for await (const chunk of entry) chunks.push(chunk as Buffer);
    const { name, mode, linkname, mtime } = entry.header;
    entries.set(name, {
      body: Buffer.concat(chunks).toString('latin1'),
      mode,
      link: linkname ?? null,
      time: mtime.getTime(),
    });
  }
  return entries;
}

describe('a local config repository', () => {
  it.each(['bare', 'with a work tree', 'as a linked work tree', 'with alternates', 'as a shallow clone'])(
    'is read %s',
    async (kind) => {
      const origin = await configAt(join(folder, 'origin'), kind === 'bare');
      let url = origin;
      if (kind === 'as a linked work tree') {
        url = join(folder, 'linked');
        await git(origin, 'worktree', 'add', '--quiet', '-b', 'other', url);
      } else if (kind === 'with alternates') {
        url = join(folder, 'borrower');
        await git(folder, 'clone', '--quiet', '--shared', origin, url);
      } else if (kind === 'as a shallow clone') {
        url = join(folder, 'shallow');
        await commitFiles(origin, { x: 'x' });
        await git(folder, 'clone', '--quiet', '--depth=1', `file://${origin.replaceAll('%', '%25')}`, url);
      }
      const { config } = openConfig(url);
      const first = await config.sync(signal);
      expect(first.error).toBeNull();
      expect(names(first.desired)).toEqual(['a', 'b']);

      const next = await commitFiles(url, { 'projects/a.yaml': 'A' });
      const second = await config.sync(signal);
      expect(second.desired?.commit).toBe(next);
      expect(names(second.desired)).toEqual(['A', 'b']);
    },
  );

  it('takes no notice of what is not committed', async () => {
    const origin = await makeRepository(join(folder, 'origin'));
    await mkdir(join(origin, 'projects'));
    await writeFile(join(origin, 'projects', 'a.yaml'), 'a');
    await git(origin, 'add', '.');
    await git(origin, 'commit', '--quiet', '-m', 'a');
    const { config } = openConfig(origin);
    await config.sync(signal);
    await writeFile(join(origin, 'projects', 'a.yaml'), 'edited');
    await git(origin, 'add', '.');
    expect(names((await config.sync(signal)).desired)).toEqual(['a']);
  });

  it('is belonging to somebody else and still read', async () => {
    const origin = await configAt(join(folder, 'origin'));
    await git(folder, '--version');
    await new Promise((resolve) => spawn('chown', ['-R', 'nobody', '--', origin]).once('close', resolve));
    expect((await openConfig(origin).config.sync(signal)).error).toBeNull();
  });

  it('costs one listing and nothing else while its tip stays', async () => {
    const origin = await configAt(join(folder, 'origin'));
    const { config, reads, parsed } = openConfig(origin);
    const first = await config.sync(signal);
    const before = { ...reads, parsed: parsed.length };
    const second = await config.sync(signal);
    expect(second.desired).toBe(first.desired);
    expect({ ...reads, parsed: parsed.length }).toEqual(before);
  });

  it('reads one blob of two thousand when one changed', async () => {
    const origin = await makeRepository(join(folder, 'origin'), { bare: true });
    const files = Object.fromEntries(
      Array.from({ length: 2000 }, (_, index) => [
        `projects/team-${index % 20}/p${index}.yaml`,
        `p${index}\n`,
      ]),
    );
    await commitFiles(origin, files);
    const { config, reads, parsed } = openConfig(origin);
    expect(names((await config.sync(signal)).desired)).toHaveLength(2000);
    expect(reads).toEqual({ blobs: 2000, trees: 22 });

    reads.blobs = 0;
    reads.trees = 0;
    parsed.length = 0;
    await commitFiles(origin, { 'projects/team-7/p7.yaml': 'changed\n', 'projects/team-8/p8.yaml': null });
    const { desired } = await config.sync(signal);
    expect(desired?.projects.size).toBe(1999);
    expect(desired?.projects.has('changed')).toBe(true);
    expect(parsed).toEqual(['projects/team-7/p7.yaml']);
    // The root, `projects` and the two folders that changed.
    expect(reads).toEqual({ blobs: 1, trees: 4 });
  });

  describe('with a new commit', () => {
    let origin: string;
    let config: ReturnType<typeof openConfig>['config'];
    let first: string;
    const isMirrored = async (): Promise<boolean> => {
      const tip = await git(origin, 'rev-parse', 'main');
      return git((await mirrors())[0] ?? '', 'cat-file', '-e', tip).then(
        () => true,
        () => false,
      );
    };

    beforeEach(async () => {
      origin = await configAt(join(folder, 'origin'));
      ({ config } = openConfig(origin));
      await config.sync(signal);
      first = await git(origin, 'rev-parse', 'main');
    });

    it('reads it where it stands, and has it in the mirror a while later', async () => {
      const commit = await commitFiles(origin, { 'projects/a.yaml': 'changed\n' });
      const { desired, error } = await config.look(signal);
      expect(error).toBeNull();
      expect(desired?.commit).toBe(commit);
      expect(names(desired)).toEqual(['b', 'changed']);
      expect(await isMirrored()).toBe(false);
      // By itself, without another look.
      await vi.waitFor(async () => expect(await isMirrored()).toBe(true), { timeout: 20_000, interval: 100 });
    });

    it('takes no older commit for the newest after a crash, while it is away', async () => {
      await commitFiles(origin, { 'projects/a.yaml': 'changed\n' });
      expect(names((await config.look(signal)).desired)).toEqual(['b', 'changed']);
      await rename(origin, `${origin}-away`);
      const restarted = await openConfig(origin).config.look(signal);
      expect(restarted.error?.code).toBe('SourceUnreachable');
      expect(restarted.desired).toBeNull();
    });

    it('goes on with it after a stop, while it is away', async () => {
      await commitFiles(origin, { 'projects/a.yaml': 'changed\n' });
      await config.sync(signal);
      await rename(origin, `${origin}-away`);
      const restarted = await openConfig(origin).config.sync(signal);
      expect(restarted.error?.code).toBe('SourceUnreachable');
      expect(names(restarted.desired)).toEqual(['b', 'changed']);
    });

    it('goes back to the commit that the mirror has', async () => {
      await commitFiles(origin, { 'projects/a.yaml': 'changed\n' });
      await config.look(signal);
      await git(origin, 'update-ref', 'refs/heads/main', first);
      expect((await config.sync(signal)).desired?.commit).toBe(first);
      await rename(origin, `${origin}-away`);
      expect((await openConfig(origin).config.sync(signal)).desired?.commit).toBe(first);
    });

    it.each<[string, () => Promise<unknown>]>([
      ['packed', () => git(origin, 'repack', '-adq')],
      [
        'of many files',
        () =>
          commitFiles(
            origin,
            Object.fromEntries(Array.from({ length: 17 }, (_, at) => [`projects/n${at}.yaml`, `n${at}\n`])),
          ),
      ],
      [
        'of many folders',
        async () => {
          // More in one commit would be packed.
          for (const half of ['one', 'two'])
            await commitFiles(
              origin,
              Object.fromEntries(
                Array.from({ length: 55 }, (_, at) => [`projects/${half}${at}/${half}${at}.yaml`, 'same\n']),
              ),
            );
        },
      ],
    ])('has git fetch it where it is %s', async (_, change) => {
      await commitFiles(origin, { 'projects/a.yaml': 'changed\n' });
      await change();
      const { desired, error } = await config.look(signal);
      expect(error).toBeNull();
      expect(names(desired)).toContain('changed');
      expect(await isMirrored()).toBe(true);
    });

    it('believes no length that the file of a manifest says, but its hash', async () => {
      await commitFiles(origin, { 'projects/a.yaml': 'changed\n' });
      const oid = await git(origin, 'rev-parse', 'main:projects/a.yaml');
      const file = join(origin, '.git', 'objects', oid.slice(0, 2), oid.slice(2));
      const whole = await readFile(file);
      await rm(file);
      await writeFile(file, deflateSync(`blob 70000\0${'x'.repeat(70_000)}`));
      const broken = await config.look(signal);
      expect(broken.error).not.toBeNull();
      expect(names(broken.desired)).toEqual(['a', 'b']);
      await rm(file);
      await writeFile(file, whole);
      expect(names((await config.look(signal)).desired)).toEqual(['b', 'changed']);
    });

    it('says at the next look why the mirror cannot have it, and goes on with it', async () => {
      const commit = await commitFiles(origin, { 'projects/a.yaml': 'changed\n' });
      expect((await config.look(signal)).error).toBeNull();
      // Git reads its settings, we do not.
      const settings = join(origin, '.git', 'config');
      const text = readFileSync(settings);
      writeFileSync(settings, '[core\n');
      await config.sync(signal);
      const { desired, error } = await config.sync(signal);
      expect(error?.message).toContain('config');
      expect(desired?.commit).toBe(commit);
      writeFileSync(settings, text);
      expect((await config.sync(signal)).error).toBeNull();
      expect(await isMirrored()).toBe(true);
    });
  });

  it('makes problems of links, submodules and long files, and holds removals for them', async () => {
    const origin = await configAt(join(folder, 'origin'));
    const commit = await commitFiles(origin, {
      'projects/link.yaml': { mode: '120000', content: '../c.yaml' },
      'projects/sub.yml': { mode: '160000', content: '1'.repeat(40) },
      'projects/long.yaml': 'x'.repeat(65 * 1024),
      'projects/most.yaml': 'y'.repeat(64 * 1024),
      'projects/run.yaml': { mode: '100755', content: 'run' },
      'projects/odd\\"\n name é.yaml': 'odd',
      'projects/link-elsewhere': { mode: '120000', content: '/etc/passwd' },
    });
    const { config, reads } = openConfig(origin);
    const { desired, error } = await config.sync(signal);
    expect(error).toBeNull();
    expect(desired?.commit).toBe(commit);
    expect(names(desired)).toEqual(['a', 'b', 'odd', 'run', 'y'.repeat(64 * 1024)].sort());
    expect(desired?.projects.get('odd')?.file).toBe('projects/odd\\"\\x0a name é.yaml');
    expect(reads.blobs).toBe(5);
    expect(desired?.problems.map(({ file, message }) => [file, message])).toEqual([
      ['projects/link.yaml', expect.stringContaining('symbolic link')],
      ['projects/long.yaml', expect.stringContaining('66560 bytes')],
      ['projects/sub.yml', expect.stringContaining('submodule')],
    ]);
    expect(desired?.removalsHeldBecause).toContain('projects/link.yaml');
  });

  it('decides again who keeps what several manifests claim, when what is live has changed', async () => {
    const origin = await configAt(join(folder, 'origin'));
    let live = new Map<string, string>();
    const config = new GitConfigRepository<ParsedFile>({
      settings: configSettings(origin),
      mirrors: new MirrorStore({ stateDir }),
      log: silentLogger,
      parse: parseManifests,
      assemble: (commit, files) =>
        assembleDesired(commit, files, {
          baseDomain: 'localhost',
          live: { names: new Map(), domains: live },
        }),
    });
    const claim = (name: string): string =>
      `apiVersion: pointsman.dev/v1\nkind: Project\nname: ${name}\nimage: nginx\nroute: { domains: [shop.test] }\n`;
    await commitFiles(origin, { 'projects/a.yaml': claim('a'), 'projects/b.yaml': claim('b') });
    const invalid = async (): Promise<readonly string[]> => {
      const { desired } = await config.sync(signal);
      return [...(desired?.invalid.keys() ?? [])].sort();
    };
    expect(await invalid()).toEqual(['a', 'b']);
    const { desired: before } = await config.sync(signal);
    expect((await config.sync(signal)).desired).toBe(before);
    // The site file of its owner is back.
    live = new Map([['shop.test', 'b']]);
    expect(await invalid()).toEqual(['a']);
    await config.close();
  });

  it.each([
    ['is missing', { 'other.yaml': 'x' }, 'is missing'],
    ['is empty of manifests', { 'projects/readme.md': 'x' }, 'holds no manifest'],
    ['is a file', { projects: 'x' }, 'is not a folder'],
  ])('holds removals when its folder %s', async (_, files, message) => {
    const origin = await makeRepository(join(folder, 'origin'));
    await commitFiles(origin, files);
    const { desired, error } = await openConfig(origin).config.sync(signal);
    expect(error).toBeNull();
    expect(desired?.projects.size).toBe(0);
    expect(desired?.problems[0]?.message).toContain(message);
    expect(desired?.removalsHeldBecause).toContain(message);
  });

  it('says what to do about an empty repository and takes its first commit', async () => {
    const origin = await makeRepository(join(folder, 'origin'));
    const { config } = openConfig(origin);
    const empty = await config.sync(signal);
    expect(empty.desired).toBeNull();
    expect(empty.error).toMatchObject({
      code: 'RefMissing',
      message: expect.stringContaining('has no commit yet'),
    });
    await commitFiles(origin, { 'projects/a.yaml': 'a' });
    expect(names((await config.sync(signal)).desired)).toEqual(['a']);
  });

  it('follows a force-push to a history without a common commit', async () => {
    const origin = await configAt(join(folder, 'origin'));
    const { config } = openConfig(origin);
    await config.sync(signal);
    await commitFiles(origin, { 'projects/z.yaml': 'z' }, { orphan: true });
    const { desired, error } = await config.sync(signal);
    expect(error).toBeNull();
    expect(names(desired)).toEqual(['z']);
  });

  it('keeps the last good state when its branch is deleted', async () => {
    const origin = await configAt(join(folder, 'origin'));
    await git(origin, 'branch', 'spare', 'main');
    const { config } = openConfig(origin);
    const good = await config.sync(signal);
    await git(origin, 'update-ref', '-d', 'refs/heads/main');
    const gone = await config.sync(signal);
    expect(gone.desired).toBe(good.desired);
    expect(gone.error).toMatchObject({ code: 'RefMissing', message: expect.stringContaining('but spare') });
  });

  it('refuses a SHA-256 repository by name', async () => {
    const origin = await makeRepository(join(folder, 'origin'), { objectFormat: 'sha256' });
    await commitFiles(origin, { 'projects/a.yaml': 'a' });
    const { error } = await openConfig(origin).config.sync(signal);
    expect(error).toMatchObject({
      code: 'UnsupportedRepository',
      message: expect.stringContaining('SHA-256'),
    });
  });

  it('gives the state at any commit, for a plan', async () => {
    const origin = await configAt(join(folder, 'origin'));
    const old = await git(origin, 'rev-parse', 'main');
    await commitFiles(origin, { 'projects/a.yaml': null });
    const { config } = openConfig(origin);
    await config.sync(signal);
    expect(names(await config.readAt(old, signal))).toEqual(['a', 'b']);
    expect(names((await config.sync(signal)).desired)).toEqual(['b']);
    await expect(config.readAt('1'.repeat(40), signal)).rejects.toMatchObject({ code: 'CommitMissing' });
    await expect(config.readAt('main', signal)).rejects.toMatchObject({ code: 'CommitMissing' });
  });

  it('rejects a look that is aborted, and only that', async () => {
    const origin = await configAt(join(folder, 'origin'));
    const { config } = openConfig(origin);
    const reason = new Error('stop');
    await expect(config.sync(AbortSignal.abort(reason))).rejects.toBe(reason);
    expect((await config.sync(signal)).error).toBeNull();
  });

  it('lets two processes fetch at the same time', async () => {
    const origin = await configAt(join(folder, 'origin'));
    const commits: string[] = [];
    for (let index = 0; index < 8; index += 1)
      commits.push(await commitFiles(origin, { 'projects/a.yaml': `a${index}` }));
    const opened = commits.map(() => openConfig(origin).config);
    const states = await Promise.all(commits.map((commit, index) => opened[index]?.readAt(commit, signal)));
    expect(states.map((state) => names(state ?? null))).toEqual(
      commits.map((_, index) => [`a${index}`, 'b']),
    );
    expect(await mirrors()).toHaveLength(1);
  });

  it('is asked by two processes at the same time', async () => {
    const origin = await configAt(join(folder, 'origin'));
    const run = (commit: string) =>
      new Promise<string>((resolve) => {
        const script = fileURLToPath(new URL('../support/read-config.ts', import.meta.url));
        const child = spawn(process.execPath, ['--import', 'tsx', script, stateDir, origin, commit], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        let text = '';
        child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
        child.once('close', () => resolve(text.trim()));
      });
    const commits: string[] = [];
    for (let index = 0; index < 3; index += 1)
      commits.push(await commitFiles(origin, { 'projects/a.yaml': `a${index}` }));
    expect(await Promise.all(commits.map(run))).toEqual(['a0 b', 'a1 b', 'a2 b']);
  });
});

describe('watching a local config repository', () => {
  const commitIn = (repository: string, value: string) => () =>
    commitFiles(repository, { 'projects/a.yaml': value });

  it.each(['bare', 'with a work tree', 'as a linked work tree'])(
    'hears of each commit at once, %s',
    async (kind) => {
      const origin = await configAt(join(folder, 'origin'), kind === 'bare');
      let url = origin;
      if (kind === 'as a linked work tree') {
        url = join(folder, 'linked');
        await git(origin, 'worktree', 'add', '--quiet', '-b', 'other', url);
      }
      const { config } = openConfig(url);
      await config.sync(signal);
      let heard = 0;
      const stop = await config.watch(() => (heard += 1));
      closers.push(stop);
      const changes: (() => Promise<unknown>)[] = [
        commitIn(url, '1'),
        commitIn(url, '2'),
        () => git(url, 'pack-refs', '--all'),
        commitIn(url, '3'),
        () => git(url, 'branch', 'feature/deep/er', 'main'),
        () => git(url, 'branch', '-D', 'feature/deep/er'),
      ];
      for (const [index, change] of changes.entries()) {
        heard = 0;
        await change();
        await until(() => heard > 0, `change ${index} is heard`);
        await untilQuiet(() => heard);
      }
    },
  );

  it('goes on after the repository was replaced by another one', async () => {
    const origin = await configAt(join(folder, 'origin'), true);
    const { config } = openConfig(origin);
    let heard = 0;
    closers.push(await config.watch(() => (heard += 1)));
    await rename(origin, `${origin}.old`);
    await configAt(origin, true);
    await config.sync(signal);
    await untilQuiet(() => heard);
    heard = 0;
    await commitFiles(origin, { 'projects/a.yaml': 'new' });
    await until(() => heard > 0, 'the commit is heard');
  });

  it('starts when the repository appears', async () => {
    const origin = join(folder, 'later');
    const { config } = openConfig(origin);
    let heard = 0;
    closers.push(await config.watch(() => (heard += 1)));
    expect((await config.sync(signal)).error).toMatchObject({
      code: 'SourceUnreachable',
      message: expect.stringContaining('no git repository'),
    });
    await configAt(origin);
    await config.sync(signal);
    await untilQuiet(() => heard);
    heard = 0;
    await commitFiles(origin, { 'projects/a.yaml': 'new' });
    await until(() => heard > 0, 'the commit is heard');
  });

  it('tells of each of two commits, however closely the second follows', async () => {
    const origin = await configAt(join(folder, 'origin'), true);
    const { config } = openConfig(origin);
    const tips = [await commitFiles(origin, { 'projects/a.yaml': '1' })];
    tips.push(await commitFiles(origin, { 'projects/a.yaml': '2' }));
    const path = join(origin, 'refs', 'heads', 'main');
    let read = '';
    const stop = await config.watch(() => (read = readFileSync(path, 'latin1').trim()));
    for (const apartMs of [0, 5, 10, 20, 30, 40, 60, 80, 120, 160, 210]) {
      for (const tip of tips) {
        // As git replaces it, without the time that a process takes.
        writeFileSync(`${path}.lock`, `${tip}\n`);
        renameSync(`${path}.lock`, path);
        await new Promise((resolve) => setTimeout(resolve, apartMs));
      }
      await until(() => read === tips[1], `the second of two, ${apartMs} ms apart`);
      await untilQuiet(() => read.length);
    }
    await stop();
  });

  it('makes one call of many changes, and none after it was stopped', async () => {
    const origin = await configAt(join(folder, 'origin'), true);
    const { config } = openConfig(origin);
    let heard = 0;
    const stop = await config.watch(() => (heard += 1));
    const refs = Array.from({ length: 30 }, (_, index) => `create refs/heads/b${index} ${'main'}`);
    const tip = await git(origin, 'rev-parse', 'main');
    await Promise.all(refs.map((_, index) => git(origin, 'update-ref', `refs/heads/b${index}`, tip)));
    await until(() => heard > 0, 'the changes are heard');
    await untilQuiet(() => heard);
    expect(heard).toBeLessThan(15);
    await stop();
    heard = 0;
    await commitFiles(origin, { 'projects/a.yaml': 'new' });
    await untilQuiet(() => heard);
    expect(heard).toBe(0);
  });

  /** Until nothing was heard for longer than events are gathered. */
  async function untilQuiet(count: () => number): Promise<void> {
    let last = -1;
    let same = 0;
    while (same < 8) {
      await new Promise((resolve) => setTimeout(resolve, 40));
      same = count() === last ? same + 1 : 0;
      last = count();
    }
  }
});

describe('a config repository over http', () => {
  const tokenFile = () => join(folder, 'token file');
  const withToken = async (token: string): Promise<GitCredential> => {
    await writeFile(tokenFile(), `${token}\n`, { mode: 0o600 });
    return { kind: 'token', tokenFile: tokenFile() };
  };

  it('is read with the token of a file, which is read at each use', async () => {
    await configAt(join(folder, 'srv', 'deploy.git'), true);
    const server = await http(join(folder, 'srv'), { port: 19300, token: 'to%ken/@:é' });
    const { config } = openConfig(`${server.url}/deploy.git`, { credential: await withToken('to%ken/@:é') });
    expect(names((await config.sync(signal)).desired)).toEqual(['a', 'b']);

    server.token = 'second';
    const refused = await config.sync(signal);
    expect(names(refused.desired)).toEqual(['a', 'b']);
    expect(refused.error).toMatchObject({
      code: 'SourceUnreachable',
      message: expect.stringContaining(tokenFile()),
    });
    expect(refused.error?.message).not.toContain('to%ken');

    await withToken('second');
    expect((await config.sync(signal)).error).toBeNull();
    expect(
      (await readdir(join(stateDir, 'repos', '.git-client'))).filter((name) =>
        name.startsWith('credential-'),
      ),
    ).toEqual([]);
  });

  it('says that a token is missing, unreadable or empty', async () => {
    await configAt(join(folder, 'srv', 'deploy.git'), true);
    const server = await http(join(folder, 'srv'), { port: 19300, token: 'secret' });
    const url = `${server.url}/deploy.git`;
    const error = async (credential: GitCredential | null) =>
      (await openConfig(url, { credential }).config.sync(signal)).error?.message;
    expect(await error(null)).toContain('set a tokenFile');
    expect(await error({ kind: 'token', tokenFile: join(folder, 'nothing') })).toContain(
      'cannot read the token file',
    );
    await writeFile(tokenFile(), '\n');
    expect(await error({ kind: 'token', tokenFile: tokenFile() })).toContain('must hold one line');
    expect(server.requests.every(({ authorization }) => authorization === null)).toBe(true);
  });

  it('never gives the token to the place it is redirected to', async () => {
    await configAt(join(folder, 'srv', 'deploy.git'), true);
    const thief = await http(join(folder, 'srv'), { port: 19301, token: 'whatever' });
    const first = await http(join(folder, 'srv'), { port: 19300, token: 'secret' });
    const { config } = openConfig(`${first.url}/deploy.git`, { credential: await withToken('secret') });
    // With the credential shown to the first server already, and again without.
    expect((await config.sync(signal)).error).toBeNull();
    expect(first.requests.some(({ authorization }) => authorization !== null)).toBe(true);
    for (const location of [thief.url, thief.url.replace('127.0.0.1', 'localhost')]) {
      first.answer = { status: 302, location };
      const { error } = await config.sync(signal);
      expect(error?.code).toBe('SourceUnreachable');
    }
    expect(thief.requests.length).toBeGreaterThan(1);
    expect(thief.requests.map(({ authorization }) => authorization)).toEqual(thief.requests.map(() => null));
  });

  it('never gives the token away when the redirect comes after the login', async () => {
    await configAt(join(folder, 'srv', 'deploy.git'), true);
    const thief = await http(join(folder, 'srv'), { port: 19301, token: 'whatever' });
    const first = await http(join(folder, 'srv'), { port: 19300, token: 'secret' });
    first.redirectAfterLogin = thief.url;
    const { config } = openConfig(`${first.url}/deploy.git`, { credential: await withToken('secret') });
    expect((await config.sync(signal)).error?.code).toBe('SourceUnreachable');
    expect(first.requests.some(({ authorization }) => authorization !== null)).toBe(true);
    expect(thief.requests.length).toBeGreaterThan(0);
    expect(thief.requests.map(({ authorization }) => authorization)).toEqual(thief.requests.map(() => null));
  });

  it('puts no secret into arguments or environment', async () => {
    await configAt(join(folder, 'srv', 'deploy.git'), true);
    const server = await http(join(folder, 'srv'), { port: 19300, token: 'sesame-open' });
    server.answer = 'hang';
    const { config } = openConfig(`${server.url}/deploy.git`, { credential: await withToken('sesame-open') });
    const aborter = new AbortController();
    const look = config.sync(aborter.signal);
    await until(() => server.requests.length > 0, 'git asks');
    const seen = await processesMentioning(`127.0.0.1:${server.port}`);
    expect(seen.length).toBeGreaterThan(0);
    expect(seen.join()).not.toContain('sesame-open');
    aborter.abort();
    await expect(look).rejects.toThrow();
    await until(
      async () => (await processesMentioning(`127.0.0.1:${server.port}`)).length === 0,
      'git is ended',
    );
  });

  it.each([
    [404, 'no such repository'],
    [403, 'refused access (403)'],
    [500, 'answered 500'],
  ])('keeps the last good state when the server answers %s', async (status, message) => {
    await configAt(join(folder, 'srv', 'deploy.git'), true);
    const server = await http(join(folder, 'srv'), { port: 19300 });
    const { config } = openConfig(`${server.url}/deploy.git`);
    const good = await config.sync(signal);
    server.answer = { status };
    const bad = await config.sync(signal);
    expect(bad.desired).toBe(good.desired);
    expect(bad.error).toMatchObject({ code: 'SourceUnreachable', message: expect.stringContaining(message) });
    server.answer = null;
    expect((await config.sync(signal)).error).toBeNull();
  });

  it('serves from the mirror after a restart while the server is down, and goes on when it is back', async () => {
    const origin = await configAt(join(folder, 'srv', 'deploy.git'), true);
    const server = await startGitHttp(join(folder, 'srv'), { port: 19300 });
    const url = `${server.url}/deploy.git`;
    const { desired } = await openConfig(url).config.sync(signal);
    await server.close();

    const { config } = openConfig(url);
    const down = await config.sync(signal);
    expect(down.desired?.commit).toBe(desired?.commit);
    expect(names(down.desired)).toEqual(['a', 'b']);
    expect(down.error).toMatchObject({
      code: 'SourceUnreachable',
      message: expect.stringContaining('nobody answers'),
    });

    const next = await commitFiles(origin, { 'projects/c.yaml': 'c' });
    await http(join(folder, 'srv'), { port: 19300 });
    const back = await config.sync(signal);
    expect(back.error).toBeNull();
    expect(back.desired?.commit).toBe(next);
  });

  it('asks for little more than the refs when nothing changed', async () => {
    const origin = await configAt(join(folder, 'srv', 'deploy.git'), true);
    const server = await http(join(folder, 'srv'), { port: 19300 });
    const { config } = openConfig(`${server.url}/deploy.git`);
    await config.sync(signal);
    server.requests.length = 0;
    await config.sync(signal);
    expect(server.requests.map(({ method, url }) => `${method} ${url}`)).toEqual([
      'GET /deploy.git/info/refs?service=git-upload-pack',
      'POST /deploy.git/git-upload-pack',
    ]);
    await commitFiles(origin, { 'projects/c.yaml': 'c' });
    expect(names((await config.sync(signal)).desired)).toEqual(['a', 'b', 'c']);
  });

  it('tells a name that cannot be resolved', async () => {
    const { error } = await openConfig('http://no-such-host.invalid/deploy.git').config.sync(signal);
    expect(error).toMatchObject({
      code: 'SourceUnreachable',
      message: expect.stringContaining('no-such-host.invalid cannot be resolved'),
    });
  });
});

describe('a repository over ssh', () => {
  let server: GitSshServer;
  beforeAll(async () => {
    server = await startGitSsh({ port: 19310 });
  });
  afterAll(async () => {
    await server.close();
  });
  const withKey = (part: Partial<Extract<GitCredential, { kind: 'ssh' }>> = {}): GitCredential => ({
    kind: 'ssh',
    keyFile: server.keyFile,
    knownHostsFile: server.knownHostsFile,
    ...part,
  });
  const address = async (): Promise<string> => {
    const plain = await mkdtemp(join(tmpdir(), 'pointsman-ssh-repo-'));
    closers.push(() => rm(plain, { recursive: true, force: true }));
    await configAt(join(plain, 'deploy.git'), true);
    return `${server.url}${plain}/deploy.git`;
  };

  it('is read with a key and known hosts, whatever the names of their files', async () => {
    await copyFile(server.keyFile, join(folder, 'my key'));
    await copyFile(server.knownHostsFile, join(folder, 'known hosts'));
    const credential = withKey({
      keyFile: join(folder, 'my key'),
      knownHostsFile: join(folder, 'known hosts'),
    });
    const url = await address();
    const { desired, error } = await openConfig(url, { credential }).config.sync(signal);
    expect(error).toBeNull();
    expect(names(desired)).toEqual(['a', 'b']);
    const scp = url.replace(/^ssh:\/\/([^/:]+):\d+/, '$1:');
    expect((await openConfig(scp, { credential }).config.sync(signal)).error?.code).toBe('SourceUnreachable');
  });

  it('is refused when the host key is not known', async () => {
    const empty = join(folder, 'known_hosts');
    await writeFile(empty, '');
    const { error } = await openConfig(await address(), {
      credential: withKey({ knownHostsFile: empty }),
    }).config.sync(signal);
    expect(error).toMatchObject({
      code: 'SourceUnreachable',
      message: expect.stringContaining(`add it to ${empty}`),
    });
  });

  it('names the key that the server refused', async () => {
    const credential = withKey({ keyFile: server.strangerKeyFile });
    const { error } = await openConfig(await address(), { credential }).config.sync(signal);
    expect(error?.message).toContain(`refused the ssh key ${server.strangerKeyFile}`);
  });

  it('names a key that others can read, one that is no key, and one that is not there', async () => {
    const url = await address();
    const errorWith = async (keyFile: string) =>
      (await openConfig(url, { credential: withKey({ keyFile }) }).config.sync(signal)).error?.message;
    await copyFile(server.keyFile, join(folder, 'open'));
    await chmod(join(folder, 'open'), 0o644);
    expect(await errorWith(join(folder, 'open'))).toContain('chmod 600');
    await writeFile(join(folder, 'text'), 'no key', { mode: 0o600 });
    expect(await errorWith(join(folder, 'text'))).toContain('must hold an unencrypted private key');
    expect(await errorWith(join(folder, 'nothing'))).toContain(
      `cannot read the ssh key file ${join(folder, 'nothing')}`,
    );
  });

  it('says that the repository is not there', async () => {
    const { error } = await openConfig(`${server.url}/nowhere/deploy.git`, {
      credential: withKey(),
    }).config.sync(signal);
    expect(error).toMatchObject({
      code: 'SourceUnreachable',
      message: expect.stringContaining('no git repository'),
    });
  });
});

describe('a damaged mirror', () => {
  const many = Object.fromEntries(
    Array.from({ length: 300 }, (_, index) => [`projects/p${index}.yaml`, `p${index}`]),
  );

  it.each([
    ['a truncated pack', async (path: string) => expect(await truncatePacks(path)).toBe(1)],
    ['its objects gone', deleteObjects],
    ['no HEAD', async (path: string) => rm(join(path, 'HEAD'))],
    ['an unreadable configuration', async (path: string) => writeFile(join(path, 'config'), '[core\n')],
    ['a stale lock', async (path: string) => writeFile(join(path, 'shallow.lock'), '')],
    [
      'a file in its place',
      async (path: string) => {
        await rm(path, { recursive: true });
        await writeFile(path, 'not a folder');
      },
    ],
  ])('with %s is fetched anew', async (_, damage) => {
    const origin = await makeRepository(join(folder, 'origin'));
    await commitFiles(origin, many);
    const first = await openConfig(origin).config.sync(signal);
    const [path = ''] = await mirrors();
    await damage(path);

    const restarted = openConfig(origin).config;
    const same = await restarted.sync(signal);
    expect(same.error).toBeNull();
    expect(names(same.desired)).toEqual(names(first.desired));

    await damage(path);
    await commitFiles(origin, { 'projects/new.yaml': 'new' });
    const moved = await restarted.sync(signal);
    expect(moved.error).toBeNull();
    expect(names(moved.desired)).toHaveLength(301);
    expect(await mirrors()).toEqual([path]);
  });

  it('with one blob missing is fetched anew', async () => {
    const origin = await configAt(join(folder, 'origin'));
    await openConfig(origin).config.sync(signal);
    const [path = ''] = await mirrors();
    const blob = await git(origin, 'rev-parse', 'main:projects/a.yaml');
    await rm(join(path, 'objects', blob.slice(0, 2), blob.slice(2)));
    const { desired, error } = await openConfig(origin).config.sync(signal);
    expect(error).toBeNull();
    expect(names(desired)).toEqual(['a', 'b']);
  });

  it('keeps the last good state when the repository itself is damaged', async () => {
    const origin = await configAt(join(folder, 'origin'));
    const { config } = openConfig(origin);
    const good = await config.sync(signal);
    await commitFiles(origin, { 'projects/c.yaml': 'c' });
    await deleteObjects(join(origin, '.git'));
    const bad = await config.sync(signal);
    expect(bad.desired).toBe(good.desired);
    expect(bad.error?.code).toMatch(/SourceCorrupt|SourceUnreachable|CommitMissing/);
    const [path = ''] = await mirrors();
    expect(names((await openConfig(origin).config.sync(signal)).desired)).toEqual(['a', 'b']);
    expect(existsSync(path)).toBe(true);
  });

  it('comes back when the whole state directory is taken away under a running controller', async () => {
    const origin = await configAt(join(folder, 'origin'));
    const { config } = openConfig(origin);
    await config.sync(signal);
    await rm(stateDir, { recursive: true });
    await commitFiles(origin, { 'projects/c.yaml': 'c' });
    const { desired, error } = await config.sync(signal);
    expect(error).toBeNull();
    expect(names(desired)).toEqual(['a', 'b', 'c']);
  });
});

describe('application sources', () => {
  const app = { Dockerfile: 'FROM node:base\n', 'server.js': 'listen()', 'web/Dockerfile': 'FROM scratch\n' };

  it('follow the HEAD of the remote, a branch before a tag, peeled tags, and full names', async () => {
    const repo = await makeRepository(join(folder, 'app'), { bare: true });
    const one = await commitFiles(repo, app);
    const two = await commitFiles(repo, { 'server.js': '2' }, { branch: 'next' });
    await git(repo, 'tag', '-a', '-m', 'v1', 'v1', one);
    await git(repo, 'tag', '-a', '-m', 'twice', 'v1-again', 'v1');
    await git(repo, 'tag', 'both', one);
    await git(repo, 'update-ref', 'refs/heads/both', two);
    await git(repo, 'update-ref', 'refs/custom/x', two);
    const sources = openSources();
    const commit = async (ref: string | null) =>
      (await sources.resolve(source(repo, { ref }), signal)).commit;
    expect(await commit(null)).toBe(one);
    expect(await commit('next')).toBe(two);
    expect(await commit('v1')).toBe(one);
    expect(await commit('v1-again')).toBe(one);
    expect(await commit('both')).toBe(two);
    expect(await commit('refs/tags/both')).toBe(one);
    expect(await commit('refs/custom/x')).toBe(two);
    expect(await commit('HEAD')).toBe(one);
  });

  it('resolve the tree of a folder, and nothing but a folder', async () => {
    const repo = await makeRepository(join(folder, 'app'), { bare: true });
    await commitFiles(repo, { ...app, sub: { mode: '160000', content: '1'.repeat(40) }, ':(glob)*/x': 'x' });
    const sources = openSources();
    const tree = async (path: string) => (await sources.resolve(source(repo, { path }), signal)).tree;
    expect(await tree('.')).toBe(await git(repo, 'rev-parse', 'main^{tree}'));
    expect(await tree('web')).toBe(await git(repo, 'rev-parse', 'main:web'));
    expect(await tree(':(glob)*')).toBe(await git(repo, 'rev-parse', 'main::(glob)*'));
    await expect(tree('nothing')).rejects.toMatchObject({ code: 'PathMissing' });
    await expect(tree('server.js')).rejects.toMatchObject({
      code: 'PathMissing',
      message: expect.stringContaining('a file'),
    });
    await expect(tree('sub')).rejects.toMatchObject({
      code: 'PathMissing',
      message: expect.stringContaining('a submodule'),
    });
    await expect(tree('*')).rejects.toMatchObject({ code: 'PathMissing' });
    await expect(tree('--all')).rejects.toMatchObject({ code: 'PathMissing' });
  });

  it.each([
    '--upload-pack=touch /tmp/pointsman-owned',
    '-oProxyCommand=touch',
    '*',
    'refs/heads/*',
    'main~1',
    'main:refs/heads/x',
    '@{-1}',
    'a..b',
    '__proto__',
    'x\ny',
    '',
  ])('take the ref %j for a name and nothing else', async (ref) => {
    const repo = await makeRepository(join(folder, 'app'), { bare: true });
    await commitFiles(repo, app);
    await expect(openSources().resolve(source(repo, { ref }), signal)).rejects.toMatchObject({
      code: 'RefMissing',
    });
    expect(existsSync('/tmp/pointsman-owned')).toBe(false);
  });

  it.each(['a;b$(id)', '__proto__', 'constructor', '-x', '--upload-pack=x', 'é'])(
    'follow a branch that somebody called %j',
    async (ref) => {
      const repo = await makeRepository(join(folder, 'app'), { bare: true });
      const commit = await commitFiles(repo, app);
      await git(repo, 'update-ref', `refs/heads/${ref}`, commit);
      await commitFiles(repo, { 'server.js': 'newer' });
      expect(await openSources().resolve(source(repo, { ref }), signal)).toMatchObject({ commit });
      expect(existsSync('/tmp/pointsman-owned')).toBe(false);
    },
  );

  it('say that a commit goes elsewhere, which branches there are, and that there is no commit', async () => {
    const repo = await makeRepository(join(folder, 'app'), { bare: true });
    const sources = openSources();
    await expect(sources.resolve(source(repo), signal)).rejects.toMatchObject({
      code: 'RefMissing',
      message: expect.stringContaining('no commit yet'),
    });
    const commit = await commitFiles(repo, app);
    await sources.refresh([source(repo)], signal);
    await expect(sources.resolve(source(repo, { ref: commit }), signal)).rejects.toMatchObject({
      message: expect.stringContaining('source.commit'),
    });
    await expect(sources.resolve(source(repo, { ref: 'mian' }), signal)).rejects.toMatchObject({
      message: expect.stringContaining('it has main'),
    });
  });

  it.each([
    'ext::sh -c "touch /tmp/pointsman-owned"',
    'file:///etc',
    '../app',
    '-x',
    'https://user:secret@example.com/a.git',
    'git://example.com/a',
  ])('refuse the address %j without repeating a password', async (repo) => {
    const error = await openSources()
      .resolve(source(repo), signal)
      .catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'UnsupportedRepository' });
    expect(String(error)).not.toContain('secret');
  });

  it('are listed once a refresh and repository, and tell which moved', async () => {
    const repo = await makeRepository(join(folder, 'srv', 'app.git'), { bare: true });
    const pinned = await commitFiles(repo, app);
    await commitFiles(repo, { x: 'x' }, { branch: 'next' });
    const server = await http(join(folder, 'srv'), { port: 19300 });
    const url = `${server.url}/app.git`;
    const all = [
      source(url),
      source(url, { ref: 'next' }),
      source(url, { ref: 'main', path: 'web' }),
      source(url, { commit: pinned }),
    ];
    const sources = openSources();
    expect(await sources.refresh(all, signal)).toEqual(all.slice(0, 3));
    const listings = () => server.requests.filter(({ method }) => method === 'GET').length;
    expect(listings()).toBe(1);
    expect(await sources.refresh(all, signal)).toEqual([]);
    for (const one of all) await sources.resolve(one, signal);
    await commitFiles(repo, { x: 'y' }, { branch: 'next' });
    expect(await sources.refresh(all, signal)).toEqual([all[1]]);

    // After a restart, what was resolved before has not moved.
    expect(await openSources().refresh(all, signal)).toEqual([all[1]]);
  });

  it('are listed four at once at most', async () => {
    const repo = await makeRepository(join(folder, 'srv', 'app.git'), { bare: true });
    await commitFiles(repo, app);
    const server = await http(join(folder, 'srv'), { port: 19300 });
    server.answer = 'hang';
    const all = Array.from({ length: 9 }, (_, index) => source(`${server.url}/app${index}.git`));
    const aborter = new AbortController();
    const refresh = openSources().refresh(all, aborter.signal);
    await until(() => server.requests.length === 4, 'four are asked');
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(server.requests).toHaveLength(4);
    aborter.abort();
    await expect(refresh).rejects.toThrow();
  });

  it('count by their last resolved commit while the remote is down, also after a restart', async () => {
    const repo = await makeRepository(join(folder, 'srv', 'app.git'), { bare: true });
    const commit = await commitFiles(repo, app);
    const server = await startGitHttp(join(folder, 'srv'), { port: 19300 });
    const url = `${server.url}/app.git`;
    const sources = openSources();
    const first = await sources.resolve(source(url), signal);
    expect(first).toEqual({ commit, tree: expect.any(String), stale: null });
    await server.close();
    expect(await sources.refresh([source(url)], signal)).toEqual([]);
    expect(await sources.resolve(source(url), signal)).toEqual({
      ...first,
      stale: expect.stringContaining('nobody answers'),
    });

    const restarted = openSources();
    expect(await restarted.resolve(source(url), signal)).toEqual({
      ...first,
      stale: expect.stringContaining('nobody answers'),
    });
    await expect(restarted.resolve(source(url, { ref: 'never-seen' }), signal)).rejects.toMatchObject({
      code: 'SourceUnreachable',
    });

    const next = await commitFiles(repo, { x: 'x' });
    await http(join(folder, 'srv'), { port: 19300 });
    expect(await restarted.refresh([source(url)], signal)).toHaveLength(1);
    expect(await restarted.resolve(source(url), signal)).toMatchObject({ commit: next, stale: null });
  });

  it('take the longest matching credential, and give a token to no other host', async () => {
    for (const name of ['public', 'private'])
      await commitFiles(await makeRepository(join(folder, 'srv', name, 'app.git'), { bare: true }), app);
    const server = await http(join(folder, 'srv'), { port: 19300, token: 'right' });
    const other = await http(join(folder, 'srv'), { port: 19301, token: 'right' });
    await writeFile(join(folder, 'right'), 'right\n');
    await writeFile(join(folder, 'wrong'), 'wrong\n');
    const sources = openSources([
      { prefix: server.url, credential: { kind: 'token', tokenFile: join(folder, 'wrong') } },
      { prefix: `${server.url}/private`, credential: { kind: 'token', tokenFile: join(folder, 'right') } },
      { prefix: `${server.url}/priv`, credential: { kind: 'token', tokenFile: join(folder, 'wrong') } },
    ]);
    await sources.resolve(source(`${server.url}/private/app.git`), signal);
    await expect(sources.resolve(source(`${server.url}/public/app.git`), signal)).rejects.toMatchObject({
      message: expect.stringContaining(join(folder, 'wrong')),
    });
    await expect(sources.resolve(source(`${other.url}/private/app.git`), signal)).rejects.toMatchObject({
      code: 'SourceUnreachable',
    });
    expect(other.requests.every(({ authorization }) => authorization === null)).toBe(true);
  });

  it.each(['dumb', 'v0', 'v2'] as const)(
    'fetch a pinned commit that no branch shows any more, protocol %s',
    async (protocol) => {
      const repo = await makeRepository(join(folder, 'srv', 'app.git'), { bare: true });
      const old = await commitFiles(repo, app);
      const middle = await commitFiles(repo, { x: '1' });
      await commitFiles(repo, { x: '2' });
      await git(repo, 'tag', '-a', '-m', 'v1', 'v1', middle);
      const server = await http(join(folder, 'srv'), { port: 19300, protocol });
      const sources = openSources();
      const url = `${server.url}/app.git`;
      expect((await sources.resolve(source(url, { ref: 'v1' }), signal)).commit).toBe(middle);
      expect((await sources.resolve(source(url, { commit: old }), signal)).commit).toBe(old);
      await expect(sources.resolve(source(url, { commit: '1'.repeat(40) }), signal)).rejects.toMatchObject({
        code: 'CommitMissing',
      });
      const next = await commitFiles(repo, { x: '3' });
      await sources.refresh([source(url)], signal);
      expect((await sources.resolve(source(url), signal)).commit).toBe(next);
      await unpack(
        await sources.context(
          source(url, { commit: old }),
          await sources.resolve(source(url, { commit: old }), signal),
          () => undefined,
          signal,
        ),
      );
    },
  );

  it('fetch one commit, not its history', async () => {
    const repo = await makeRepository(join(folder, 'app'), { bare: true });
    const old = await commitFiles(repo, app);
    await commitFiles(repo, { x: '1' });
    await openSources().resolve(source(repo), signal);
    const [path = ''] = await mirrors();
    await expect(git(path, 'cat-file', '-e', old)).rejects.toThrow();
  });

  it('refuse a tag of a file and a SHA-256 commit by name', async () => {
    const repo = await makeRepository(join(folder, 'app'), { bare: true });
    await commitFiles(repo, app);
    await git(repo, 'tag', 'blob', 'main:server.js');
    const sources = openSources();
    await expect(sources.resolve(source(repo, { ref: 'blob' }), signal)).rejects.toMatchObject({
      code: 'CommitMissing',
      message: expect.stringContaining('is a blob'),
    });
    await expect(sources.resolve(source(repo, { commit: 'a'.repeat(64) }), signal)).rejects.toMatchObject({
      code: 'UnsupportedRepository',
    });
    const modern = await makeRepository(join(folder, 'modern'), { objectFormat: 'sha256' });
    await commitFiles(modern, app);
    await expect(sources.resolve(source(modern), signal)).rejects.toMatchObject({
      code: 'UnsupportedRepository',
    });
    await expect(sources.resolve(source(modern, { commit: 'a'.repeat(40) }), signal)).rejects.toMatchObject({
      code: 'UnsupportedRepository',
    });
  });

  it('say which local repository moved, for the set watched last', async () => {
    const one = await makeRepository(join(folder, 'one'));
    const two = await makeRepository(join(folder, 'two'));
    const sources = openSources();
    const heard: string[] = [];
    await sources.watch([one, two, 'https://example.com/x.git'], (repo) => heard.push(repo));
    await commitFiles(one, app);
    await until(() => heard.includes(one), 'the first is heard');
    expect(heard).not.toContain(two);
    await sources.watch([two], (repo) => heard.push(repo));
    heard.length = 0;
    await commitFiles(one, { x: 'x' });
    await commitFiles(two, app);
    await until(() => heard.includes(two), 'the second is heard');
    expect(heard).not.toContain(one);
  });

  it('let go of repositories that are gone and of commits that nobody asks for', async () => {
    const repo = await makeRepository(join(folder, 'app'), { bare: true });
    const old = await commitFiles(repo, app);
    const gone = await makeRepository(join(folder, 'gone'), { bare: true });
    await commitFiles(gone, app);
    const sources = openSources();
    await sources.resolve(source(gone), signal);
    await sources.resolve(source(repo), signal);
    const next = await commitFiles(repo, { x: 'x' });
    await sources.refresh([source(repo)], signal);
    expect(await mirrors()).toHaveLength(2);
    const use = async () => (await sources.resolve(source(repo), signal)).commit;
    expect(await use()).toBe(next);
    for (let round = 0; round < 3; round += 1) {
      await sources.collect([repo], signal);
      await use();
    }
    const [path = '', ...more] = await mirrors();
    expect(more).toEqual([]);
    const refs = await git(path, 'for-each-ref', '--format=%(refname)');
    expect(refs).toContain(next);
    expect(refs).not.toContain(old);
    expect(await use()).toBe(next);
  });
});

describe('the mirror of the config repository', () => {
  /** Sixty-four commits are synced, the last a while after the others. Resolves to those that git still has. */
  async function leftOf(repo: string, builds?: string): Promise<readonly string[]> {
    const { config } = openConfig(repo, builds === undefined ? {} : { builds });
    const left = async () =>
      (await readFile(join((await mirrors())[0] ?? '', 'shallow'), 'utf8')).trim().split('\n');
    const commitAndSync = async (index: number) => {
      const commit = await commitFiles(repo, { 'projects/a.yaml': `a-${index}\n` });
      expect((await config.sync(signal)).desired?.commit).toBe(commit);
    };
    for (let index = 1; index < 64; index += 1) await commitAndSync(index);
    expect(await left()).toHaveLength(63);
    // More than the minute ago for which everything stays.
    const objects = join((await mirrors())[0] ?? '', 'objects');
    const then = new Date(Date.now() - 90_000);
    for (const entry of await readdir(objects, { recursive: true, withFileTypes: true }))
      if (entry.isFile()) await utimes(join(entry.parentPath, entry.name), then, then);
    await commitAndSync(64);
    await config.sync(signal);
    const found = await left();
    await commitAndSync(65);
    return found;
  }

  it('lets go of older commits after so many', async () => {
    const repo = await makeRepository(join(folder, 'config'), { bare: true });
    expect(await leftOf(repo)).toHaveLength(1);
  });

  it('keeps them for an hour where applications are built from it', async () => {
    const repo = await makeRepository(join(folder, 'config'), { bare: true });
    expect(await leftOf(repo, repo)).toHaveLength(64);
  });
});

describe('the build context', () => {
  async function contextOf(files: Parameters<typeof commitFiles>[1], part: Partial<GitSource> = {}) {
    const repo = await makeRepository(join(folder, 'app'), { bare: true });
    await commitFiles(repo, files);
    const sources = openSources();
    const lines: string[] = [];
    const wanted = source(repo, part);
    const resolved = await sources.resolve(wanted, signal);
    const entries = await unpack(await sources.context(wanted, resolved, (line) => lines.push(line), signal));
    return { entries, lines, repo };
  }

  it('has the exact bytes of every file, whatever .gitattributes say', async () => {
    const hash = '$Format:%H$ $Id$\r\nline\n';
    const { entries } = await contextOf({
      Dockerfile: 'FROM node:base\n',
      '.gitattributes':
        '* text=auto eol=crlf export-subst ident filter=lfs working-tree-encoding=UTF-16\n*.txt export-ignore\nsecret binary export-ignore\n',
      'a.txt': hash,
      'b.js': hash,
      secret: 'kept',
      'lone.bin': Buffer.from([0, 1, 2, 255, 13, 10]),
    });
    expect(entries.get('a.txt')?.body).toBe(hash);
    expect(entries.get('b.js')?.body).toBe(hash);
    expect(entries.get('secret')?.body).toBe('kept');
    expect(entries.get('lone.bin')?.body).toBe('\x00\x01\x02\xff\r\n');
  });

  it('keeps modes, long and odd names, big files, and gives every file the same time', async () => {
    const long = `${'deep/'.repeat(60)}file-${'x'.repeat(120)}.txt`;
    const big = 'ab\n'.repeat(700_000);
    const { entries } = await contextOf({
      Dockerfile: 'FROM node:base\n',
      'run.sh': { mode: '100755', content: '#!/bin/sh\n' },
      [long]: 'long',
      'é — ü.txt': 'odd',
      big,
      empty: '',
    });
    expect(entries.get('run.sh')?.mode).toBe(0o755);
    expect(entries.get('Dockerfile')?.mode).toBe(0o644);
    expect(entries.get(long)?.body).toBe('long');
    expect(entries.get('é — ü.txt')?.body).toBe('odd');
    expect(entries.get('big')?.body === big).toBe(true);
    expect(entries.get('empty')?.body).toBe('');
    expect(new Set([...entries.values()].map(({ time }) => time)).size).toBe(1);
  });

  it('honours .dockerignore, with parents of what is taken back, and always has the Dockerfile', async () => {
    const { entries } = await contextOf({
      Dockerfile: 'FROM node:base\n',
      '.dockerignore': '# comment\n*\n!src\nsrc/**/*.test.js\n!keep/deep/file\n',
      'src/a.js': 'a',
      'src/a.test.js': 'test',
      'src/lib/b.test.js': 'test',
      'other/x': 'x',
      'keep/other': 'x',
      'keep/deep/file': 'kept',
      'keep/deep/not': 'x',
    });
    expect([...entries.keys()].sort()).toEqual(
      [
        '.dockerignore',
        'Dockerfile',
        'keep/',
        'keep/deep/',
        'keep/deep/file',
        'src/',
        'src/a.js',
        'src/lib/',
      ].sort(),
    );
  });

  it('prefers the ignore file beside the Dockerfile', async () => {
    const files = {
      'docker/App': 'FROM node:base\n',
      'docker/App.dockerignore': 'docker\nb',
      '.dockerignore': 'a',
      a: 'a',
      b: 'b',
    };
    const build = { dockerfile: 'docker/App', target: null, args: {}, timeoutMs: 1 };
    const { entries } = await contextOf(files, { build });
    expect([...entries.keys()].sort()).toEqual(
      ['.dockerignore', 'a', 'docker/', 'docker/App', 'docker/App.dockerignore'].sort(),
    );
  });

  it.each<[string, Readonly<Record<string, string>>]>([
    ['# syntax=evil.example/frontend\nFROM node:base\n', {}],
    ['// syntax=evil.example/frontend\nFROM node:base\n', {}],
    ['FROM node:base\n', { BUILDKIT_SYNTAX: 'evil.example/frontend' }],
  ])('is refused to a Dockerfile that brings a reader of its own: %j %j', async (dockerfile, args) => {
    const build = { dockerfile: 'Dockerfile', target: null, args, timeoutMs: 1 };
    await expect(contextOf({ Dockerfile: dockerfile }, { build })).rejects.toMatchObject({
      code: 'PolicyRefused',
      message: expect.stringContaining('"evil.example/frontend"') as string,
    });
    const allowed = dockerfile.replace('evil.example/frontend', 'docker/dockerfile:1');
    const { entries } = await contextOf({ Dockerfile: allowed }, { build: { ...build, args: {} } });
    expect([...entries.keys()]).toEqual(['Dockerfile']);
  });

  it('leaves out links that lead out of it and says so', async () => {
    const link = (content: string) => ({ mode: '120000', content }) as const;
    const { entries, lines } = await contextOf(
      {
        'app/Dockerfile': 'FROM node:base\n',
        'app/inside': link('dir/file'),
        'app/dir/file': 'x',
        'app/dir/up': link('../inside'),
        'app/out': link('../secret'),
        'app/absolute': link('/etc/passwd'),
        'app/dir/winding': link('file/../../..'),
        'app/dir/far': link('../../secret'),
        secret: 'no',
      },
      { path: 'app' },
    );
    expect([...entries.keys()].sort()).toEqual(['Dockerfile', 'dir/', 'dir/file', 'dir/up', 'inside'].sort());
    expect(entries.get('dir/up')?.link).toBe('../inside');
    expect(lines).toHaveLength(4);
    expect(lines.join('\n')).toMatch(/"out" is left out .*"\.\.\/secret"/);
  });

  it('tells of submodules and of Git LFS pointers', async () => {
    const pointer = 'version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 5\n';
    const { entries, lines } = await contextOf({
      Dockerfile: 'FROM node:base\n',
      'assets/a.bin': pointer,
      'assets/b.bin': pointer,
      'vendor/x': { mode: '160000', content: '1'.repeat(40) },
    });
    expect(entries.get('assets/a.bin')?.body).toBe(pointer);
    expect(lines).toEqual([
      expect.stringMatching(/"vendor\/x" is a submodule/),
      expect.stringMatching(/"assets\/a.bin" is a Git LFS pointer/),
    ]);
  });

  it('names the Dockerfile that is missing and those that are there', async () => {
    await expect(contextOf({ 'docker/Dockerfile.prod': 'x', 'x.js': 'x' })).rejects.toMatchObject({
      code: 'DockerfileMissing',
      message: expect.stringMatching(/no Dockerfile at "Dockerfile".*docker\/Dockerfile\.prod/),
    });
  });

  it('follows a Dockerfile that is a link inside the tree', async () => {
    const { entries } = await contextOf({
      Dockerfile: { mode: '120000', content: 'docker/real' },
      'docker/real': 'FROM node:base\n',
    });
    expect(entries.get('Dockerfile')?.link).toBe('docker/real');
  });

  it('refuses an ignore file that cannot be understood', async () => {
    await expect(contextOf({ Dockerfile: 'x', '.dockerignore': 'ok\n[z-a]\n' })).rejects.toMatchObject({
      code: 'BuildFailed',
      message: expect.stringContaining('"[z-a]"'),
    });
  });

  it('heals a mirror that lost objects, at once or for the next try', async () => {
    const repo = await makeRepository(join(folder, 'app'), { bare: true });
    await commitFiles(repo, { Dockerfile: 'FROM node:base\n', 'dir/file': 'x'.repeat(2000) });
    const sources = openSources();
    const resolved = await sources.resolve(source(repo), signal);
    const [path = ''] = await mirrors();
    const lose = async (what: string) => {
      const oid = await git(repo, 'rev-parse', what);
      await rm(join(path, 'objects', oid.slice(0, 2), oid.slice(2)));
    };
    const read = async () =>
      (await unpack(await sources.context(source(repo), resolved, () => undefined, signal))).has('dir/file');
    await lose('main:dir');
    expect(await read()).toBe(true);
    await lose('main:dir/file');
    await expect(read()).rejects.toMatchObject({ code: 'SourceCorrupt' });
    expect(await read()).toBe(true);
  });

  it('streams: holds back git while nobody reads, and ends it when the reader goes or the signal aborts', async () => {
    const repo = await makeRepository(join(folder, 'app'), { bare: true });
    const noise = Buffer.alloc(12 * 1024 * 1024, 'x');
    await commitFiles(repo, {
      Dockerfile: 'FROM node:base\n',
      'a-big': noise,
      'b-big': noise,
      'c-big': noise,
    });
    const sources = openSources();
    const resolved = await sources.resolve(source(repo), signal);
    const archives = async () =>
      (await processesMentioning(stateDir)).filter((line) => line.includes('archive')).length;
    for (const how of ['destroyed', 'aborted'] as const) {
      const aborter = new AbortController();
      const stream = await sources.context(source(repo), resolved, () => undefined, aborter.signal);
      const failure = new Promise((resolve) => stream.once('error', resolve));
      let size = 0;
      while (size < 1024 * 1024) {
        const chunk = stream.read() as Buffer | null;
        if (chunk === null) await new Promise((resolve) => stream.once('readable', resolve));
        else size += chunk.length;
      }
      expect(await archives()).toBe(1);
      const reason = new Error('superseded');
      if (how === 'destroyed') stream.destroy();
      else aborter.abort(reason);
      await until(async () => (await archives()) === 0, 'git archive is ended');
      if (how === 'aborted') expect(await failure).toBe(reason);
    }
  });
});

/** Arguments and environments of running processes that mention `text`. */
async function processesMentioning(text: string): Promise<string[]> {
  const found: string[] = [];
  const { readFile } = await import('node:fs/promises');
  for (const pid of (await readdir('/proc')).filter(
    (name) => /^\d+$/.test(name) && Number(name) !== process.pid,
  )) {
    const read = async (name: string) =>
      (await readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => '')).replaceAll('\0', ' ');
    const line = await read('cmdline');
    if (line.includes('git') && line.includes(text)) found.push(`${line} ${await read('environ')}`);
  }
  return found;
}
