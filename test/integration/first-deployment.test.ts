import { afterEach, expect, it } from 'vitest';
import { createScenario, type Scenario } from '../support/scenario.js';

let scenario: Scenario;
afterEach(async () => scenario.cleanup());

it('deploys a first commit, then a second one without a lost request', async () => {
  scenario = await createScenario();
  const shop = scenario.name('shop');
  const application = await scenario.application('shop');
  await scenario.commitManifest(shop, application, { health: { bake: '500ms' } });
  const controller = scenario.start();
  await controller.waitLive(shop);
  const client = scenario.client(shop, 'v1');
  const sourceCommit = await application.commitVersion('v2');
  await controller.waitLive(shop, { sourceCommit });
  client.acknowledged?.('v2');
  const reverted = await application.revert();
  await controller.waitLive(shop, { sourceCommit: reverted });
  const counts = await client.stop();
  console.log(counts);
  console.log(
    (await controller.journal())
      .map(
        (r) =>
          `${r.at.slice(14)} ${r.type} ${'from' in r ? `${r.from}→${r.to}` : ''} ${JSON.stringify('detail' in r ? r.detail : '')}`,
      )
      .join('\n'),
  );
  console.log(JSON.stringify(await controller.status(), null, 1));
});
