/** nginx dies, and somebody else has its port when it is to come back; its files are damaged by hand. */
import { readFile, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Application } from '../../support/application.js';
import type { Controller } from '../../support/controller.js';
import { createScenario, type Scenario } from '../../support/scenario.js';
import { until } from '../../support/waiting.js';
import { Invariants } from './invariants.js';
import { account, accountOutage } from './report.js';

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

/** Ends nginx, and holds its port until the returned function is called. */
async function takePort(): Promise<() => Promise<void>> {
  const { listen } = scenario.ports;
  const squatter = createServer((socket) => socket.destroy());
  const pid = Number(await readFile(join(scenario.stateDir, 'nginx/nginx.pid'), 'utf8'));
  const workers = await scenario.nginxWorkers();
  // Stopped first: nothing brings it back before the port is taken.
  controller.signal('SIGSTOP');
  process.kill(pid, 'SIGKILL');
  for (const worker of workers) process.kill(Number(worker), 'SIGKILL');
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
  await controller.waitFor('it serves', async () => (await scenario.version(shop).catch(() => '')) === 'v1');
  await controller.waitFor('status says so', ({ status }) => status?.components.nginx.ok);
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

it('mends every file that somebody damages, without a lost request', async () => {
  const client = scenario.client(shop, 'v1');
  const nginx = join(scenario.stateDir, 'nginx');
  const site = join(nginx, 'sites', `${shop}.conf`);
  const [switchName = ''] = await readdir(join(nginx, 'switch'));
  const whole = {
    [site]: await readFile(site, 'utf8'),
    [join(nginx, 'switch', switchName)]: await readFile(join(nginx, 'switch', switchName), 'utf8'),
  };
  let faults = 0;
  for (const [path, text] of Object.entries(whole)) {
    for (const harm of [
      () => writeFile(path, 'not for nginx {'),
      () => truncate(path, Math.floor(text.length / 2)),
      () => truncate(path, 0),
      ...(path === site ? [() => rm(path)] : []),
    ]) {
      await harm();
      faults += 1;
      await controller.waitFor('the file is whole again', async () => {
        return meaningOf(await readFile(path, 'utf8').catch(() => '')) === meaningOf(text);
      });
      expect(await scenario.version(shop)).toBe('v1');
      // What follows a repair within 5 ms the watch drops, and only the next full look finds it.
      await controller.waitLooks();
    }
  }
  const configCommit = await scenario.config.head();
  await controller.waitIdle({ configCommit });
  await account('nginx files damaged', faults, client);
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
