/** The state directory's disk is full, at one write after the other, or takes no writes at all. */
import { execFile } from 'node:child_process';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Application } from '../../support/application.js';
import type { Controller } from '../../support/controller.js';
import { createScenario, type Scenario } from '../../support/scenario.js';
import { expectSettled } from '../../support/settled.js';
import { account, expectAtRest, isFull } from './report.js';

const execute = promisify(execFile);
const page = 4096;
/** Pages that are left when the disk counts as full: each lets the next write through. */
const pagesLeft = isFull ? Array.from({ length: 40 }, (_, pages) => pages) : [0, 1, 3, 9, 27];

let scenario: Scenario;
let shop: string;
let application: Application;
let controller: Controller;

beforeEach(async () => {
  scenario = await createScenario();
  await execute('mount', ['-t', 'tmpfs', '-o', 'size=24m,mode=755', 'tmpfs', scenario.stateDir]);
  shop = scenario.name('shop');
  application = await scenario.application('shop');
  await scenario.commitManifest(shop, application, { health: { bake: '200ms' } });
  controller = scenario.start();
  await controller.waitLive(shop);
});

afterEach(async () => {
  await scenario.stopAll();
  // nginx holds the mount until it is gone: taken away now, freed with its last file.
  await execute('umount', ['--lazy', scenario.stateDir]);
  await scenario.cleanup();
});

const filler = (): string => join(scenario.stateDir, 'filler');

/** Leaves room for so many pages. */
async function fill(pages: number): Promise<void> {
  const { stdout } = await execute('df', ['--output=avail', '-B', `${page}`, scenario.stateDir]);
  const free = Number(stdout.trim().split('\n').at(-1));
  const handle = await open(filler(), 'w');
  const blank = Buffer.alloc(page);
  for (let written = 0; written < free - pages; written += 1) await handle.write(blank);
  await handle.close();
}

it('names a full disk, serves on, and goes on by itself when there is room again', async () => {
  const client = scenario.client(shop, 'v1');
  let version = 1;
  let hurt = 0;
  for (const pages of pagesLeft) {
    const from = `v${version}`;
    const to = `v${(version += 1)}`;
    client.expect({ from, to });
    const begun = controller.log.length;
    await fill(pages);
    const sourceCommit = await application.commitVersion(to);
    const outcome = await controller.waitFor('the fault is named, or nothing was hurt', ({ status }) => {
      if (controller.log.slice(begun).some((line) => /no space left/i.test(JSON.stringify(line))))
        return 'named';
      return status?.projects[shop]?.live?.sourceCommit === sourceCommit ? 'live' : null;
    });
    if (outcome === 'named') hurt += 1;
    await rm(filler());
    await controller.waitLive(shop, { sourceCommit });
    client.acknowledged(to);
    const configCommit = await scenario.config.head();
    const status = await controller.waitIdle({ configCommit, sourceCommits: { [shop]: sourceCommit } });
    expect(status.problems).toEqual([]);
    await expectAtRest(scenario);
  }
  expect(hurt).toBeGreaterThan(0);
  await account('disk full', hurt, client);
  await controller.stop();
  await expectSettled(scenario);
}, 1_200_000);

/** In a view of its own, in which the state directory takes no writes. */
const readOnlyView = (folder: string): readonly string[] => [
  ...['unshare', '--mount', '--propagation', 'private', 'sh', '-c'],
  `mount --bind "${folder}" "${folder}" && mount -o remount,bind,ro "${folder}" && exec "$@"`,
  'sh',
];

it('names a disk that takes no writes, leaves what serves alone, and goes on when it does', async () => {
  const client = scenario.client(shop, 'v1');
  client.expect({ from: 'v1', to: 'v2' });
  await controller.stop();
  const sourceCommit = await application.commitVersion('v2');
  const hindered = scenario.start({ enter: readOnlyView(scenario.stateDir) });
  const named = (): boolean => /read-only/i.test(hindered.errors + JSON.stringify(hindered.log));
  await Promise.race([hindered.exited, hindered.waitFor('the fault is named', named)]);
  expect(named()).toBe(true);
  expect(await scenario.version(shop)).toBe('v1');
  await hindered.stop();
  controller = scenario.start();
  await controller.waitLive(shop, { sourceCommit });
  client.acknowledged('v2');
  const configCommit = await scenario.config.head();
  await controller.waitIdle({ configCommit, sourceCommits: { [shop]: sourceCommit } });
  await account('disk read-only', 1, client);
  await controller.stop();
  await expectSettled(scenario);
});
