/** Deployments one after the other: what the controller and the engine hold does not grow. */
import { mkdir, readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { Application } from '../../support/application.js';
import type { Client } from '../../support/client.js';
import type { Controller } from '../../support/controller.js';
import { engine } from '../../support/engine.js';
import { createScenario, type Scenario } from '../../support/scenario.js';
import { until } from '../../support/waiting.js';
import { Invariants } from './invariants.js';
import { account, note } from './report.js';

/** It has no short form: what grows by little shows after many. */
const deployments = 300;
const leastMs = 10 * 60_000;
/** After so many everything that is kept is there: images, mirrors, compiled code. */
const warmUp = 10;
/**
 * Memory differs from one look to the next, the rest is counted exactly. `used` is what is left after
 * garbage collection, V8's compiled code among it, which grows for some hundred deployments. `native` is
 * what is resident outside of V8's heap: 61 to 63 MiB at each of eight looks over 80 deployments. Resident
 * memory as a whole would not do: V8's heap is 30 to 60 MiB of it with 24 MiB in use.
 */
const memoryShare = { usedKiB: 1.2, nativeKiB: 1.1 };
const memoryHook = new URL('../../support/measure-memory.mjs', import.meta.url).href;

let scenario: Scenario;
let invariants: Invariants;
afterEach(async () => {
  await invariants.close();
  await scenario.cleanup();
});

interface Held {
  readonly usedKiB: number;
  readonly nativeKiB: number;
  readonly descriptors: number;
  readonly containers: number;
  readonly images: number;
  readonly dangling: number;
  readonly networks: number;
  /** Half-written files anywhere. */
  readonly temporaries: number;
  /** What stands in the folder that the system has for temporary files. */
  readonly systemTemporaries: number;
  /**
   * Files and folders of the state directory, but for logs, of which the newest are kept, and for what Git
   * packs: objects and kept commits, collected ten minutes after the start and daily.
   */
  readonly stateEntries: number;
  readonly processes: number;
}

const temporaryFolder = (): string => join(scenario.folder, 'tmp');
const memoryFile = (): string => join(scenario.folder, 'memory');

/** In KiB, after garbage collection. */
async function memoryOf(controller: Controller): Promise<Pick<Held, 'usedKiB' | 'nativeKiB'>> {
  await rm(memoryFile(), { force: true });
  controller.signal('SIGUSR2');
  const text = await until(() => readFile(memoryFile(), 'utf8').catch(() => null));
  const { used, native } = JSON.parse(text) as { readonly used: number; readonly native: number };
  return { usedKiB: Math.round(used / 1024), nativeKiB: Math.round(native / 1024) };
}

async function held(controller: Controller, shop: string): Promise<Held> {
  const process = `/proc/${controller.pid}`;
  const label = [`dev.pointsman.instance=${scenario.instance}`];
  const memory = await memoryOf(controller);
  const [descriptors, containers, networks, images, dangling, files, temporary, state, children] =
    await Promise.all([
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
    ...memory,
    descriptors: descriptors.length,
    containers: containers.length,
    images: images.length,
    dangling: dangling.length,
    networks: networks.length,
    temporaries: files.filter((path) => path.endsWith('.tmp') || path.includes('.new-')).length,
    systemTemporaries: temporary.length,
    stateEntries: state.filter((path) => !/\/objects\/|\/refs\/|^logs\//.test(path)).length,
    processes: children.trim().split(' ').length,
  };
}

/** Everything is counted exactly but memory. */
function mostOf(first: Held): Held {
  return {
    ...first,
    usedKiB: first.usedKiB * memoryShare.usedKiB,
    nativeKiB: first.nativeKiB * memoryShare.nativeKiB,
  };
}

/** What grew, in words. */
function tooMuch(last: Held, most: Held): readonly string[] {
  return (Object.keys(most) as (keyof Held)[])
    .filter((key) => last[key] > most[key])
    .map((key) => `${key}: ${last[key]}, at most ${most[key]}`);
}

/** `usedKiB 31000, descriptors 30`: each by its name. */
const wordsOf = (what: Held | null): string =>
  Object.entries(what ?? {})
    .map(([key, count]) => `${key} ${count}`)
    .join(', ');

/**
 * One of them: of ten, one ends before it listens and leaves the version that serves, one goes back to
 * the version before, and the others bring a new one. Resolves to the version that serves then.
 */
async function deploy(
  count: number,
  from: string,
  { shop, application, controller, client }: Soaked,
): Promise<string> {
  if (count % 10 === 4) {
    const broken = await application.commitVersion(`v${count}`, { exitAtStart: 3 });
    await controller.waitFor('it failed for good', ({ status }) => {
      const project = status?.projects[shop];
      return (
        project?.state === 'failed' &&
        project.desired?.sourceCommit === broken &&
        project.nextRetryAt === null
      );
    });
    return from;
  }
  const isRevert = count % 10 === 7;
  const to = isRevert ? `v${count - 2}` : `v${count}`;
  client.expect({ from, to });
  const sourceCommit = await (isRevert ? application.revert() : application.commitVersion(to));
  await controller.waitLive(shop, { sourceCommit });
  client.acknowledged(to);
  const configCommit = await scenario.config.head();
  await controller.waitIdle({ configCommit, sourceCommits: { [shop]: sourceCommit } });
  return to;
}

interface Soaked {
  readonly shop: string;
  readonly application: Application;
  readonly controller: Controller;
  readonly client: Client;
}

it(`holds no more after ${deployments} deployments than after ${warmUp}`, async () => {
  scenario = await createScenario();
  const shop = scenario.name('shop');
  const application = await Application.create(join(scenario.folder, 'applications', 'shop'), 'v0', {});
  // A machine that is busy is no reason to go back.
  await scenario.commitManifest(shop, application, {
    health: { bake: '100ms', timeout: '10s', within: '60s' },
  });
  invariants = await Invariants.watch(scenario, { [shop]: application });
  await mkdir(temporaryFolder());
  const controller = scenario.start({
    env: {
      TMPDIR: temporaryFolder(),
      NODE_OPTIONS: `--import ${memoryHook}`,
      MEASURE_MEMORY: memoryFile(),
    },
  });
  await controller.waitLive(shop);
  let serving = 'v0';
  const client = scenario.client(shop, serving);
  const begun = performance.now();
  let first: Held | null = null;
  for (let count = 1; count <= deployments; count += 1) {
    serving = await deploy(count, serving, { shop, application, controller, client });
    if (count === warmUp) first = await held(controller, shop);
    // Spread over the time that is asked for.
    const due = begun + (leastMs * count) / deployments;
    await delay(Math.max(0, due - performance.now()));
  }
  if (first === null) throw new Error('nothing was measured');
  const most = mostOf(first);
  // A file that is being written, or an answer on its way, is gone at one of the next looks.
  let last = await held(controller, shop);
  for (let looks = 1; looks < 10 && tooMuch(last, most).length > 0; looks += 1)
    last = await held(controller, shop);
  const seconds = Math.round((performance.now() - begun) / 1000);
  const line = `soak: ${deployments} deployments in ${seconds} s; after ${warmUp}: ${wordsOf(first)}; at the end: ${wordsOf(last)}`;
  process.stdout.write(`${line}\n`);
  await note({ kind: 'soak', line });
  expect(tooMuch(last, most)).toEqual([]);
  await account(`soak, ${deployments} deployments`, 0, client);
  await invariants.end(controller);
}, 3_600_000);
