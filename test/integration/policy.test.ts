/** The policy of the settings on the real engine: what it does not allow never starts, and what runs goes on. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Controller } from '../support/controller.js';
import { engine } from '../support/engine.js';
import { createScenario, type Scenario } from '../support/scenario.js';

let scenario: Scenario;
beforeEach(async () => {
  scenario = await createScenario();
});
afterEach(() => scenario.cleanup());

async function containersOf(project: string): Promise<readonly string[]> {
  const filters = { label: [`dev.pointsman.project=${project}`] };
  const all = await engine.listContainers({ all: true, filters });
  return all.map(({ State }) => State);
}

function refused(controller: Controller, project: string, setting: string): Promise<unknown> {
  return controller.waitFor(`${project} is refused by ${setting}`, ({ status }) => {
    const found = status?.projects[project];
    return found?.reason === 'PolicyRefused' && found.phase === null && found.message?.includes(setting);
  });
}

it('starts nothing that it does not allow, and repairs and reverts nothing when it was tightened', async () => {
  const shop = scenario.name('shop');
  const [foreign, image] = [scenario.name('foreign'), scenario.name('image')];
  const application = await scenario.application('shop');
  await scenario.writeSettings({ policy: { sources: [application.path], images: ['registry.example.com'] } });
  await scenario.commitManifest(shop, application);
  await scenario.commitManifest(foreign, await scenario.application('shop-of-others'));
  await scenario.commitManifest(image, null, { image: 'node:base' });
  const first = scenario.start();
  await first.waitLive(shop);
  await refused(first, foreign, 'policy.sources');
  await refused(first, image, 'policy.images');
  for (const project of [foreign, image]) expect(await containersOf(project)).toEqual([]);
  const sourceCommit = await application.commitVersion('v2');
  await first.waitLive(shop, { sourceCommit });
  await first.stop();

  await scenario.writeSettings({ policy: { sources: ['https://git.example.com'], images: ['docker.io'] } });
  const second = scenario.start();
  await refused(second, shop, 'policy.sources');
  expect(await scenario.version(shop)).toBe('v2');
  // A container that is gone is not made again, and a revert deploys nothing.
  await engine.getContainer(`pointsman-${shop}-green`).remove({ force: true });
  await application.commitVersion('v1');
  await scenario.pointsman('retry', shop);
  await second.waitLooks();
  await refused(second, shop, 'policy.sources');
  await second.stop();
  const began = (await scenario.engineActions()).filter(
    (action) => action === `start pointsman-${shop}-green`,
  );
  expect(began).toHaveLength(1);
  const blue = await engine.getContainer(`pointsman-${shop}-blue`).inspect();
  expect(blue.State.Running).toBe(true);
});
