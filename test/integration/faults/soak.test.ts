/** Deployments one after the other: what the controller and the engine hold does not grow. */
import { readFile, readdir } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import type { Controller } from '../../support/controller.js';
import { engine } from '../../support/engine.js';
import { createScenario, type Scenario } from '../../support/scenario.js';
import { expectSettled } from '../../support/settled.js';
import { account, isFull } from './report.js';

const deployments = isFull ? 300 : 24;
const leastMs = isFull ? 10 * 60_000 : 0;
/** After so many everything that is kept is there: images, mirrors, compiled code. */
const warmUp = 10;
/** Resident memory is what garbage collection leaves; the rest is counted exactly. */
const memoryShare = 1.3;

let scenario: Scenario;
afterEach(() => scenario.cleanup());

interface Held {
  readonly residentKiB: number;
  readonly descriptors: number;
  readonly containers: number;
  readonly images: number;
  readonly networks: number;
  readonly temporaries: number;
  readonly processes: number;
}

async function held(controller: Controller, shop: string): Promise<Held> {
  const process = `/proc/${controller.pid}`;
  const [status, descriptors, containers, networks, images, files, children] = await Promise.all([
    readFile(`${process}/status`, 'utf8'),
    readdir(`${process}/fd`),
    engine.listContainers({ all: true, filters: { label: [`dev.pointsman.instance=${scenario.instance}`] } }),
    engine.listNetworks({ filters: { label: [`dev.pointsman.instance=${scenario.instance}`] } }),
    engine.listImages({ filters: { reference: [`pointsman/${shop}`] } }),
    readdir(scenario.folder, { recursive: true }),
    readFile(`${process}/task/${controller.pid}/children`, 'utf8'),
  ]);
  return {
    residentKiB: Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]),
    descriptors: descriptors.length,
    containers: containers.length,
    images: images.length,
    networks: networks.length,
    temporaries: files.filter((path) => path.endsWith('.tmp') || path.includes('.new-')).length,
    processes: children.trim().split(' ').length,
  };
}

it(`holds no more after ${deployments} deployments than after ${warmUp}`, async () => {
  scenario = await createScenario();
  const shop = scenario.name('shop');
  const application = await scenario.application('shop');
  await scenario.commitManifest(shop, application, { health: { bake: '100ms' } });
  const controller = scenario.start();
  await controller.waitLive(shop);
  const client = scenario.client(shop, 'v1');
  const begun = performance.now();
  let first: Held | null = null;
  for (let count = 1; count <= deployments; count += 1) {
    const from = `v${count}`;
    const to = `v${count + 1}`;
    client.expect({ from, to });
    const sourceCommit = await application.commitVersion(to);
    await controller.waitLive(shop, { sourceCommit });
    client.acknowledged(to);
    const configCommit = await scenario.config.head();
    await controller.waitIdle({ configCommit, sourceCommits: { [shop]: sourceCommit } });
    if (count === warmUp) first = await held(controller, shop);
    // Spread over the time that is asked for.
    const due = begun + (leastMs * count) / deployments;
    await delay(Math.max(0, due - performance.now()));
  }
  const last = await held(controller, shop);
  const seconds = Math.round((performance.now() - begun) / 1000);
  process.stdout.write(
    `soak: ${seconds} s\n  after ${warmUp}: ${JSON.stringify(first)}\n  at the end: ${JSON.stringify(last)}\n`,
  );
  if (first === null) throw new Error('nothing was measured');
  for (const key of ['descriptors', 'containers', 'images', 'networks', 'temporaries', 'processes'] as const)
    expect([key, last[key]]).toEqual([key, Math.min(last[key], first[key])]);
  expect(last.residentKiB).toBeLessThanOrEqual(first.residentKiB * memoryShare);
  await account(`soak, ${deployments} deployments`, 0, client);
  await controller.stop();
  await expectSettled(scenario);
}, 3_600_000);
