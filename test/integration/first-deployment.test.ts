import { afterEach, expect, it } from 'vitest';
import { createScenario, type Scenario } from '../support/scenario.js';

let scenario: Scenario;
afterEach(async () => scenario.cleanup());

it('deploys a first commit, then a second one without a lost request', async () => {
  scenario = await createScenario();
  const shop = scenario.name('shop');
  const application = await scenario.application('shop');
  await scenario.commitManifest(shop, application);
  const controller = scenario.start();
  await controller.waitLive(shop);
  expect(await scenario.get(`${shop}.localhost`)).toMatchObject({ status: 200 });
});
