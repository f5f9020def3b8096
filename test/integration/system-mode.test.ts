/** `nginx.mode: system`: site files for the nginx that the machine has, beside what else it serves. */
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Controller } from '../support/controller.js';
import { startMachineNginx, type MachineNginx } from '../support/machine-nginx.js';
import { createScenario, type Scenario } from '../support/scenario.js';
import { expectSettled, expectUnnoticed } from '../support/settled.js';

let scenario: Scenario;
let machine: MachineNginx;

beforeEach(async () => {
  scenario = await createScenario();
  machine = await startMachineNginx(scenario.folder, scenario.ports.listen);
  await scenario.writeSettings({ nginx: { mode: 'system', confDir: machine.confDir } });
});
afterEach(async () => {
  await scenario.stopAll();
  await machine.cleanup();
  await scenario.cleanup();
});

async function expectDefaultSite(): Promise<void> {
  const { status, body } = await scenario.get('stranger.test');
  expect(status).toBe(200);
  expect(body).toContain('Welcome to nginx');
}

async function gone(controller: Controller, project: string): Promise<void> {
  await controller.waitFor(
    `${project} is gone`,
    ({ status }) => status !== null && status.projects[project] === undefined,
  );
}

it('deploys, updates, reverts and removes beside the default site, which goes on', async () => {
  const shop = scenario.name('shop');
  const other = scenario.name('other');
  const application = await scenario.application('shop');
  await expectDefaultSite();
  await scenario.commitManifest(shop, application);
  await scenario.commitManifest(other, application);
  const controller = scenario.start({ enter: machine.enter });
  await controller.waitLive(shop);
  await controller.waitLive(other);
  await expectDefaultSite();

  const client = scenario.client(shop, 'v1');
  const workers = await machine.workers();
  client.expect({ from: 'v1', to: 'v2' });
  const sourceCommit = await application.commitVersion('v2');
  await controller.waitLive(shop, { sourceCommit });
  await controller.waitLive(other, { sourceCommit });
  client.acknowledged('v2');
  // A switch reloads nothing, whoever's nginx it is.
  expect(await machine.workers()).toEqual(workers);
  expectUnnoticed(client);
  await client.stop();

  await scenario.removeManifest(shop);
  await gone(controller, shop);
  await expectDefaultSite();
  expect(await scenario.version(other)).toBe('v2');
  expect((await scenario.get(`${shop}.localhost`)).body).toContain('Welcome to nginx');
  expect(await readdir(join(scenario.stateDir, 'nginx/sites'))).toEqual([`${other}.conf`]);
  expect(await readdir(join(machine.folder, 'conf.d'))).toEqual(['pointsman.conf']);
  await controller.stop();
  await expectSettled(scenario);
});

it('names a configuration of somebody else that is broken, goes on serving, and heals', async () => {
  const shop = scenario.name('shop');
  const late = scenario.name('late');
  const application = await scenario.application('shop');
  await scenario.commitManifest(shop, application);
  const controller = scenario.start({ enter: machine.enter });
  await controller.waitLive(shop);
  const client = scenario.client(shop, 'v1');

  const broken = join(machine.folder, 'conf.d/broken.conf');
  await writeFile(broken, 'no_such_directive on;\n');
  await scenario.commitManifest(late, application);
  const refused = await controller.waitFor('the route is refused', ({ status }) =>
    status?.projects[late]?.reason === 'RouteRefused' ? status.projects[late] : null,
  );
  expect(refused.message).toContain('no_such_directive');
  // Switches need no reload: an update goes on meanwhile.
  client.expect({ from: 'v1', to: 'v2' });
  const sourceCommit = await application.commitVersion('v2');
  await controller.waitLive(shop, { sourceCommit });
  client.acknowledged('v2');

  // Asked for again at each sync, and told of once.
  const told = (await controller.journal())
    .filter((record) => 'project' in record && record.project === late)
    .map(({ type }) => type);
  expect(told.filter((type) => ['drift', 'problem'].includes(type))).toEqual(['problem']);

  await rm(broken);
  await controller.waitLive(late);
  expect(await scenario.version(late)).toBe('v2');
  expectUnnoticed(client, { reloaded: true });
});
