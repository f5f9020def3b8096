import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { Application } from '../support/application.js';
import type { Controller } from '../support/controller.js';
import { engine } from '../support/engine.js';
import { deploymentsOf, previousOf, switchesOf } from '../support/history.js';
import { processesOf } from '../support/processes.js';
import { createScenario, type Scenario } from '../support/scenario.js';
import { until } from '../support/waiting.js';

let scenario: Scenario;
afterEach(async () => scenario.cleanup());

/** Processes of a build that `commitEndlessBuild` made. The engine runs on this machine. */
async function buildProcesses(): Promise<readonly string[]> {
  const running = await processesOf(scenario.folder);
  return running.map(({ command }) => command).filter((command) => command.includes('/endless-build'));
}

/** A version whose build takes ten minutes. Resolves to the commit. */
async function commitEndlessBuild(application: Application): Promise<string> {
  const dockerfile = `FROM node:base\nRUN echo ${scenario.folder}/endless-build; sleep 600; echo never\n`;
  return application.commit({ Dockerfile: dockerfile, 'version.txt': 'endless\n' });
}

async function goodDockerfile(): Promise<string> {
  return readFile(new URL('../support/application/Dockerfile', import.meta.url), 'utf8');
}

function untilPhase(
  controller: Controller,
  project: string,
  sourceCommit: string,
  phase: string,
): Promise<true> {
  return controller.waitFor(`${project} is ${phase} at ${sourceCommit}`, ({ journal }) =>
    journal.some(
      (record) =>
        record.type === 'deployment' &&
        record.project === project &&
        record.sourceCommit === sourceCommit &&
        record.to === phase,
    ),
  );
}

describe('a newer commit', () => {
  it('ends a build that is on, in the engine as well', async () => {
    scenario = await createScenario();
    const shop = scenario.name('shop');
    const application = await scenario.application('shop');
    await scenario.commitManifest(shop, application);
    const controller = scenario.start();
    await controller.waitLive(shop);
    const client = scenario.client(shop, 'v1');
    const slow = await commitEndlessBuild(application);
    await until(async () => (await buildProcesses()).length > 0, 60_000);

    client.expect({ from: 'v1', to: 'v3' });
    const files = { Dockerfile: await goodDockerfile(), 'version.txt': 'v3\n' };
    const sourceCommit = await application.commit(files);
    await controller.waitLive(shop, { sourceCommit });
    client.acknowledged('v3');
    await until(async () => (await buildProcesses()).length === 0);
    const history = deploymentsOf(await controller.journal(), shop);
    expect(history.map(({ phases, last }) => [last.sourceCommit === slow, phases])).toEqual([
      [false, 'queued building starting probing switching active'],
      [true, 'queued building cancelled'],
      [false, 'queued building starting probing switching baking active'],
    ]);
    const counts = await client.stop();
    expect(counts).toMatchObject({ failed: 0, wrong: 0, reasons: {} });
    expect(counts.sent).toBeGreaterThan(100);
  });

  it('lets a release that is on end, and never starts what it was for', async () => {
    scenario = await createScenario({ counted: true });
    const shop = scenario.name('shop');
    const application = await scenario.application('shop');
    await scenario.commitManifest(shop, application, { release: { command: ['node', 'release.mjs'] } });
    const controller = scenario.start();
    await controller.waitLive(shop);
    const slow = await application.commitVersion('v2', { releaseMs: 4_000 });
    await untilPhase(controller, shop, slow, 'releasing');
    const before = scenario.effects();
    const sourceCommit = await application.commitVersion('v3');
    await controller.waitLive(shop, { sourceCommit });

    const [, second, third] = deploymentsOf(await controller.journal(), shop);
    expect(second?.phases).toBe('queued building releasing cancelled');
    expect(third?.phases).toBe('queued building releasing starting probing switching baking active');
    const log = await scenario.logOf(shop, second?.id ?? '');
    expect(log).toContain('released v2');
    const created = scenario.effectsSince(before).filter((effect) => effect.startsWith('create'));
    expect(created.filter((effect) => effect.endsWith('-green'))).toHaveLength(1);
    expect(await scenario.version(shop)).toBe('v3');
  });

  it('waits for a bake that is on, and then takes the slot of the previous one', async () => {
    scenario = await createScenario();
    const shop = scenario.name('shop');
    const application = await scenario.application('shop');
    await scenario.commitManifest(shop, application, { health: { bake: '4s' } });
    const controller = scenario.start();
    await controller.waitLive(shop);
    const client = scenario.client(shop, 'v1');
    client.expect({ from: 'v1', to: 'v2' });
    const second = await application.commitVersion('v2');
    await untilPhase(controller, shop, second, 'baking');
    client.expect({ from: 'v2', to: 'v3' });
    const third = await application.commitVersion('v3');
    await controller.waitLive(shop, { sourceCommit: third });
    client.acknowledged('v3');

    const journal = await controller.journal();
    const history = deploymentsOf(journal, shop);
    expect(history.map(({ phases }) => phases.split(' ').at(-1))).toEqual(['active', 'active', 'active']);
    expect(history[1]?.last.detail.phases?.baking).toBeGreaterThanOrEqual(3_900);
    const begun = journal.find(
      (record) => record.type === 'deployment' && record.deployment === history[2]?.id,
    );
    expect(begun?.seq).toBeGreaterThan(history[1]?.last.seq ?? Infinity);
    expect(previousOf(journal, shop).slice(0, 2)).toEqual(['drained blue', 'retired blue']);
    expect(await client.stop()).toMatchObject({ failed: 0, wrong: 0, reasons: {} });
  });

  it('that goes back to the previous version ends the bake at once', async () => {
    scenario = await createScenario({ counted: true });
    const shop = scenario.name('shop');
    const application = await scenario.application('shop');
    await scenario.commitManifest(shop, application, { health: { bake: '120s' } });
    const controller = scenario.start();
    const { live } = await controller.waitLive(shop);
    const client = scenario.client(shop, 'v1');
    client.expect({ from: 'v1', to: 'v2' });
    const second = await application.commitVersion('v2');
    await untilPhase(controller, shop, second, 'baking');
    client.expect({ from: 'v2', to: 'v1' });
    const before = scenario.effects();
    const reverted = await application.revert();
    await untilPhase(controller, shop, reverted, 'baking');
    client.acknowledged('v1');

    await controller.waitFor('status says where traffic goes, in the middle of the bake', ({ status }) => {
      const { slot, container } = status?.projects[shop]?.live ?? {};
      return slot === 'blue' && container === live?.container;
    });
    const journal = await controller.journal();
    expect(deploymentsOf(journal, shop).map(({ phases }) => phases)).toEqual([
      'queued building starting probing switching active',
      'queued building starting probing switching baking cancelled',
      'queued probing switching baking',
    ]);
    expect(switchesOf(journal, shop)).toEqual([
      'null→blue deploy',
      'blue→green deploy',
      'green→blue rollback',
    ]);
    expect(scenario.effectsSince(before).filter((effect) => !effect.startsWith('update'))).toEqual([]);
    expect(await client.stop()).toMatchObject({ failed: 0, wrong: 0, reasons: {} });
  });

  it('is never lost, however many come at once', async () => {
    scenario = await createScenario();
    const shop = scenario.name('shop');
    const application = await scenario.application('shop');
    await scenario.commitManifest(shop, application);
    const controller = scenario.start();
    await controller.waitLive(shop);
    const versions = Array.from({ length: 8 }, (_, index) => `v${index + 2}`);
    const client = scenario.client(shop, 'v1');
    client.allow('v1', ...versions);
    let sourceCommit = '';
    for (const version of versions) sourceCommit = await application.commitVersion(version);
    await controller.waitLive(shop, { sourceCommit });
    client.acknowledged('v9');
    expect(await scenario.version(shop)).toBe('v9');
    const outcomes = deploymentsOf(await controller.journal(), shop).map(({ last }) => last.to);
    expect(outcomes.at(-1)).toBe('active');
    expect(new Set(outcomes)).not.toContain('failed');
    expect(await client.stop()).toMatchObject({ failed: 0, wrong: 0, reasons: {} });
  });
});

describe('projects', () => {
  it('do not wait for a ten-minute build of another one', async () => {
    scenario = await createScenario();
    const [shop, works] = [scenario.name('shop'), scenario.name('works')];
    const application = await scenario.application('shop');
    await scenario.commitManifest(shop, application);
    const controller = scenario.start();
    await controller.waitLive(shop);
    const second = await application.commitVersion('v2');
    await controller.waitLive(shop, { sourceCommit: second });
    const other = await scenario.application('works');
    await commitEndlessBuild(other);
    await scenario.commitManifest(works, other);
    await until(async () => (await buildProcesses()).length > 0, 60_000);

    const reverted = await application.revert();
    const status = await controller.waitLive(shop, { sourceCommit: reverted });
    expect(status.live).toMatchObject({ isRollback: true });
    expect(await scenario.version(shop)).toBe('v1');
    // Nor does a new container of an image that is at hand.
    const configCommit = await scenario.commitManifest(shop, application, {
      run: { env: { COLOUR: 'red' } },
    });
    await controller.waitLive(shop, { configCommit });
    expect(await controller.project(works)).toMatchObject({ state: 'progressing', phase: 'building' });
    expect((await buildProcesses()).length).toBeGreaterThan(0);

    // The controller leaves at once, and its build with it.
    expect(await controller.stop()).toEqual({ code: 0, signal: null });
    await until(async () => (await buildProcesses()).length === 0);
  });
});

describe('suspend: true', () => {
  it('holds everything but nginx, and lets go of what is before its switch', async () => {
    scenario = await createScenario({ counted: true });
    const shop = scenario.name('shop');
    const application = await scenario.application('shop');
    await scenario.commitManifest(shop, application);
    const controller = scenario.start();
    const { live } = await controller.waitLive(shop);
    const slow = await commitEndlessBuild(application);
    await until(async () => (await buildProcesses()).length > 0, 60_000);
    const configCommit = await scenario.commitManifest(shop, application, { suspend: true });
    await controller.waitFor(
      'it is suspended',
      ({ status }) => status?.projects[shop]?.state === 'suspended',
    );
    await until(async () => (await buildProcesses()).length === 0);
    const history = deploymentsOf(await controller.journal(), shop);
    expect(history.at(-1)).toMatchObject({
      phases: 'queued building cancelled',
      last: { sourceCommit: slow },
    });

    const before = scenario.effects();
    const files = { Dockerfile: await goodDockerfile(), 'version.txt': 'v3\n' };
    const sourceCommit = await application.commit(files);
    await engine.getContainer(`pointsman-${shop}-blue`).kill();
    await rm(join(scenario.stateDir, 'nginx', 'switch', `${shop}.blue`));
    await controller.waitFor('its switch file is repaired', ({ journal }) =>
      journal.some((record) => record.type === 'drift' && record.detail.event === 'done'),
    );
    await controller.waitLooks();
    expect((await controller.project(shop))?.desired).toMatchObject({ configCommit });
    expect(scenario.effectsSince(before)).toEqual([]);
    expect((await engine.getContainer(live?.container ?? '').inspect()).State.Running).toBe(false);

    const resumed = await scenario.commitManifest(shop, application);
    await controller.waitLive(shop, { sourceCommit, configCommit: resumed });
    expect(await scenario.version(shop)).toBe('v3');
  });

  it('lets a bake end, and a removal go on', async () => {
    scenario = await createScenario();
    const shop = scenario.name('shop');
    const application = await scenario.application('shop');
    await scenario.commitManifest(shop, application, { health: { bake: '3s' } });
    const controller = scenario.start();
    await controller.waitLive(shop);
    const second = await application.commitVersion('v2');
    await untilPhase(controller, shop, second, 'baking');
    await scenario.commitManifest(shop, application, { health: { bake: '3s' }, suspend: true });
    await untilPhase(controller, shop, second, 'active');
    await controller.waitFor(
      'it is suspended',
      ({ status }) => status?.projects[shop]?.state === 'suspended',
    );
    expect(await scenario.version(shop)).toBe('v2');
    const last = deploymentsOf(await controller.journal(), shop).at(-1)?.last;
    expect(last?.detail.phases?.baking).toBeGreaterThanOrEqual(2_900);

    // The last manifest's removal is held back: another project has to stay.
    const other = scenario.name('other');
    await scenario.config.commit({
      [`projects/${shop}.yaml`]: null,
      [`projects/${other}.yaml`]: scenario.manifest(other, application, { suspend: true }),
    });
    await controller.waitFor('it is gone', ({ status }) => status !== null && !(shop in status.projects));
    expect((await scenario.get(`${shop}.localhost`)).status).toBe(404);
  });
});
