/** Deployments one after the other: what the controller and the engine hold does not grow. */
import { mkdir, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import type { Controller } from '../../support/controller.js';
import { engine } from '../../support/engine.js';
import { createScenario, type Scenario } from '../../support/scenario.js';
import { Invariants } from './invariants.js';
import { account, isFull, note } from './report.js';

const deployments = isFull ? 300 : 24;
const leastMs = isFull ? 10 * 60_000 : 0;
/** After so many everything that is kept is there: images, mirrors, compiled code. */
const warmUp = 10;
/** Resident memory is what garbage collection leaves; the rest is counted exactly. */
const memoryShare = 1.3;

let scenario: Scenario;
let invariants: Invariants;
afterEach(async () => {
  await invariants.close();
  await scenario.cleanup();
});

interface Held {
  readonly residentKiB: number;
  readonly descriptors: number;
  readonly containers: number;
  readonly images: number;
  readonly dangling: number;
  readonly networks: number;
  /** Half-written files anywhere. */
  readonly temporaries: number;
  /** What stands in the folder that the system has for temporary files. */
  readonly systemTemporaries: number;
  /** Files and folders of the state directory but for Git objects, which Git packs, and logs, of which the newest are kept. */
  readonly stateEntries: number;
  readonly processes: number;
}

const temporaryFolder = (): string => join(scenario.folder, 'tmp');

async function held(controller: Controller, shop: string): Promise<Held> {
  const process = `/proc/${controller.pid}`;
  const label = [`dev.pointsman.instance=${scenario.instance}`];
  const [status, descriptors, containers, networks, images, dangling, files, temporary, state, children] =
    await Promise.all([
      readFile(`${process}/status`, 'utf8'),
      readdir(`${process}/fd`),
      engine.listContainers({ all: true, filters: { label } }),
      engine.listNetworks({ filters: { label } }),
      engine.listImages({ filters: { reference: [`pointsman/${shop}`] } }),
      engine.listImages({ filters: { label, dangling: ['true'] } }),
      readdir(scenario.folder, { recursive: true }),
      readdir(temporaryFolder(), { recursive: true }),
      readdir(scenario.stateDir, { recursive: true }),
      readFile(`${process}/task/${controller.pid}/children`, 'utf8'),
    ]);
  return {
    residentKiB: Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]),
    descriptors: descriptors.length,
    containers: containers.length,
    images: images.length,
    dangling: dangling.length,
    networks: networks.length,
    temporaries: files.filter((path) => path.endsWith('.tmp') || path.includes('.new-')).length,
    systemTemporaries: temporary.length,
    stateEntries: state.filter((path) => !/\/objects\/|^logs\//.test(path)).length,
    processes: children.trim().split(' ').length,
  };
}

/** `91000 KiB, 30 descriptors`: each by its name. */
const wordsOf = (what: Held | null): string =>
  Object.entries(what ?? {})
    .map(([key, count]) => (key === 'residentKiB' ? `${count} KiB` : `${count} ${key}`))
    .join(', ');

it(`holds no more after ${deployments} deployments than after ${warmUp}`, async () => {
  scenario = await createScenario();
  const shop = scenario.name('shop');
  const application = await scenario.application('shop');
  await scenario.commitManifest(shop, application, { health: { bake: '100ms' } });
  invariants = await Invariants.watch(scenario, { [shop]: application });
  await mkdir(temporaryFolder());
  const controller = scenario.start({ env: { TMPDIR: temporaryFolder() } });
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
  const line = `soak: ${deployments} deployments in ${seconds} s; after ${warmUp}: ${wordsOf(first)}; at the end: ${wordsOf(last)}`;
  process.stdout.write(`${line}\n`);
  await note({ kind: 'soak', line });
  if (first === null) throw new Error('nothing was measured');
  for (const [key, count] of Object.entries(first) as [keyof Held, number][])
    if (key !== 'residentKiB') expect([key, last[key]]).toEqual([key, Math.min(last[key], count)]);
  expect(last.residentKiB).toBeLessThanOrEqual(first.residentKiB * memoryShare);
  await account(`soak, ${deployments} deployments`, 0, client);
  await invariants.end(controller);
}, 3_600_000);
