import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import type { Client } from '../support/client.js';
import type { Controller } from '../support/controller.js';
import { engine } from '../support/engine.js';
import { deploymentsOf, previousOf, switchesOf } from '../support/history.js';
import { createScenario, type Scenario } from '../support/scenario.js';
import { echo, upgrade } from '../support/websocket.js';

let scenario: Scenario;
afterEach(async () => scenario.cleanup());

/** Fewer would mean that the client did not run through the test. */
const leastSent = 100;

async function expectNothingLost(client: Client): Promise<void> {
  const counts = await client.stop();
  expect(counts).toMatchObject({ failed: 0, wrong: 0, reasons: {} });
  expect(counts.sent).toBeGreaterThan(leastSent);
}

function untilDrained(
  controller: Controller,
  project: string,
  slot: 'blue' | 'green',
  times = 1,
): Promise<true> {
  return controller.waitFor(
    `${slot} is drained`,
    ({ journal }) =>
      previousOf(journal, project).filter((line) => line === `drained ${slot}`).length >= times || null,
  );
}

describe('a first commit', () => {
  it('is built, probed and routed, and only then reachable', async () => {
    scenario = await createScenario({ counted: true });
    const shop = scenario.name('shop');
    const application = await scenario.application('shop');
    const configCommit = await scenario.commitManifest(shop, application);
    const sourceCommit = await application.head();
    const controller = scenario.start();
    const status = await controller.waitLive(shop, { sourceCommit, configCommit });

    expect(await scenario.version(shop)).toBe('v1');
    expect((await scenario.get('nobody.localhost')).status).toBe(404);
    expect(status).toMatchObject({
      state: 'live',
      phase: null,
      reason: null,
      message: null,
      live: { slot: 'blue', sourceCommit, isRollback: false },
      previous: null,
      urls: [`http://${shop}.localhost:${scenario.ports.listen}/`],
      lastDeployment: { outcome: 'active' },
    });
    const [first, ...others] = deploymentsOf(await controller.journal(), shop);
    expect(others).toEqual([]);
    expect(first?.phases).toBe('queued building starting probing switching active');
    expect(first?.last).toMatchObject({ sourceCommit, configCommit });
    expect(switchesOf(await controller.journal(), shop)).toEqual(['null→blue deploy']);
    const effects = scenario.effects();
    expect(effects.filter((effect) => effect === 'build')).toHaveLength(1);
    expect(effects.filter((effect) => effect.startsWith('create'))).toEqual([
      `create pointsman-${shop}-blue`,
    ]);

    const { Config, HostConfig, NetworkSettings } = await engine
      .getContainer(`pointsman-${shop}-blue`)
      .inspect();
    expect(Config.Labels).toMatchObject({
      'dev.pointsman.instance': scenario.instance,
      'dev.pointsman.project': shop,
      'dev.pointsman.slot': 'blue',
      'dev.pointsman.revision': status.live?.revision,
      'dev.pointsman.config-commit': configCommit,
      'dev.pointsman.source-commit': sourceCommit,
      'dev.pointsman.deployment': first?.id,
    });
    expect(HostConfig.RestartPolicy).toMatchObject({ Name: 'unless-stopped' });
    expect(HostConfig.PortBindings ?? {}).toEqual({});
    expect(
      Object.values(NetworkSettings.Ports ?? {})
        .flat()
        .filter(Boolean),
    ).toEqual([]);
  });
});

describe('an update and its revert', () => {
  it('inside keepPrevious builds nothing, starts nothing and loses nothing', async () => {
    scenario = await createScenario({ counted: true });
    const shop = scenario.name('shop');
    const application = await scenario.application('shop');
    await scenario.commitManifest(shop, application);
    const controller = scenario.start();
    const first = await controller.waitLive(shop);
    const client = scenario.client(shop, 'v1');

    client.expect({ from: 'v1', to: 'v2' });
    const sourceCommit = await application.commitVersion('v2');
    const second = await controller.waitLive(shop, { sourceCommit });
    client.acknowledged('v2');
    expect(second).toMatchObject({ live: { slot: 'green' }, previous: { slot: 'blue' } });
    expect(second.live?.revision).not.toBe(first.live?.revision);
    await untilDrained(controller, shop, 'blue');

    const before = scenario.effects();
    client.expect({ from: 'v2', to: 'v1' });
    const reverted = await application.revert();
    const third = await controller.waitLive(shop, { sourceCommit: reverted });
    client.acknowledged('v1');
    await untilDrained(controller, shop, 'green');

    expect(third.live).toMatchObject({
      slot: 'blue',
      revision: first.live?.revision,
      container: first.live?.container,
      image: first.live?.image,
      isRollback: true,
    });
    expect(third.previous).toMatchObject({ slot: 'green', revision: second.live?.revision });
    // The restart policies of both slots, and nothing else.
    const changed = scenario.effectsSince(before).map((effect) => effect.split(' ')[0]);
    expect(changed.sort()).toEqual(['update', 'update']);
    const journal = await controller.journal();
    expect(deploymentsOf(journal, shop).map(({ phases }) => phases)).toEqual([
      'queued building starting probing switching active',
      'queued building starting probing switching baking active',
      'queued probing switching baking active',
    ]);
    expect(switchesOf(journal, shop)).toEqual([
      'null→blue deploy',
      'blue→green deploy',
      'green→blue rollback',
    ]);
    // What a container says when it starts is in the log of the deployment that started it, and only there.
    const logs = await Promise.all(deploymentsOf(journal, shop).map(({ id }) => scenario.logOf(shop, id)));
    expect(logs.map((log) => /\blistening$/m.test(log))).toEqual([true, true, false]);
    await expectNothingLost(client);
  });

  it('outside keepPrevious builds nothing and loses nothing', async () => {
    scenario = await createScenario({ counted: true });
    const shop = scenario.name('shop');
    const application = await scenario.application('shop');
    await scenario.commitManifest(shop, application, { rollout: { keepPrevious: '500ms' } });
    const controller = scenario.start();
    const first = await controller.waitLive(shop);
    const client = scenario.client(shop, 'v1');

    client.expect({ from: 'v1', to: 'v2' });
    const sourceCommit = await application.commitVersion('v2');
    await controller.waitLive(shop, { sourceCommit });
    client.acknowledged('v2');
    await controller.waitFor('blue is retired', ({ journal }) =>
      previousOf(journal, shop).includes('retired blue'),
    );
    const gone = await engine
      .getContainer(`pointsman-${shop}-blue`)
      .inspect()
      .catch((error: unknown) => error);
    expect(gone).toMatchObject({ statusCode: 404 });
    await controller.waitFor(
      'status says so',
      ({ status }) => status !== null && status.projects[shop]?.previous === null,
    );

    const before = scenario.effects();
    client.expect({ from: 'v2', to: 'v1' });
    const reverted = await application.revert();
    const third = await controller.waitLive(shop, { sourceCommit: reverted });
    client.acknowledged('v1');
    await controller.waitFor('green is retired', ({ journal }) =>
      previousOf(journal, shop).includes('retired green'),
    );

    expect(third.live).toMatchObject({ slot: 'blue', image: first.live?.image, isRollback: true });
    expect(third.live?.revision).toBe(first.live?.revision);
    expect(third.live?.container).not.toBe(first.live?.container);
    const effects = scenario.effectsSince(before);
    expect(effects.filter((effect) => effect === 'build')).toEqual([]);
    expect(effects.filter((effect) => effect.startsWith('create'))).toEqual([
      `create pointsman-${shop}-blue`,
    ]);
    expect(effects.filter((effect) => effect.startsWith('start'))).toHaveLength(1);
    expect(deploymentsOf(await controller.journal(), shop).at(-1)?.phases).toBe(
      'queued starting probing switching baking active',
    );
    await expectNothingLost(client);
  });

  it('of the config repository brings back the code that it pinned', async () => {
    scenario = await createScenario({ counted: true });
    const shop = scenario.name('shop');
    const application = await scenario.application('shop');
    const v1 = await application.head();
    await scenario.commitManifest(shop, application, { source: { commit: v1 } });
    const controller = scenario.start();
    await controller.waitLive(shop, { sourceCommit: v1 });
    const client = scenario.client(shop, 'v1');
    const v2 = await application.commitVersion('v2');
    await application.commitVersion('v3');

    client.expect({ from: 'v1', to: 'v2' });
    const pinned = await scenario.commitManifest(shop, application, { source: { commit: v2 } });
    await controller.waitLive(shop, { sourceCommit: v2, configCommit: pinned });
    client.acknowledged('v2');
    const before = scenario.effects();
    client.expect({ from: 'v2', to: 'v1' });
    const configCommit = await scenario.config.revert();
    await controller.waitLive(shop, { sourceCommit: v1, configCommit });
    client.acknowledged('v1');
    expect(scenario.effectsSince(before).filter((effect) => /^(build|create|start)/.test(effect))).toEqual(
      [],
    );
    await expectNothingLost(client);
  });
});

describe('requests that are in flight at the switch', () => {
  it('finish on the old slot, a WebSocket as well, and the slot goes only then', async () => {
    scenario = await createScenario();
    const shop = scenario.name('shop');
    const application = await scenario.application('shop');
    const times = { rollout: { drain: '60s', keepPrevious: '0s' } };
    await scenario.commitManifest(shop, application, times);
    const controller = scenario.start();
    await controller.waitLive(shop);
    const client = scenario.client(shop, 'v1');

    const socket = await upgrade(scenario.ports.listen, `${shop}.localhost`);
    expect(await echo(socket, 'before')).toBe('before');
    const slow = scenario.get(`${shop}.localhost`, '/?ms=6000', 30_000);
    client.expect({ from: 'v1', to: 'v2' });
    const sourceCommit = await application.commitVersion('v2');
    const status = await controller.waitLive(shop, { sourceCommit });
    client.acknowledged('v2');
    expect(status.previous).toMatchObject({ slot: 'blue', state: 'draining' });
    expect(await echo(socket, 'after')).toBe('after');
    expect(JSON.parse((await slow).body)).toMatchObject({ version: 'v1' });

    // The WebSocket alone holds the slot now.
    await controller.waitFor(
      'one connection is left',
      ({ status: now }) => now?.projects[shop]?.previous?.inFlight === 1,
    );
    expect(previousOf(await controller.journal(), shop)).toEqual([]);
    expect(await echo(socket, 'still')).toBe('still');
    socket.destroy();
    await controller.waitFor('blue is retired', ({ journal }) =>
      previousOf(journal, shop).includes('retired blue'),
    );
    expect(previousOf(await controller.journal(), shop)).toEqual(['drained blue', 'retired blue']);
    await expectNothingLost(client);
  });

  it('are cut when they outlast the drain', async () => {
    scenario = await createScenario();
    const shop = scenario.name('shop');
    const application = await scenario.application('shop');
    await scenario.commitManifest(shop, application, { rollout: { drain: '2s', keepPrevious: '0s' } });
    const controller = scenario.start();
    await controller.waitLive(shop);
    const socket = await upgrade(scenario.ports.listen, `${shop}.localhost`);
    const closed = once(socket, 'close');
    const sourceCommit = await application.commitVersion('v2');
    await controller.waitLive(shop, { sourceCommit });
    await closed;
    await controller.waitFor('blue is retired', ({ journal }) =>
      previousOf(journal, shop).includes('retired blue'),
    );
    const drained = (await controller.journal()).find(
      (record) => record.type === 'previous' && record.detail.event === 'drained',
    );
    expect(drained?.detail).toMatchObject({ slot: 'blue', inFlight: 1 });
    expect(await scenario.version(shop)).toBe('v2');
  });
});
