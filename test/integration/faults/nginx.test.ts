/** nginx dies, and somebody else has its port when it is to come back; its files are damaged by hand. */
import { access, readFile, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Phase } from '../../../src/record/port.js';
import type { Application } from '../../support/application.js';
import type { Controller } from '../../support/controller.js';
import { isRunning } from '../../support/processes.js';
import { createScenario, type Scenario } from '../../support/scenario.js';
import { until } from '../../support/waiting.js';
import { Invariants } from './invariants.js';
import { account, accountAlone, accountOutage, isFull } from './report.js';

/** Of the deployment in whose midst nginx dies. */
const phases: readonly Exclude<Phase, 'fetching'>[] = isFull
  ? ['queued', 'building', 'starting', 'probing', 'switching', 'baking']
  : ['switching'];

let scenario: Scenario;
let shop: string;
let application: Application;
let controller: Controller;
let invariants: Invariants;

beforeEach(async () => {
  scenario = await createScenario();
  shop = scenario.name('shop');
  application = await scenario.application('shop');
  invariants = await Invariants.watch(scenario, { [shop]: application });
  await scenario.commitManifest(shop, application);
  controller = scenario.start();
  await controller.waitLive(shop);
});
afterEach(async () => {
  await invariants.close();
  await scenario.cleanup();
});

/** Master and workers, all at once. Resolves when they are gone. */
async function killNginx(): Promise<void> {
  const master = Number(await readFile(join(scenario.stateDir, 'nginx/nginx.pid'), 'utf8'));
  const pids = [master, ...(await scenario.nginxWorkers())];
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  for (const pid of pids) await until(async () => !(await isRunning(pid)));
}

/** Status has nothing to say against nginx, and one of these versions answers. */
async function serving(...versions: readonly string[]): Promise<void> {
  await controller.waitFor(
    'it serves',
    async ({ status }) =>
      status?.components.nginx.ok === true && versions.includes(await scenario.version(shop).catch(() => '')),
  );
}

it('comes back in the midst of a deployment, which goes on, and nothing is lost from then on', async () => {
  let version = 1;
  for (const phase of phases) {
    const from = `v${version}`;
    const to = `v${(version += 1)}`;
    const during = scenario.client(shop, from);
    during.allow(from, to);
    const before = (await controller.journal()).length;
    const sourceCommit = await application.commitVersion(to);
    await controller.waitFor(`the deployment is ${phase}`, ({ journal }) =>
      journal.slice(before).some((record) => record.type === 'deployment' && record.to === phase),
    );
    await killNginx();
    await serving(from, to);
    const after = scenario.client(shop, from);
    // A switch that nginx could not confirm is taken back and made again.
    after.allow(from, to);
    await accountOutage(`nginx killed while ${phase}`, 1, during);
    await controller.waitLive(shop, { sourceCommit });
    after.acknowledged(to);
    const configCommit = await scenario.config.head();
    await controller.waitIdle({ configCommit, sourceCommits: { [shop]: sourceCommit } });
    await controller.waitLooks();
    await account(`nginx back after ${phase}`, 0, after);
    await invariants.look();
  }
  await invariants.end(controller);
}, 600_000);

/** Ends nginx, and holds its port until the returned function is called. */
async function takePort(): Promise<() => Promise<void>> {
  const { listen } = scenario.ports;
  const squatter = createServer((socket) => socket.destroy());
  // Stopped first: nothing brings it back before the port is taken.
  controller.signal('SIGSTOP');
  await killNginx();
  await until(
    () =>
      new Promise<boolean>((resolve) => {
        squatter.once('error', () => resolve(false));
        squatter.listen(listen, '127.0.0.1', () => resolve(true));
      }),
  );
  controller.signal('SIGCONT');
  return () => new Promise((resolve) => squatter.close(() => resolve()));
}

it('says who has the port, and serves again when it is free', async () => {
  const client = scenario.client(shop, 'v1');
  const free = await takePort();
  const message = await controller.waitFor('status names the port', ({ status }) =>
    status?.components.nginx.ok === false ? status.components.nginx.message : null,
  );
  expect(message).toContain(`${scenario.ports.listen}`);
  await free();
  await serving('v1');
  const after = scenario.client(shop, 'v1');
  await accountOutage('nginx killed, its port taken', 2, client);
  // From now on nothing is lost: while nothing happens, and in the next deployment.
  await controller.waitLooks();
  after.expect({ from: 'v1', to: 'v2' });
  const sourceCommit = await application.commitVersion('v2');
  await controller.waitLive(shop, { sourceCommit });
  after.acknowledged('v2');
  const configCommit = await scenario.config.head();
  await controller.waitIdle({ configCommit, sourceCommits: { [shop]: sourceCommit } });
  await account('nginx back', 0, after);
  await invariants.end(controller);
});

/** A switch file is made anew from its container, with the time of that. */
function meaningOf(text: string): string {
  try {
    const { revision, slot, spec } = JSON.parse(text) as Record<string, string>;
    return JSON.stringify({ revision, slot, spec });
  } catch {
    return text;
  }
}

it('mends every file that somebody damages: a site file by a reload, a switch file without a lost request', async () => {
  const nginx = join(scenario.stateDir, 'nginx');
  const site = join(nginx, 'sites', `${shop}.conf`);
  const [switchName = ''] = await readdir(join(nginx, 'switch'));
  for (const path of [site, join(nginx, 'switch', switchName)]) {
    const text = await readFile(path, 'utf8');
    const reloaded = path === site;
    const harms = [
      () => writeFile(path, 'not for nginx {'),
      () => truncate(path, Math.floor(text.length / 2)),
      () => truncate(path, 0),
      ...(reloaded ? [() => rm(path), () => rm(join(nginx, 'sites'), { recursive: true })] : []),
    ];
    const workers = await scenario.nginxWorkers();
    const client = scenario.client(shop, 'v1');
    for (const harm of harms) {
      await harm();
      await controller.waitFor('the file is whole again', async () => {
        return meaningOf(await readFile(path, 'utf8').catch(() => '')) === meaningOf(text);
      });
      expect(await scenario.version(shop)).toBe('v1');
      // What follows a repair within 5 ms the watch drops, and only the next full look finds it.
      await controller.waitLooks();
    }
    const configCommit = await scenario.config.head();
    await controller.waitIdle({ configCommit });
    if (!reloaded) expect(await scenario.nginxWorkers()).toEqual(workers);
    await account(`${reloaded ? 'site' : 'switch'} file damaged`, harms.length, client, { reloaded });
  }
  await invariants.end(controller);
});

it('is not held up by what somebody puts among the site files', async () => {
  const sites = join(scenario.stateDir, 'nginx', 'sites');
  // Two that are no names of projects, and one that is.
  const strays = ['My notes.conf', 'SHOP.conf', 'left-over.conf'].map((name) => join(sites, name));
  const litter = async (): Promise<void> => {
    for (const path of strays) await writeFile(path, 'not for nginx {');
  };
  const cleared = async (): Promise<void> => {
    await controller.waitFor('they are out of the way', async () => {
      const left = await Promise.all(
        strays.map((path) =>
          access(path).then(
            () => true,
            () => false,
          ),
        ),
      );
      return !left.includes(true);
    });
  };
  await litter();
  // A change of routes has nginx read all of them.
  const configCommit = await scenario.commitManifest(shop, application, { route: { maxBody: '20m' } });
  await controller.waitIdle({ configCommit });
  await controller.waitFor('the route is changed', async () =>
    (await readFile(join(sites, `${shop}.conf`), 'utf8')).includes('client_max_body_size 20971520;'),
  );
  await cleared();
  await litter();
  await killNginx();
  await serving('v1');
  await cleared();
  await accountAlone('strangers among the site files', strays.length * 2);
  for (const name of await readdir(sites))
    if (/\.(set-aside|damaged)$/.test(name)) await rm(join(sites, name));
  await invariants.end(controller);
});

it('holds deployments while nginx cannot run, tells of no switch, and counts no attempt for it', async () => {
  const web = scenario.name('web');
  const second = await scenario.application('web');
  const seen = (await controller.journal()).length;
  const free = await takePort();
  await controller.waitFor('status says so', ({ status }) => status?.components.nginx.ok === false);
  const sourceCommit = await application.commitVersion('v2');
  const configCommit = await scenario.commitManifest(web, second);
  for (const project of [shop, web]) {
    const held = await controller.waitFor(`${project} waits for nginx`, ({ status }) => {
      const found = status?.projects[project];
      return found?.nextRetryAt !== null && found?.reason === 'NginxUnavailable' ? found : null;
    });
    expect(held).toMatchObject({ live: null, urls: [] });
    expect(held.message).toContain(`${scenario.ports.listen}`);
  }
  const meanwhile = (await controller.journal()).slice(seen);
  expect(meanwhile.filter(({ type }) => type === 'switch')).toEqual([]);
  await free();
  await controller.waitLive(shop, { sourceCommit });
  await controller.waitLive(web, { configCommit });
  const ended = (await controller.journal()).slice(seen).flatMap((record) => {
    if (record.type !== 'deployment') return [];
    const { project, to, detail } = record;
    return ['active', 'failed', 'cancelled', 'rolled-back'].includes(to)
      ? [{ project, to, attempt: detail.attempt }]
      : [];
  });
  expect(ended.sort((a, b) => a.project.localeCompare(b.project))).toEqual([
    { project: shop, to: 'active', attempt: 1 },
    { project: web, to: 'active', attempt: 1 },
  ]);
});
