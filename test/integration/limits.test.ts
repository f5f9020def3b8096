/**
 * Applications and builds that take all they can get: what bounds them holds on the real engine, and a
 * project beside them loses no request.
 */
import { existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { ProjectStatus } from '../../src/record/status.generated.js';
import type { Client } from '../support/client.js';
import type { Controller } from '../support/controller.js';
import { engine } from '../support/engine.js';
import type { FileChange } from '../support/git.js';
import { createScenario, type Fields, type Scenario } from '../support/scenario.js';
import { expectUnnoticed } from '../support/settled.js';
import { until } from '../support/waiting.js';

let scenario: Scenario;
let controller: Controller;
let client: Client;
let greedy: string;
let reloadsBefore: number;

beforeEach(async () => {
  scenario = await createScenario({ settings: { retries: { attempts: 1 } } });
  const shop = scenario.name('shop');
  greedy = scenario.name('greedy');
  await scenario.commitManifest(shop, await scenario.application('shop'));
  controller = scenario.start();
  await controller.waitLive(shop);
  reloadsBefore = reloads();
  client = scenario.client(shop, 'v1');
});

afterEach(async () => {
  await scenario.cleanup();
});

/** Deploys an application whose files are replaced by these. Resolves to its status when it is live or failed for good. */
async function deploy(files: Readonly<Record<string, FileChange>>, over: Fields): Promise<ProjectStatus> {
  const application = await scenario.application('greedy');
  const commit = await application.commit(files);
  await scenario.commitManifest(greedy, application, over);
  return controller.waitFor(`${greedy} at rest`, ({ status }) => {
    const found = status?.projects[greedy];
    const isAtRest = found?.state === 'live' || (found?.state === 'failed' && found.phase === null);
    return isAtRest && found.desired?.sourceCommit === commit ? found : null;
  });
}

async function containerOf(project: string): Promise<string> {
  const filters = { label: [`dev.pointsman.project=${project}`] };
  const [found] = await engine.listContainers({ filters });
  if (found === undefined) throw new Error(`${project} has no container`);
  return found.Id;
}

async function rootOfEngine(): Promise<string> {
  return ((await engine.info()) as { DockerRootDir: string }).DockerRootDir;
}

function reloads(): number {
  return controller.log.filter(({ msg }) => msg === 'nginx reloaded').length;
}

/**
 * A project that comes or goes is a reload, which may reset idle kept connections. Whatever else is lost,
 * and anything where nothing was reloaded, is lost to the greedy one.
 */
async function expectNothingLost(): Promise<void> {
  await client.stop();
  expectUnnoticed(client, { reloaded: reloads() > reloadsBefore });
}

const healthy = `
import { createServer } from 'node:http';
createServer((_request, response) => response.end('ok')).listen(Number(process.env.PORT), '0.0.0.0');
process.on('SIGTERM', () => process.exit(0));
`;

it('a fork bomb ends at run.pids, and goes with its manifest', async () => {
  const bomb = `import { spawn } from 'node:child_process';
spawn('sh', ['-c', 'while :; do sleep 600 & done'], { stdio: 'ignore' });
${healthy}`;
  await deploy({ 'server.mjs': bomb }, { run: { pids: 60, cpus: 0.5, memory: '256Mi' } });
  const container = engine.getContainer(await containerOf(greedy));
  let most = 0;
  await until(async () => {
    const { pids_stats } = (await container.stats({ stream: false })) as {
      pids_stats: { current: number; limit: number };
    };
    expect(pids_stats.limit).toBe(60);
    most = Math.max(most, pids_stats.current);
    return most >= 55;
  });
  expect(most).toBeLessThanOrEqual(60);
  await scenario.removeManifest(greedy);
  await controller.waitFor(`${greedy} is gone`, ({ status }) => status?.projects[greedy] === undefined);
  await expectNothingLost();
});

it('memory beyond run.memory ends the application alone, and the message says so', async () => {
  const hoard = `const kept = [];
for (;;) kept.push(Buffer.alloc(8 * 1024 * 1024, 1));`;
  const failed = await deploy({ 'server.mjs': hoard }, { run: { memory: '64Mi' } });
  expect(failed).toMatchObject({ state: 'failed', reason: 'ContainerExited' });
  expect(failed.message).toMatch(/out of memory: raise run.memory/);
  await expectNothingLost();
});

it('endless output takes at most the bounds of the log driver', async () => {
  const chatty = `process.stdout.write(('x'.repeat(1023) + '\\n').repeat(1024 * 90), () => console.log('all is said'));
${healthy}`;
  await deploy({ 'server.mjs': chatty }, {});
  await until(async () =>
    (await scenario.pointsman('logs', greedy, '--tail', '3')).stdout.includes('all is said'),
  );
  const folder = join(await rootOfEngine(), 'containers', await containerOf(greedy), 'local-logs');
  const sizes = await Promise.all(
    (await readdir(folder)).map(async (name) => (await stat(join(folder, name))).size),
  );
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  expect(bytes).toBeGreaterThan(0);
  expect(bytes).toBeLessThan(31 * 1024 * 1024);
  await expectNothingLost();
});

it('a build that fills the disk and never ends is ended by build.timeout, and what it wrote is gone', async () => {
  const file = `filling-${scenario.id}`;
  // A tenth of a gigabyte is enough to see; it would go on for an hour.
  const dockerfile = `FROM node:base
RUN dd if=/dev/zero of=/${file} bs=1M count=100 && sleep 3600
`;
  const layers = join(await rootOfEngine(), 'overlay2');
  const written = async (): Promise<number> =>
    (await readdir(layers)).filter((layer) => existsSync(join(layers, layer, 'diff', file))).length;
  const deploying = deploy({ Dockerfile: dockerfile }, { build: { timeout: '8s' } });
  await until(async () => (await written()) === 1);
  const failed = await deploying;
  expect(failed).toMatchObject({ state: 'failed', reason: 'BuildTimedOut' });
  await until(async () => (await written()) === 0);
  await expectNothingLost();
});
