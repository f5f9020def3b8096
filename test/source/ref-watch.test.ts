import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, onTestFinished, vi } from 'vitest';
import { FolderWatch } from '../../src/folder-watch.js';
import { RefWatch } from '../../src/source/ref-watch.js';
import { commitFiles, git, makeRepository } from '../support/git.js';
import { until } from '../support/waiting.js';

/** The system's own, but for what they count, and what they refuse when they are told to. */
const system = vi.hoisted(() => ({ listed: 0, refused: null as RegExp | null }));
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  const readdir = (...asked: Parameters<typeof real.readdir>) => {
    system.listed += 1;
    return real.readdir(...asked);
  };
  return { ...real, readdir };
});
vi.mock('node:fs', async (original) => {
  const real = await original<typeof import('node:fs')>();
  const watch = (...asked: Parameters<typeof real.watch>) => {
    if (system.refused?.test(String(asked[0])) !== true) return real.watch(...asked);
    throw Object.assign(new Error('no watches left'), { code: 'ENOSPC' });
  };
  return { ...real, watch };
});

/** What is told together, milliseconds. */
const gatherMs = 200;
/** After the last call, when nothing more is gathered: the timer of the watch is due before ours. */
const quietMs = 1.25 * gatherMs;

let folder: string;
let repository: string;
let commit: string;
/** When it was told, monotonic milliseconds. */
let heard: number[];
let watch: RefWatch;
let watchesBefore: number;

beforeEach(async () => {
  system.refused = null;
  watchesBefore = countWatches();
  folder = mkdtempSync(join(tmpdir(), 'pointsman refs '));
  repository = await makeRepository(join(folder, 'origin'), { bare: true });
  commit = await commitFiles(repository, { a: 'a' });
  await watched(repository);
});

afterEach(() => {
  watch.close();
  // Before the folders go, and their watches with them.
  const watches = countWatches();
  rmSync(folder, { recursive: true });
  expect(watches).toBe(watchesBefore);
});

/** Watches the repository at `path` instead. */
async function watched(path: string): Promise<void> {
  watch?.close();
  heard = [];
  watch = new RefWatch(path, () => heard.push(performance.now()));
  await watch.refresh();
}

/** Resolves when something was told since `change` began, and of it: there is nothing else to tell. */
async function isHeard(change: () => unknown): Promise<void> {
  await quiet();
  await change();
  await until(async () => heard.length > 0);
}

/** Until nothing is gathered any more, and begins anew. */
async function quiet(): Promise<void> {
  await untilQuiet();
  heard = [];
}

async function untilQuiet(): Promise<void> {
  await until(async () => performance.now() - (heard.at(-1) ?? -Infinity) > quietMs);
}

/** Resolves when all has been told that the kernel knows of by now: it keeps to the order. */
async function afterAllEvents(inFolder: string): Promise<void> {
  let isTold = false;
  const witness = new FolderWatch(() => (isTold = true));
  onTestFinished(() => witness.close());
  await witness.refresh([inFolder]);
  writeFileSync(join(inFolder, 'witness'), '');
  await until(async () => isTold);
  witness.close();
}

/** As git does, in the time of a system call. */
function writeRef(path: string, content = `${commit}\n`): void {
  writeFileSync(`${path}.lock`, content);
  renameSync(`${path}.lock`, path);
}

/** Folders that this process watches, for all the kernel knows. */
function countWatches(): number {
  return readdirSync('/proc/self/fdinfo')
    .map((fd) => {
      try {
        return readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1').split('inotify wd:').length - 1;
      } catch {
        return 0;
      }
    })
    .reduce((sum, count) => sum + count, 0);
}

it.each(['bare', 'with a work tree', 'as a linked work tree'])(
  'tells of whatever git does to refs, %s',
  async (kind) => {
    let path = repository;
    if (kind !== 'bare') {
      path = await makeRepository(join(folder, 'tree'));
      commit = await commitFiles(path, { a: 'a' });
    }
    if (kind === 'as a linked work tree') {
      await git(path, 'worktree', 'add', '--quiet', '-b', 'linked', join(folder, 'linked'));
      path = join(folder, 'linked');
    }
    await watched(path);
    const changes: readonly (readonly string[])[] = [
      ['update-ref', 'refs/heads/one', commit],
      ['branch', 'feature/deep/er', commit],
      ['update-ref', 'refs/heads/feature/deep/two', commit],
      ['update-ref', '-d', 'refs/heads/feature/deep/two'],
      ['tag', 'v1', commit],
      ['pack-refs', '--all'],
      ['branch', 'feature/deep/three', commit],
      ['branch', '-D', 'feature/deep/er'],
      ['branch', '-D', 'feature/deep/three'],
      ['branch', 'feature', commit],
      ['symbolic-ref', 'HEAD', 'refs/heads/one'],
      ...(kind === 'bare' ? [] : [['commit', '--quiet', '--allow-empty', '-m', 'b']]),
    ];
    for (const change of changes) await isHeard(() => git(path, ...change));
  },
  120_000,
);

it('tells of a commit once', async () => {
  await isHeard(() => git(repository, 'update-ref', 'refs/heads/one', commit));
  await untilQuiet();
  expect(heard).toHaveLength(1);
});

it('tells of the second of two, however closely it follows', async () => {
  const path = join(repository, 'refs', 'heads', 'main');
  let read = '';
  watch.onChange = () => (read = readFileSync(path, 'latin1'));
  for (const [index, turns] of [0, 1, 2, 5, 10, 20].entries()) {
    writeRef(path, `${index} first`);
    for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    writeRef(path, `${index} second`);
    await until(async () => read === `${index} second`);
  }
});

it('makes few calls of 500 refs, the first at once', async () => {
  const began = performance.now();
  for (let index = 0; index < 500; index += 1) {
    writeRef(join(repository, 'refs', 'heads', `b${index}`));
    if (index % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  const written = performance.now();
  await git(repository, 'pack-refs', '--all');
  await afterAllEvents(repository);
  const took = performance.now() - began;
  await untilQuiet();
  expect(heard.length).toBeGreaterThan(1);
  expect(heard.length).toBeLessThanOrEqual(2 + Math.floor(took / gatherMs));
  expect(heard[0]).toBeLessThan(written);
});

it('tells again of a ref that came into a new folder before that was watched', async () => {
  const outer = join(repository, 'refs', 'heads', 'feature');
  const inner = join(outer, 'deep');
  let isMade = false;
  watch.onChange = () => {
    heard.push(performance.now());
    if (isMade) return;
    isMade = true;
    // The watch of `outer` cannot stand yet.
    mkdirSync(inner);
    writeRef(join(inner, 'one'));
  };
  mkdirSync(outer);
  await until(async () => heard.length === 2);
  await isHeard(() => writeRef(join(inner, 'two')));
  await isHeard(() => rmSync(join(inner, 'two')));
});

it('lets go of a folder that was moved away, and follows another in its place', async () => {
  const outer = join(repository, 'refs', 'heads', 'feature');
  const inner = join(outer, 'deep');
  const away = join(folder, 'away');
  await isHeard(() => mkdirSync(inner, { recursive: true }));
  await isHeard(() => renameSync(outer, away));
  await quiet();
  writeRef(join(away, 'deep', 'one'));
  await afterAllEvents(join(away, 'deep'));
  expect(heard).toEqual([]);
  await isHeard(() => mkdirSync(inner, { recursive: true }));
  await isHeard(() => {
    renameSync(outer, `${away}-too`);
    mkdirSync(inner, { recursive: true });
  });
  await isHeard(() => writeRef(join(inner, 'one')));
});

it('tells of a branch that is called like its folder, and one that takes the name of a folder', async () => {
  const heads = join(repository, 'refs', 'heads');
  await isHeard(() => writeRef(join(heads, 'heads')));
  await isHeard(() => mkdirSync(join(heads, 'feature')));
  await isHeard(() => {
    rmSync(join(heads, 'feature'), { recursive: true });
    writeRef(join(heads, 'feature'));
  });
  await isHeard(() => writeRef(join(heads, 'feature'), 'again'));
});

it('has no ears for what is no ref', async () => {
  const tree = await makeRepository(join(folder, 'tree'));
  await commitFiles(tree, { a: 'a' });
  await watched(tree);
  const own = join(tree, '.git');
  mkdirSync(join(own, 'reftable'));
  await isHeard(() => writeRef(join(own, 'HEAD'), 'ref: refs/heads/main\n'));
  await watch.refresh();
  await isHeard(() => writeRef(join(own, 'reftable', 'tables.list'), 'x.ref\n'));
  await quiet();
  mkdirSync(join(own, 'objects', 'aa'));
  mkdirSync(join(own, 'logs'), { recursive: true });
  for (const name of ['objects/aa/b', 'logs/HEAD', 'index', 'COMMIT_EDITMSG', 'HEAD.lock', 'FETCH_HEAD'])
    writeFileSync(join(own, name), '');
  for (const name of ['refs/heads/main.lock', 'packed-refs.lock', 'packed-refs.new', 'reftable/0x1.ref'])
    writeFileSync(join(own, name), '');
  await afterAllEvents(own);
  expect(heard).toEqual([]);
});

it('does not follow symbolic links', async () => {
  const elsewhere = join(folder, 'elsewhere');
  mkdirSync(join(elsewhere, 'deep'), { recursive: true });
  const link = join(repository, 'refs', 'heads', 'link');
  system.listed = 0;
  await isHeard(() => symlinkSync(elsewhere, link));
  await quiet();
  expect(system.listed).toBe(0);
  // Nor when all is listed.
  await isHeard(() => mkdirSync(join(repository, 'refs', 'heads', 'folder')));
  await quiet();
  writeFileSync(join(elsewhere, 'deep', 'one'), '');
  writeFileSync(join(elsewhere, 'two'), '');
  await afterAllEvents(elsewhere);
  expect(heard).toEqual([]);
});

it('begins when the repository is made, and goes on after it was deleted, made again and replaced', async () => {
  const later = join(folder, 'later');
  await watched(later);
  await makeRepository(later, { bare: true });
  await watch.refresh();
  const change = async () => void (await commitFiles(later, { a: String(performance.now()) }));
  await isHeard(change);
  await isHeard(() => rmSync(later, { recursive: true }));
  await watch.refresh();
  await quiet();
  await makeRepository(later, { bare: true });
  await watch.refresh();
  await isHeard(change);
  await isHeard(async () => {
    renameSync(later, `${later}.old`);
    await makeRepository(later, { bare: true });
  });
  await watch.refresh();
  await isHeard(change);
  await quiet();
  await commitFiles(`${later}.old`, { a: 'unheard' });
  await afterAllEvents(`${later}.old`);
  expect(heard).toEqual([]);
});

it('lists no folder at a refresh when none came or went, nor at a change of a ref', async () => {
  await isHeard(() => git(repository, 'branch', 'feature/deep', commit));
  await quiet();
  await isHeard(() => writeRef(join(repository, 'refs', 'heads', 'before')));
  await quiet();
  system.listed = 0;
  await watch.refresh();
  await isHeard(() => writeRef(join(repository, 'refs', 'heads', 'feature', 'one')));
  await watch.refresh();
  await quiet();
  expect(system.listed).toBe(0);
});

it('watches at most 1,000 folders, the outer ones first', async () => {
  const heads = join(repository, 'refs', 'heads');
  for (let index = 0; index < 40; index += 1)
    for (let inner = 0; inner < 40; inner += 1)
      mkdirSync(join(heads, `f${index}`, `g${inner}`), { recursive: true });
  await watched(repository);
  expect(countWatches() - watchesBefore).toBe(1_000);
  await isHeard(() => writeRef(join(heads, 'f39', 'one')));
});

it('lives without watches, and begins at the first refresh that gets them', async () => {
  system.refused = /./;
  await watched(repository);
  system.refused = null;
  await watch.refresh();
  await isHeard(() => writeRef(join(repository, 'refs', 'heads', 'one')));
  await quiet();
  system.refused = /./;
  const inner = join(repository, 'refs', 'heads', 'feature');
  await isHeard(() => mkdirSync(inner));
  await quiet();
  system.refused = null;
  await watch.refresh();
  await isHeard(() => writeRef(join(inner, 'one')));
});

it('tells of a folder that it cannot watch, and watches the others', async () => {
  const heads = join(repository, 'refs', 'heads');
  const names = ['a', 'b', 'c', 'd', 'empty'];
  for (const name of names) mkdirSync(join(heads, name));
  system.refused = /heads.[bc]/;
  await watched(repository);
  for (const name of ['a', 'd']) await isHeard(() => writeRef(join(heads, name, 'one')));
  system.refused = /./;
  await isHeard(() => {
    rmSync(join(heads, 'empty'), { recursive: true });
    mkdirSync(join(heads, 'empty'));
  });
});

it('leaves no watch behind when it is closed while it begins', async () => {
  for (let turns = 0; turns < 20; turns += 1) {
    const begun = new RefWatch(repository, () => undefined);
    const beginning = begun.refresh();
    for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    begun.close();
    await beginning;
  }
  watch.close();
  expect(countWatches()).toBe(watchesBefore);
});

it('is silent after it was closed, also while it gathers', async () => {
  await isHeard(() => writeRef(join(repository, 'refs', 'heads', 'one')));
  writeRef(join(repository, 'refs', 'heads', 'two'));
  await afterAllEvents(repository);
  const before = heard.length;
  watch.close();
  writeRef(join(repository, 'refs', 'heads', 'three'));
  await afterAllEvents(repository);
  await untilQuiet();
  expect(heard).toHaveLength(before);
});
