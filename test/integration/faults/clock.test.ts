/** The controller's clock is years off, or jumps while it runs (libfaketime). */
import { access, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { createScenario, type Scenario } from '../../support/scenario.js';
import { Invariants } from './invariants.js';
import { account, expectAtRest } from './report.js';

let scenario: Scenario;
let invariants: Invariants;
afterEach(async () => {
  await invariants.close();
  await scenario.cleanup();
});

async function libfaketime(): Promise<string> {
  for (const folder of await readdir('/usr/lib')) {
    const path = join('/usr/lib', folder, 'faketime/libfaketime.so.1');
    if (
      await access(path).then(
        () => true,
        () => false,
      )
    )
      return path;
  }
  throw new Error('libfaketime is not installed: apt-get install libfaketime');
}

it('deploys with a clock ten years ahead, behind, and one that jumps', async () => {
  scenario = await createScenario();
  const shop = scenario.name('shop');
  const application = await scenario.application('shop');
  invariants = await Invariants.watch(scenario, { [shop]: application });
  await scenario.commitManifest(shop, application, { health: { bake: '200ms' } });
  const offset = join(scenario.folder, 'offset');
  const env = {
    LD_PRELOAD: await libfaketime(),
    FAKETIME_TIMESTAMP_FILE: offset,
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    DONT_FAKE_MONOTONIC: '1',
  };
  await writeFile(offset, '+0');
  let controller = scenario.start({ env });
  await controller.waitLive(shop);
  const client = scenario.client(shop, 'v1');
  let version = 1;
  const deploy = async (): Promise<void> => {
    const from = `v${version}`;
    const to = `v${(version += 1)}`;
    client.expect({ from, to });
    const sourceCommit = await application.commitVersion(to);
    await controller.waitLive(shop, { sourceCommit });
    client.acknowledged(to);
    const configCommit = await scenario.config.head();
    await controller.waitIdle({ configCommit, sourceCommits: { [shop]: sourceCommit } });
    await expectAtRest(scenario);
    await invariants.look();
  };
  let faults = 0;
  for (const years of ['+3650d', '-3650d', '+0']) {
    await writeFile(offset, years);
    faults += 1;
    // Once while it runs, once from its start.
    await deploy();
    await controller.stop();
    controller = scenario.start({ env });
    await deploy();
  }
  const { writtenAt } = (await controller.ownStatus()) ?? { writtenAt: '' };
  expect(Math.abs(Date.parse(writtenAt) - Date.now())).toBeLessThan(60_000);
  await account('clock set off', faults, client);
  await invariants.end(controller);
}, 600_000);
