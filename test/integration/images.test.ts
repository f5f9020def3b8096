/** Projects that run an image, and the collection of images. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { engine } from '../support/engine.js';
import { freePorts } from '../support/ports.js';
import { startRegistry, type TestRegistry } from '../support/registry.js';
import { createScenario, type Scenario } from '../support/scenario.js';

let scenario: Scenario;
let registry: TestRegistry | null = null;
beforeEach(async () => {
  scenario = await createScenario();
});
afterEach(async () => {
  await scenario.cleanup();
  await registry?.stop();
  registry = null;
});

/** Builds the test application under `tag` in the engine, outside of Pointsman. */
async function buildImage(tag: string, version: string): Promise<void> {
  const server = `require('http').createServer((q, s) => s.end(JSON.stringify({ version: '${version}' }))).listen(process.env.PORT)`;
  const container = await engine.createContainer({ Image: 'node:base', Cmd: ['node', '-e', server] });
  const [repo, name] = [tag.slice(0, tag.lastIndexOf(':')), tag.slice(tag.lastIndexOf(':') + 1)];
  await container.commit({ repo, tag: name });
  await container.remove();
}

async function push(tag: string): Promise<void> {
  const stream = await engine
    .getImage(tag)
    .push({ authconfig: { username: '', password: '', serveraddress: '' } });
  await new Promise<void>((resolve, reject) =>
    engine.modem.followProgress(stream, (error) => (error ? reject(error) : resolve())),
  );
}

const health = { health: { path: '/', interval: '100ms', bake: '300ms' }, run: { stopTimeout: '1s' } };

it('runs an image that is there, and resolves its tag once', async () => {
  const shop = scenario.name('shop');
  const image = `pointsman-test-${scenario.id}:1`;
  try {
    await buildImage(image, 'v1');
    await scenario.commitManifest(shop, null, { image, ...health });
    const controller = scenario.start();
    await controller.waitLive(shop);
    expect(await scenario.version(shop)).toBe('v1');
    const before = await scenario.engineActions();
    // The tag moves; the manifest does not.
    await buildImage(image, 'v2');
    const commit = await scenario.config.commit({ 'README.md': 'Another commit.\n' });
    await controller.waitIdle({ configCommit: commit });
    expect(await scenario.version(shop)).toBe('v1');
    expect(await scenario.engineActions()).toEqual(before);
  } finally {
    await engine
      .getImage(image)
      .remove({ force: true })
      .catch(() => undefined);
  }
});

it('pulls from a registry before anything is touched, and a revert of the string finds the same image', async () => {
  const [port = 0] = await freePorts(1);
  registry = await startRegistry(port, { signIn: false });
  const shop = scenario.name('shop');
  const [one, two] = [`${registry.host}/acme/shop:1`, `${registry.host}/acme/shop:2`];
  for (const [tag, version] of [
    [one, 'v1'],
    [two, 'v2'],
  ] as const) {
    await buildImage(tag, version);
    await push(tag);
    await engine.getImage(tag).remove({ force: true });
  }
  await scenario.commitManifest(shop, null, { image: one, ...health });
  const controller = scenario.start();
  await controller.waitLive(shop);
  const first = await controller.project(shop);
  const commit = await scenario.commitManifest(shop, null, { image: two, ...health });
  await controller.waitFor(
    'v2 is live',
    async ({ status }) =>
      status?.projects[shop]?.state === 'live' &&
      status.source.commit === commit &&
      (await scenario.version(shop)) === 'v2',
  );
  // The registry is gone: what was resolved once is not asked for again.
  await registry.stop();
  registry = null;
  await scenario.config.revert();
  const back = await controller.waitFor('v1 is back', async ({ status }) =>
    (await scenario.version(shop)) === 'v1' && status?.projects[shop]?.state === 'live'
      ? status.projects[shop]
      : null,
  );
  expect(back.live?.image).toBe(first?.live?.image);
});

it('leaves everything alone while an image cannot be pulled, and says why', async () => {
  const shop = scenario.name('shop');
  const application = await scenario.application('app');
  await scenario.commitManifest(shop, application);
  const controller = scenario.start();
  await controller.waitLive(shop);
  const before = await scenario.engineActions();
  const [port = 0] = await freePorts(1);
  await scenario.commitManifest(shop, null, { image: `127.0.0.1:${port}/nobody/home:1`, source: null });
  const failed = await controller.waitFor('the pull failed', ({ status }) =>
    status?.projects[shop]?.reason === 'ImagePullFailed' ? status.projects[shop] : null,
  );
  expect(failed.nextRetryAt).not.toBeNull();
  expect(await scenario.version(shop)).toBe('v1');
  expect(await scenario.engineActions()).toEqual(before);
  await scenario.config.revert();
  await controller.waitLive(shop);
  expect(await scenario.engineActions()).toEqual(before);
});

it('collects images beyond images.keep, never one that is live or previous', async () => {
  await scenario.writeSettings({ images: { keep: 1 } });
  const shop = scenario.name('shop');
  const application = await scenario.application('app');
  await scenario.commitManifest(shop, application, { health: { bake: '100ms' } });
  const controller = scenario.start();
  await controller.waitLive(shop);
  for (const version of ['v2', 'v3', 'v4', 'v5']) {
    const sourceCommit = await application.commitVersion(version);
    await controller.waitLive(shop, { sourceCommit });
  }
  const collected = await controller.waitFor('images were collected', ({ journal }) => {
    const records = journal.filter((record) => record.type === 'collect');
    return records.length >= 2 ? records : null;
  });
  expect(collected.length).toBeGreaterThanOrEqual(2);
  const images = await engine.listImages({ filters: { reference: [`pointsman/${shop}:*`] } });
  // live, previous, and one more
  expect(images).toHaveLength(3);
  const project = await controller.project(shop);
  expect(images.map(({ Id }) => Id)).toContain(project?.live?.image);
});
