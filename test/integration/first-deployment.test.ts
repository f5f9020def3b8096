import { afterEach, expect, it } from 'vitest';
import { createScenario, type Scenario } from '../support/scenario.js';

let scenario: Scenario;
afterEach(async () => scenario.cleanup());

it('deploys the first commit of a config repository', async () => {
  scenario = await createScenario();
  const shop = scenario.name('shop');
  await scenario.commitManifest(shop, await scenario.application('shop'));
  await scenario.start().waitLive(shop);
  expect(await scenario.version(shop)).toBe('v1');
});
