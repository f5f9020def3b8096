/** The controller dies by SIGKILL at moments that chance chooses, under load, and is started again. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { createScenario, type Scenario } from '../../support/scenario.js';
import { Invariants } from './invariants.js';
import { account, expectAtRest, isFull, randomNumbers, seed } from './report.js';

const kills = isFull ? 100 : 8;
/** An update with its build, bake and drain takes about as long. */
const withinMs = 2_500;

let scenario: Scenario;
let invariants: Invariants;
afterEach(async () => {
  await invariants.close();
  await scenario.cleanup();
});

it(`loses nothing when it is killed ${kills} times in the midst of deployments (seed ${seed})`, async () => {
  const random = randomNumbers(seed);
  scenario = await createScenario();
  const shop = scenario.name('shop');
  const application = await scenario.application('shop');
  invariants = await Invariants.watch(scenario, { [shop]: application });
  const manifest = { release: { command: ['node', 'release.mjs'] }, health: { bake: '200ms' } };
  await scenario.commitManifest(shop, application, manifest);
  let controller = scenario.start();
  await controller.waitLive(shop);
  const client = scenario.client(shop, 'v1');
  let killed = 0;
  for (let version = 2; killed < kills; version += 1) {
    const from = `v${version - 1}`;
    const to = `v${version}`;
    client.expect({ from, to });
    const sourceCommit = await application.commitVersion(to);
    // Up to three times in one deployment: recovery is cut short as well.
    for (let time = Math.ceil(random() * 3); time > 0 && killed < kills; time -= 1) {
      await delay(random() * withinMs);
      await controller.kill();
      killed += 1;
      controller = scenario.start();
    }
    await controller.waitLive(shop, { sourceCommit });
    client.acknowledged(to);
    const configCommit = await scenario.config.head();
    await controller.waitIdle({ configCommit, sourceCommits: { [shop]: sourceCommit } });
    await expectAtRest(scenario);
    await invariants.look();
    expect(await scenario.version(shop)).toBe(to);
  }
  await account('controller killed', killed, client);
  await invariants.end(controller);
}, 1_800_000);
