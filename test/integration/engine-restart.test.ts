/**
 * The engine is stopped, killed and started again: under a running controller, and with the whole machine,
 * where the unit of nginx serves without the controller.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { commandLine } from '../../src/router/process-table.js';
import type { Controller } from '../support/controller.js';
import { createOwnEngine, type OwnEngine } from '../support/own-engine.js';
import { endProcess, processesOf } from '../support/processes.js';
import { createScenario, type Scenario } from '../support/scenario.js';
import { expectSettled, expectUnnoticed } from '../support/settled.js';
import { until } from '../support/waiting.js';
import { echo, upgrade } from '../support/websocket.js';

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

/** What pointsman-nginx.service starts. */
function startNginxUnit(): { readonly process: ChildProcess; readonly stop: () => Promise<void> } {
  const script = fileURLToPath(new URL('../../deploy/managed-nginx.sh', import.meta.url));
  const process = spawn(script, [scenario.stateDir]);
  const ended = once(process, 'exit');
  return {
    process,
    stop: async () => {
      process.kill();
      await ended;
    },
  };
}

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
  const unit = startNginxUnit();
  try {
    await until(async () => (await scenario.version(shop).catch(() => null)) === 'v2');
    const again = scenario.start();
    await again.waitLive(shop, { sourceCommit });
    await again.waitIdle({ configCommit: await scenario.config.head() });
    // It took over the nginx that was there.
    expect(unit.process.exitCode).toBeNull();
    expect(await readFile(nginxPidFile(), 'utf8')).toBe(`${unit.process.pid}\n`);
    await again.stop();
    await expectSettled(scenario);
  } finally {
    await unit.stop();
  }
});

it("gives the ports of the controller's nginx to the unit of nginx, which waits for nothing in flight", async () => {
  const { shop, controller } = await begin(true);
  const application = await scenario.application('shop');
  await scenario.commitManifest(shop, application);
  await controller.waitLive(shop);
  const socket = await upgrade(scenario.ports.listen, `${shop}.localhost`);
  expect(await echo(socket, 'before')).toBe('before');
  const before = Number(await readFile(nginxPidFile(), 'utf8'));
  await controller.stop();

  const unit = startNginxUnit();
  try {
    process.kill(before, 'SIGQUIT');
    await until(() => commandLine(unit.process.pid ?? 0)?.includes('nginx: master process'));
    await until(async () => (await scenario.version(shop).catch(() => null)) === 'v1');
    expect(await echo(socket, 'after')).toBe('after');
    // When the one before ends, it takes the pid file with it, whosever that is by now.
    socket.destroy();
    await until(() => commandLine(before) === null);
    await expect(readFile(nginxPidFile(), 'utf8')).rejects.toThrow('ENOENT');
    const again = scenario.start();
    await until(async () => {
      const text = await readFile(nginxPidFile(), 'utf8').catch(() => '');
      return text === `${unit.process.pid}\n`;
    });
    const sourceCommit = await application.commitVersion('v2');
    await again.waitLive(shop, { sourceCommit });
    const domains = [`${shop}.localhost`, `other-${shop}.localhost`];
    const configCommit = await scenario.commitManifest(shop, application, { route: { domains } });
    await until(async () => (await scenario.get(domains[1] ?? '')).status === 200);
    await again.waitIdle({ configCommit });
    const masters = (await processesOf(join(scenario.stateDir, 'nginx'))).map(({ pid }) => pid);
    expect(masters).toEqual([unit.process.pid]);
    await again.stop();
    await expectSettled(scenario);
  } finally {
    socket.destroy();
    await unit.stop();
  }
});

function nginxPidFile(): string {
  return join(scenario.stateDir, 'nginx/nginx.pid');
}
