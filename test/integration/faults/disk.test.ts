/** The state directory's disk is full, at one write after the other, or takes no writes at all. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { withMend } from '../../../src/errors.js';
import { MirrorStore } from '../../../src/source/mirror-store.js';
import type { Application } from '../../support/application.js';
import type { Controller } from '../../support/controller.js';
import { commitFiles, makeRepository } from '../../support/git.js';
import { createScenario, type Scenario } from '../../support/scenario.js';
import { until } from '../../support/waiting.js';
import { Invariants } from './invariants.js';
import { account, accountAlone, expectAtRest, isFull } from './report.js';

const execute = promisify(execFile);
const page = 4096;
/** Pages that are left when the disk counts as full: each lets the next write through. */
const pagesLeft = isFull ? Array.from({ length: 40 }, (_, pages) => pages) : [0, 1, 3, 9, 27];
/** A first deployment writes more: a mirror of its own, a site file, what is staged for nginx. */
const pagesLeftOfFirst = isFull ? [0, 1, 2, 4, 8, 12, 16, 24, 32, 40, 48, 64] : [0, 8, 32];

let scenario: Scenario;
let shop: string;
let application: Application;
let applications: Record<string, Application>;
let controller: Controller;
let invariants: Invariants;

beforeEach(async () => {
  scenario = await createScenario();
  await execute('mount', ['-t', 'tmpfs', '-o', 'size=24m,mode=755', 'tmpfs', scenario.stateDir]);
  shop = scenario.name('shop');
  application = await scenario.application('shop');
  applications = { [shop]: application };
  invariants = await Invariants.watch(scenario, applications);
  await scenario.commitManifest(shop, application, { health: { bake: '200ms' } });
  controller = scenario.start();
  await controller.waitLive(shop);
});

afterEach(async () => {
  await scenario.stopAll();
  await invariants.close();
  // nginx holds the mount until it is gone: taken away now, freed with its last file.
  await execute('umount', ['--lazy', scenario.stateDir]);
  await scenario.cleanup();
});

const filler = (): string => join(scenario.stateDir, 'filler');

/**
 * What `status` says of a fault: in the status itself, or, where that cannot be written, on stderr and
 * with exit code 1. Null while it says nothing of the kind.
 */
async function named(fault: RegExp): Promise<'named' | null> {
  const { code, stdout, stderr } = await scenario.pointsman('status');
  if (stderr === '') return fault.test(stdout) ? 'named' : null;
  expect([code, stderr]).toEqual([1, expect.stringMatching(fault)]);
  return 'named';
}

/** Leaves room for so many pages. */
async function fill(pages: number): Promise<void> {
  const { stdout } = await execute('df', ['--output=avail', '-B', `${page}`, scenario.stateDir]);
  const free = Number(stdout.trim().split('\n').at(-1));
  const handle = await open(filler(), 'w');
  const blank = Buffer.alloc(page);
  try {
    for (let written = 0; written < free - pages; written += 1) await handle.write(blank);
  } catch (error) {
    // The controller writes meanwhile.
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    await handle.close();
  }
}

it('names a full disk, serves on, and goes on by itself when there is room again', async () => {
  const client = scenario.client(shop, 'v1');
  let version = 1;
  let hurt = 0;
  for (const pages of pagesLeft) {
    const from = `v${version}`;
    const to = `v${(version += 1)}`;
    client.expect({ from, to });
    await fill(pages);
    const sourceCommit = await application.commitVersion(to);
    const outcome = await controller.waitFor('status names the fault, or nothing was hurt', ({ status }) =>
      status?.projects[shop]?.live?.sourceCommit === sourceCommit
        ? 'live'
        : named(/no space left on device.*free/is),
    );
    if (outcome === 'named') hurt += 1;
    await rm(filler());
    await controller.waitLive(shop, { sourceCommit });
    client.acknowledged(to);
    const configCommit = await scenario.config.head();
    const status = await controller.waitIdle({ configCommit, sourceCommits: { [shop]: sourceCommit } });
    expect(status.problems).toEqual([]);
    await expectAtRest(scenario);
    await invariants.look();
  }
  expect(hurt).toBeGreaterThan(0);
  await account('disk full', hurt, client);
  await invariants.end(controller);
}, 1_200_000);

it('names it in first deployments too', async () => {
  let hurt = 0;
  for (const pages of pagesLeftOfFirst) {
    const name = scenario.name(`first-${pages}`);
    const first = await scenario.application(`first-${pages}`);
    applications[name] = first;
    await fill(pages);
    const configCommit = await scenario.commitManifest(name, first, { health: { bake: '200ms' } });
    const outcome = await controller.waitFor('status names the fault, or nothing was hurt', ({ status }) =>
      status?.projects[name]?.state === 'live' ? 'live' : named(/no space left on device.*free/is),
    );
    if (outcome === 'named') hurt += 1;
    expect(await scenario.version(shop)).toBe('v1');
    await rm(filler());
    await controller.waitLive(name, { configCommit });
    expect((await controller.waitIdle({ configCommit })).problems).toEqual([]);
    expect(await scenario.version(name)).toBe('v1');
    await invariants.look();
  }
  expect(hurt).toBeGreaterThan(0);
  await accountAlone('disk full in first deployments', hurt);
  await invariants.end(controller);
}, 1_200_000);

it('names it whatever git says of it, in each write of a mirror', async () => {
  const mirrors = new MirrorStore({ stateDir: scenario.stateDir });
  const { signal } = new AbortController();
  const said: string[] = [];
  await controller.stop();
  for (let pages = 0; pages < 24; pages += 1) {
    const repository = await makeRepository(join(scenario.folder, `mirrored-${pages}`));
    const commit = await commitFiles(repository, { noise: randomBytes(40_000) });
    await mirrors.git.prepare();
    await fill(pages);
    const mirror = mirrors.open(repository, null);
    const outcome = mirror.read(commit, 'refs/heads/main', signal, () => Promise.resolve('read'));
    said.push(await outcome.catch(withMend));
    await rm(filler());
    await rm(mirror.path, { recursive: true, force: true });
  }
  expect(said).toContain('read');
  const failures = said.filter((text) => text !== 'read');
  expect(failures.filter((text) => text.includes('config.lock'))).not.toEqual([]);
  expect(failures.filter((text) => !/no space left on device.*free space on/.test(text))).toEqual([]);
  await accountAlone('disk full in each write of a mirror', failures.length);
});

/** In a view of its own, in which the state directory takes no writes. */
const readOnlyView = (folder: string): readonly string[] => [
  ...['unshare', '--mount', '--propagation', 'private', 'sh', '-c'],
  `mount --bind "${folder}" "${folder}" && mount -o remount,bind,ro "${folder}" && exec "$@"`,
  'sh',
];

it('refuses to start on a disk that takes no writes, says what to do, and leaves what serves alone', async () => {
  const client = scenario.client(shop, 'v1');
  client.expect({ from: 'v1', to: 'v2' });
  await controller.stop();
  const sourceCommit = await application.commitVersion('v2');
  const hindered = scenario.start({ enter: readOnlyView(scenario.stateDir) });
  expect(await hindered.exited).toEqual({ code: 1, signal: null });
  expect(hindered.errors).toMatch(/read-only file system.*make the file system writable/);
  expect(await scenario.version(shop)).toBe('v1');
  controller = scenario.start();
  await controller.waitLive(shop, { sourceCommit });
  client.acknowledged('v2');
  const configCommit = await scenario.config.head();
  await controller.waitIdle({ configCommit, sourceCommits: { [shop]: sourceCommit } });
  await account('disk read-only at the start', 1, client);
  await invariants.end(controller);
});

it('names a disk that takes no writes any more, serves on, and goes on by itself when it does', async () => {
  const { stateDir } = scenario;
  const client = scenario.client(shop, 'v1');
  client.expect({ from: 'v1', to: 'v2' });
  // A second, read-only view on top of it: what is opened from now on takes no writes.
  await execute('mount', ['--bind', stateDir, stateDir]);
  let sourceCommit: string;
  try {
    await execute('mount', ['-o', 'remount,bind,ro', stateDir]);
    sourceCommit = await application.commitVersion('v2');
    await until(() => named(/read-only file system.*make the file system writable/is), 60_000);
    expect(await scenario.version(shop)).toBe('v1');
  } finally {
    await execute('umount', ['--lazy', stateDir]);
  }
  await controller.waitLive(shop, { sourceCommit });
  client.acknowledged('v2');
  const configCommit = await scenario.config.head();
  await controller.waitIdle({ configCommit, sourceCommits: { [shop]: sourceCommit } });
  expect(await scenario.pointsman('status')).toMatchObject({ code: 0, stderr: '' });
  await account('disk read-only while it runs', 1, client);
  await invariants.end(controller);
});
