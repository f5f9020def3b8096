/** The engine is stopped, killed and started again: under a running controller, and with the whole machine. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import type { Controller } from '../support/controller.js';
import { createOwnEngine, type OwnEngine } from '../support/own-engine.js';
import { endProcess, processesOf } from '../support/processes.js';
import { createScenario, type Scenario } from '../support/scenario.js';
import { expectSettled, expectUnnoticed } from '../support/settled.js';
import { until } from '../support/waiting.js';

let scenario: Scenario;
let own: OwnEngine;

async function begin(
  liveRestore: boolean,
): Promise<{ readonly shop: string; readonly controller: Controller }> {
  own = await createOwnEngine({ liveRestore });
  scenario = await createScenario();
  await scenario.writeSettings({ docker: { socket: own.socket } });
  return { shop: scenario.name('shop'), controller: scenario.start() };
}

afterEach(async () => {
  await scenario.stopAll();
  await own.cleanup();
  await scenario.cleanup();
});

async function outageSeen(controller: Controller): Promise<void> {
  const docker = await controller.waitFor('status names the outage', ({ status }) =>
    status?.components.docker.ok === false ? status.components.docker : null,
  );
  expect(docker.message).toContain(own.socket);
}

describe('with live-restore', () => {
  it('loses nothing while the engine is away, and deploys then what was committed meanwhile', async () => {
    const { shop, controller } = await begin(true);
    const application = await scenario.application('shop');
    await scenario.commitManifest(shop, application);
    await controller.waitLive(shop);
    const client = scenario.client(shop, 'v1');
    for (const [signal, from, to] of [
      ['SIGTERM', 'v1', 'v2'],
      ['SIGKILL', 'v2', 'v3'],
    ] as const) {
      await own.end(signal);
      await outageSeen(controller);
      client.expect({ from, to });
      const sourceCommit = await application.commitVersion(to);
      await controller.waitLooks();
      expect(await scenario.version(shop)).toBe(from);
      await own.start();
      await controller.waitLive(shop, { sourceCommit });
      client.acknowledged(to);
      const configCommit = await scenario.config.head();
      const { components } = await controller.waitIdle({ configCommit });
      expect(components.docker).toEqual({ ok: true, message: null });
    }
    expectUnnoticed(client);
    await client.stop();
    await controller.stop();
    await expectSettled(scenario);
  });
});

describe('without live-restore', () => {
  it.each(['SIGTERM', 'SIGKILL'] as const)('serves again by itself after %s', async (signal) => {
    const { shop, controller } = await begin(false);
    const application = await scenario.application('shop');
    await scenario.commitManifest(shop, application);
    await controller.waitLive(shop);
    const client = scenario.client(shop, 'v1');
    await own.end(signal);
    await outageSeen(controller);
    await own.start();
    await controller.waitFor('it serves', async () => (await scenario.version(shop)) === 'v1');
    await controller.waitLive(shop);
    const { sent, failed, wrong } = await client.stop();
    process.stdout.write(
      `dockerd ended by ${signal} without live-restore: ${failed} of ${sent} requests failed\n`,
    );
    expect(wrong).toBe(0);
    const sourceCommit = await application.commitVersion('v2');
    await controller.waitLive(shop, { sourceCommit });
    await controller.waitIdle({ configCommit: await scenario.config.head() });
    await controller.stop();
    await expectSettled(scenario);
  });
});

it('serves after a reboot without the controller: the engine and the unit of nginx are enough', async () => {
  const { shop, controller } = await begin(false);
  const application = await scenario.application('shop');
  await scenario.commitManifest(shop, application);
  await controller.waitLive(shop);
  const sourceCommit = await application.commitVersion('v2');
  await controller.waitLive(shop, { sourceCommit });
  // The machine goes down: everything ends, in no order that anybody planned.
  await controller.kill();
  await own.end('SIGTERM');
  for (const { pid } of await processesOf(join(scenario.stateDir, 'nginx'))) await endProcess(pid);
  expect(await scenario.version(shop).catch(() => 'nothing')).toBe('nothing');

  await own.start();
  // What pointsman-nginx.service starts.
  const nginx = spawn(fileURLToPath(new URL('../../deploy/managed-nginx.sh', import.meta.url)), [
    scenario.stateDir,
  ]);
  try {
    await until(async () => (await scenario.version(shop).catch(() => null)) === 'v2');
    const again = scenario.start();
    await again.waitLive(shop, { sourceCommit });
    await again.waitIdle({ configCommit: await scenario.config.head() });
    // It took over the nginx that was there.
    expect(nginx.exitCode).toBeNull();
    expect(await readFile(join(scenario.stateDir, 'nginx/nginx.pid'), 'utf8')).toBe(`${nginx.pid}\n`);
    await again.stop();
    await expectSettled(scenario);
  } finally {
    const ended = once(nginx, 'exit');
    nginx.kill();
    await ended;
  }
});
