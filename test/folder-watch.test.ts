import { mkdirSync, rmSync } from 'node:fs';
import { appendFile, chmod, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { FolderWatch } from '../src/folder-watch.js';
import { temporaryFolder } from './cli/cli.js';
import { until } from './support/waiting.js';

let root: string;
let inner: string;
let told: string[];
let watch: FolderWatch;

beforeEach(async () => {
  root = join(await temporaryFolder(), 'nginx');
  inner = join(root, 'sites');
  await mkdir(inner, { recursive: true });
  told = [];
  watch = new FolderWatch((path) => told.push(path));
  await watch.refresh([root, inner]);
});

afterEach(() => watch.close());

/** Resolves when it was told of `path`, and begins anew. */
async function toldOf(path: string): Promise<void> {
  await until(async () => told.includes(path), 10_000);
  told = [];
}

/** Resolves when it was told of a new entry of `inner`, which is watched again by then. */
async function followsAgain(entry: string): Promise<void> {
  await watch.refresh([root, inner]);
  await writeFile(join(inner, entry), '');
  await toldOf(join(inner, entry));
}

it('tells of each entry that is made, changed, moved and removed, by its path, and of nothing before', async () => {
  expect(told).toEqual([]);
  const [one, two] = [join(inner, 'one'), join(inner, 'two')];
  await writeFile(one, '');
  await toldOf(one);
  await appendFile(one, 'more');
  await toldOf(one);
  await rename(one, two);
  await until(async () => told.includes(one) && told.includes(two), 10_000);
  await rm(two);
  await toldOf(two);
  await writeFile(join(root, 'nginx.conf'), '');
  await toldOf(join(root, 'nginx.conf'));
});

it('tells of a folder that goes and comes again, and of what changes in it then', async () => {
  await rm(inner, { recursive: true });
  await toldOf(inner);
  await mkdir(inner);
  await toldOf(inner);
  await followsAgain('three');
});

it('sees one that is replaced at once, though it may get the number of the one before', async () => {
  for (let time = 0; time < 20; time += 1) {
    // In one turn: what the kernel tells of it is heard when both are over.
    rmSync(inner, { recursive: true });
    mkdirSync(inner);
    await toldOf(inner);
    await followsAgain('entry');
  }
});

it('finds everything again that went at once, when it is asked to look', async () => {
  await rename(root, `${root}-away`);
  await toldOf(root);
  await mkdir(inner, { recursive: true });
  await watch.refresh([root, inner]);
  await toldOf(inner);
  await followsAgain('four');
  // What was moved away is no longer followed.
  await writeFile(join(`${root}-away`, 'sites', 'five'), '');
  await writeFile(join(inner, 'six'), '');
  await until(async () => told.includes(join(inner, 'six')), 10_000);
  expect(told.filter((path) => path.endsWith('five'))).toEqual([]);
});

it('takes a folder whose mode is changed for the same', async () => {
  await chmod(inner, 0o711);
  await chmod(root, 0o711);
  await writeFile(join(inner, 'last'), '');
  await until(async () => told.includes(join(inner, 'last')), 10_000);
  expect(new Set(told)).toEqual(new Set([join(inner, 'last')]));
});

it('waits for a folder that is not there yet', async () => {
  const late = join(root, 'late', 'later');
  const patient = new FolderWatch((path) => told.push(path));
  await patient.refresh([late]);
  await mkdir(late, { recursive: true });
  await patient.refresh([late]);
  await toldOf(late);
  await writeFile(join(late, 'entry'), '');
  await toldOf(join(late, 'entry'));
  patient.close();
});

it('tells of an entry that is called like its folder', async () => {
  await writeFile(join(inner, 'sites'), '');
  await toldOf(join(inner, 'sites'));
});

it('tells of a file that takes the name of a folder', async () => {
  await rm(inner, { recursive: true });
  await toldOf(inner);
  // After all that the kernel told of it.
  await watch.refresh([root, inner]);
  told = [];
  await writeFile(inner, '');
  await toldOf(inner);
  await watch.refresh([root, inner]);
  told = [];
  // Once is enough.
  await watch.refresh([root, inner]);
  expect(told).toEqual([]);
});

it('says whether there is more to see, and lets go of what is not named any more', async () => {
  const more = join(root, 'more');
  await mkdir(more);
  await toldOf(more);
  expect(await watch.refresh([root, inner])).toBe(false);
  expect(await watch.refresh([root, more])).toBe(true);
  expect([watch.follows(inner), watch.follows(more)]).toEqual([false, true]);
  await writeFile(join(inner, 'unseen'), '');
  await writeFile(join(more, 'seen'), '');
  await until(async () => told.includes(join(more, 'seen')), 10_000);
  expect(new Set(told)).toEqual(new Set([join(more, 'seen')]));
});

it('watches a folder before it asks for the next', async () => {
  async function* folders(): AsyncGenerator<string> {
    yield root;
    yield inner;
    await writeFile(join(inner, 'between'), '');
  }
  await watch.refresh([root]);
  await watch.refresh(folders());
  await toldOf(join(inner, 'between'));
});
