/**
 * What people, and accidents, do to what serves: put right at once, each time told by the journal.
 * The controller of these tests lives for less than the five minutes after which it looks at everything,
 * so that an event or a watched file must have led to every repair.
 */
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Application } from '../support/application.js';
import type { Controller } from '../support/controller.js';
import { engine } from '../support/engine.js';
import { createScenario, type Scenario } from '../support/scenario.js';
import { endState, expectSettled, expectUnnoticed } from '../support/settled.js';

let scenario: Scenario;
let application: Application;
let controller: Controller;
let shop: string;

beforeAll(async () => {
  scenario = await createScenario();
  shop = scenario.name('shop');
  application = await scenario.application('shop');
  await scenario.commitManifest(shop, application);
  controller = scenario.start();
  await controller.waitLive(shop);
});
afterAll(async () => {
  const fullLooks = controller.log.filter(({ msg }) => msg === 'full look');
  await scenario.cleanup();
  expect(fullLooks).toEqual([]);
});

const container = () => engine.getContainer(`pointsman-${shop}-blue`);
const switchFile = (slot: string): string => join(scenario.stateDir, 'nginx/switch', `${shop}.${slot}`);
const siteFile = (): string => join(scenario.stateDir, 'nginx/sites', `${shop}.conf`);

/** What the journal says was found and put right, from record `since` on. */
async function drift(since: number): Promise<{ readonly found: string[]; readonly done: string[] }> {
  const told: { readonly found: string[]; readonly done: string[] } = { found: [], done: [] };
  for (const record of (await controller.journal()).slice(since))
    if (record.type === 'drift') told[record.detail.event].push(record.detail.what);
  return told;
}

/** Lets `harm` happen and waits until the journal tells of a repair that matches `what`, and of its end. */
async function repaired(what: RegExp, harm: () => Promise<unknown>): Promise<void> {
  const before = await endState(scenario);
  const since = (await controller.journal()).length;
  await harm();
  await controller.waitFor('it is repaired', async () => {
    const { found, done } = await drift(since);
    return found.some((each) => what.test(each)) && done.length === found.length;
  });
  await controller.waitFor('it serves', async () => (await scenario.version(shop)) === 'v1');
  await controller.waitLive(shop);
  expect(await endState(scenario)).toEqual(before);
}

describe('without a lost request', () => {
  it.each<{ harm: string; what: RegExp; run: () => Promise<unknown> }>([
    {
      harm: 'an edited site file',
      what: /site file: .*changed by hand/,
      run: async () => writeFile(siteFile(), `${await readFile(siteFile(), 'utf8')}\n# by hand\n`),
    },
    { harm: 'a deleted site file', what: /site file/, run: () => rm(siteFile()) },
    { harm: 'a damaged switch file', what: /damaged/, run: () => writeFile(switchFile('blue'), 'x') },
  ])('mends $harm', async ({ what, run }) => {
    const client = scenario.client(shop, 'v1');
    await repaired(what, run);
    await client.stop();
    expectUnnoticed(client, { reloaded: String(what).includes('site file'), atLeast: 0 });
  });
});

it('brings the live revision back while the newest commit fails', async () => {
  const { Image: image } = await container().inspect();
  const sourceCommit = await application.commitVersion('v2', { exitAtStart: 3 });
  const failed = await controller.waitFor('the newest has failed', ({ status }) => {
    const found = status?.projects[shop];
    return found?.state === 'failed' && found.desired?.sourceCommit === sourceCommit ? found : null;
  });
  const since = (await controller.journal()).length;
  await container().remove({ force: true });
  await controller.waitFor('the live one is back', async () => (await scenario.version(shop)) === 'v1');
  await controller.waitFor('status says so', async ({ status }) => {
    const found = status?.projects[shop];
    return (await drift(since)).done.length > 0 && found?.live?.revision === failed.live?.revision;
  });
  expect((await container().inspect()).Image).toBe(image);
  const reverted = await application.revert();
  const configCommit = await scenario.config.head();
  const status = await controller.waitIdle({ configCommit, sourceCommits: { [shop]: reverted } });
  expect(status.projects[shop]?.state).toBe('live');
  // Six exits in five minutes are a crash loop, whoever caused them; `retry` forgets those so far.
  expect((await scenario.pointsman('retry', shop)).code).toBe(0);
});

describe('as soon as it is seen', () => {
  it.each<{ harm: string; what: RegExp; run: () => Promise<unknown> }>([
    { harm: 'a removed container', what: /gone/, run: () => container().remove({ force: true }) },
    {
      harm: 'a killed container',
      what: /exited/,
      run: () => container().kill(),
    },
    { harm: 'a stopped container', what: /exited/, run: () => container().stop({ t: 1 }) },
    { harm: 'a deleted switch file', what: /switch file of blue is gone/, run: () => rm(switchFile('blue')) },
    {
      harm: 'a switch folder that is gone',
      what: /switch file of blue is gone/,
      run: () => rm(join(scenario.stateDir, 'nginx/switch'), { recursive: true }),
    },
    {
      harm: 'a stray switch file of the idle slot',
      what: /both switch files/,
      run: () => writeFile(switchFile('green'), ''),
    },
    {
      harm: 'a removed network',
      what: /not at its address|gone/,
      run: async () => {
        const network = engine.getNetwork(`pointsman-${shop}`);
        await network.disconnect({ Container: `pointsman-${shop}-blue`, Force: true });
        await network.remove();
      },
    },
    {
      harm: 'a removed container together with its switch file',
      what: /./,
      run: async () => {
        await rm(switchFile('blue'));
        await container().remove({ force: true });
      },
    },
  ])('mends $harm', ({ what, run }) => repaired(what, run));
});

it('brings the switch file back by the journal where no container restarts by itself any more', async () => {
  const { Id: id } = await container().inspect();
  const since = (await controller.journal()).length;
  await controller.stop();
  await rm(switchFile('blue'));
  await container().update({ RestartPolicy: { Name: 'no' } });
  controller = scenario.start();
  await controller.waitFor('it is served again', async () => (await scenario.version(shop)) === 'v1');
  await controller.waitFor('it restarts by itself again', async () => {
    const { Id, HostConfig } = await container().inspect();
    return Id === id && HostConfig.RestartPolicy?.Name === 'unless-stopped';
  });
  const records = (await controller.journal()).slice(since);
  expect(records.flatMap((record) => (record.type === 'switch' ? [record.detail] : []))).toMatchObject([
    { from: null, to: 'blue', cause: 'repair' },
  ]);
  expect(records.some(({ type }) => type === 'deployment')).toBe(false);
});

it('gives the live container its restart policy back', async () => {
  await container().update({ RestartPolicy: { Name: 'no' } });
  await controller.waitFor(
    'it restarts by itself again',
    async () => (await container().inspect()).HostConfig.RestartPolicy?.Name === 'unless-stopped',
  );
});

it('starts nginx again and tells of it', async () => {
  const since = (await controller.journal()).length;
  const pid = Number(await readFile(join(scenario.stateDir, 'nginx/nginx.pid'), 'utf8'));
  const workers = await scenario.nginxWorkers();
  process.kill(pid, 'SIGKILL');
  for (const worker of workers) process.kill(worker, 'SIGKILL');
  await controller.waitFor(
    'nginx serves',
    async () =>
      (await scenario.version(shop).catch(() => null)) === 'v1' && (await drift(since)).done.length > 0,
  );
  const { done } = await drift(since);
  expect(done.join()).toContain('nginx');
  expect(
    (await controller.waitIdle({ configCommit: await scenario.config.head() })).components.nginx,
  ).toEqual({ ok: true, message: null });
});

it('has nothing left to do after all of it', async () => {
  await controller.stop();
  expect(await readdir(join(scenario.stateDir, 'nginx/switch'))).toEqual([`${shop}.blue`]);
  await expectSettled(scenario);
});
