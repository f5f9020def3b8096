/** Git servers that accept a connection and never answer: nobody but their own projects waits for them. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { engine } from '../support/engine.js';
import { commitFiles, makeRepository, startGitHttp, type GitHttpServer } from '../support/git.js';
import { createScenario, type Scenario } from '../support/scenario.js';
import { until } from '../support/waiting.js';

let scenario: Scenario;
let server: GitHttpServer;

beforeEach(async () => {
  scenario = await createScenario();
  await mkdir(join(scenario.folder, 'srv'));
  server = await startGitHttp(join(scenario.folder, 'srv'));
  server.answer = 'hang';
});

afterEach(async () => {
  await server.close();
  await scenario.cleanup();
});

it('hold up no other project: neither a first deployment, nor an update, nor a repair', async () => {
  const slow = Array.from({ length: 12 }, (_, index) => scenario.name(`slow${index}`));
  for (const name of slow)
    await scenario.commitManifest(name, null, { source: { repo: `${server.url}/${name}.git` } });
  const shop = scenario.name('shop');
  const application = await scenario.application('shop');
  await scenario.commitManifest(shop, application);
  const controller = scenario.start();
  const first = await controller.waitLive(shop);
  const sourceCommit = await application.commitVersion('v2');
  const second = await controller.waitLive(shop, { sourceCommit });
  await engine.getContainer(second.live?.container ?? '').remove({ force: true });
  await controller.waitFor(
    'its container is made again',
    ({ status }) =>
      ![null, undefined, first.live?.container, second.live?.container].includes(
        status?.projects[shop]?.live?.container,
      ),
  );
  await until(async () => (await scenario.version(shop)) === 'v2');
  const waiting = slow.map(async (name) =>
    controller.waitFor(
      `${name} waits for its server`,
      ({ status }) => status?.projects[name]?.phase === 'fetching',
    ),
  );
  await Promise.all(waiting);
  // Four at a time ask one server, each for half a minute.
  expect(server.mostHanging).toBe(4);
  expect(await controller.stop()).toEqual({ code: 0, signal: null });
}, 120_000);

it('do not keep the controller from ending at the first signal', async () => {
  await scenario.writeSettings({ configRepo: { url: `${server.url}/config.git`, interval: '1s' } });
  const controller = scenario.start();
  await until(async () => server.requests.length > 0);
  expect(await controller.stop()).toEqual({ code: 0, signal: null });
  expect(server.requests).toHaveLength(1);
  expect(controller.log.map(({ msg }) => msg)).not.toContain('config repository could not be read');
});

it('that refuse are asked again with backoff, long before the interval is over', async () => {
  server.answer = { status: 503 };
  const url = `${server.url}/config.git`;
  await scenario.writeSettings({ configRepo: { url, interval: '1h' } });
  const controller = scenario.start();
  await until(async () => server.requests.length >= 4);
  await controller.waitFor('status names the fault', ({ status }) => status?.source.error);
  server.answer = null;
  await makeRepository(join(scenario.folder, 'srv', 'config.git'), { bare: true });
  const commit = await commitFiles(join(scenario.folder, 'srv', 'config.git'), { 'projects/a.md': 'none' });
  await controller.waitFor('it is read', ({ status }) => status?.source.commit === commit);
});

it('leave `run --once` to be interrupted in the midst of a deployment', async () => {
  const shop = scenario.name('shop');
  const application = await scenario.application('shop', { healthStatus: 503 });
  await scenario.commitManifest(shop, application, { health: { within: '10m' } });
  const once = scenario.start({ args: ['--once'] });
  await once.waitFor('it probes', ({ journal }) =>
    journal.some((record) => record.type === 'deployment' && record.to === 'probing'),
  );
  once.signal('SIGINT');
  expect(await once.exited).toEqual({ code: 130, signal: null });
  const steps = (await once.journal()).flatMap((record) => (record.type === 'deployment' ? [record.to] : []));
  expect(steps.at(-1)).toBe('probing');
});
