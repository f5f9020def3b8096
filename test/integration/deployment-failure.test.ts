import { readFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ProjectStatus } from '../../src/record/status.generated.js';
import type { Application, Behaviour } from '../support/application.js';
import type { Client } from '../support/client.js';
import type { Controller } from '../support/controller.js';
import { engine } from '../support/engine.js';
import type { FileChange } from '../support/git.js';
import { deploymentsOf, previousOf, switchesOf } from '../support/history.js';
import { createScenario, type Fields, type Scenario } from '../support/scenario.js';

let scenario: Scenario;

/** The project stays as it is until somebody changes something or says `retry`. */
function untilFailed(controller: Controller, project: string, sourceCommit: string): Promise<ProjectStatus> {
  return controller.waitFor(`${project} failed for good at ${sourceCommit}`, ({ status }) => {
    const found = status?.projects[project];
    const settled = found?.state === 'failed' && found.phase === null && found.nextRetryAt === null;
    return settled && found.desired?.sourceCommit === sourceCommit ? found : null;
  });
}

/** Names of the project's containers, whatever their state. */
async function containersOf(project: string): Promise<readonly string[]> {
  const filters = { label: [`dev.pointsman.project=${project}`] };
  const all = await engine.listContainers({ all: true, filters });
  return all.flatMap(({ Names }) => Names).sort();
}

interface Mistake {
  readonly title: string;
  /** Of the application's repository. */
  readonly files?: Readonly<Record<string, FileChange>>;
  readonly behaviour?: Behaviour;
  readonly reason: string;
  /** Two are the scenario's `retries.attempts`; one is final at once. */
  readonly attempts: 1 | 2;
  readonly phases: string;
  readonly message: RegExp;
  readonly tail: RegExp;
}

const mistakes: readonly Mistake[] = [
  {
    title: 'a build step that fails',
    files: { Dockerfile: 'FROM node:base\nRUN echo the reason is a typo && exit 3\n' },
    reason: 'BuildFailed',
    attempts: 1,
    phases: 'queued building failed',
    message: /exit code: 3|the reason is a typo/,
    tail: /the reason is a typo/,
  },
  {
    title: 'a Dockerfile that is not there',
    files: { Dockerfile: null },
    reason: 'DockerfileMissing',
    attempts: 1,
    phases: 'queued building failed',
    message: /Dockerfile/,
    tail: /^$/,
  },
  {
    title: 'a container that exits at once',
    behaviour: { exitAtStart: 3 },
    reason: 'ContainerExited',
    attempts: 2,
    phases: 'queued starting probing failed',
    message: /exited with 3/,
    tail: /told to end with status 3/,
  },
  {
    title: 'probes answered with an error',
    behaviour: { healthStatus: 500 },
    reason: 'ProbeFailed',
    attempts: 2,
    phases: 'queued starting probing failed',
    message: /GET \/healthz answered 500, not 200-399/,
    tail: /listening/,
  },
  {
    title: 'probes answered later than health.timeout',
    behaviour: { healthDelayMs: 900 },
    reason: 'ProbeFailed',
    attempts: 2,
    phases: 'queued starting probing failed',
    message: /no answer within 300 ms/,
    tail: /listening/,
  },
  {
    title: 'an application that listens on 127.0.0.1 only',
    behaviour: { bind: '127.0.0.1' },
    reason: 'ProbeFailed',
    attempts: 2,
    phases: 'queued starting probing failed',
    message: /bind 0\.0\.0\.0, not 127\.0\.0\.1/,
    tail: /listening/,
  },
];

describe('a version that cannot be deployed leaves the live one as it was', () => {
  let shop: string;
  let application: Application;
  let controller: Controller;
  let client: Client;
  let live: ProjectStatus['live'];
  let startedAt: string;

  beforeAll(async () => {
    scenario = await createScenario({ counted: true });
    shop = scenario.name('shop');
    application = await scenario.application('shop');
    await scenario.commitManifest(shop, application);
    controller = scenario.start();
    await controller.waitLive(shop);
    // Short for what fails alone: a change of health deploys nothing.
    const configCommit = await scenario.commitManifest(shop, application, {
      health: { timeout: '300ms', within: '5s' },
    });
    ({ live } = await controller.waitLive(shop, { configCommit }));
    startedAt = (await engine.getContainer(`pointsman-${shop}-blue`).inspect()).State.StartedAt;
    client = scenario.client(shop, 'v1');
  });

  afterAll(async () => scenario.cleanup());

  it.each(mistakes)(
    '$title',
    async ({ title, files, behaviour, reason, attempts, phases, message, tail }) => {
      const before = scenario.effects();
      const dockerfile = await goodDockerfile();
      const sourceCommit =
        files === undefined
          ? await application.commit({
              Dockerfile: dockerfile,
              'version.txt': `${title}\n`,
              'behaviour.json': JSON.stringify(behaviour),
            })
          : await application.commit({ ...files, 'version.txt': `${title}\n` });
      const status = await untilFailed(controller, shop, sourceCommit);

      expect(status).toMatchObject({ reason, attempts, live, previous: null });
      expect(status.message).toMatch(message);
      expect(status.message).not.toContain('\n');
      if (tail.source !== '^$')
        expect(status.message).toMatch(`; "pointsman logs ${shop} --build" shows its output`);
      expect(status.lastDeployment).toMatchObject({ outcome: 'failed' });
      const journal = await controller.journal();
      const tried = deploymentsOf(journal, shop).filter(({ last }) => last.sourceCommit === sourceCommit);
      expect(tried.map((each) => each.phases.replace('building starting', 'starting'))).toEqual(
        Array.from({ length: attempts }, () => phases),
      );
      expect(tried.map(({ last }) => last.detail.final)).toEqual(attempts === 1 ? [true] : [false, true]);
      const { last, id } = tried.at(-1) ?? {};
      expect(last?.detail).toMatchObject({ reason, message: status.message, attempt: attempts });
      expect(last?.detail.tail?.join('\n')).toMatch(tail);
      expect(last?.detail.tail?.length).toBeLessThanOrEqual(50);
      expect(await scenario.logOf(shop, id ?? '')).toMatch(tail.source === '^$' ? message : tail);

      expect(await containersOf(shop)).toEqual([`/pointsman-${shop}-blue`]);
      const { State } = await engine.getContainer(`pointsman-${shop}-blue`).inspect();
      expect(State).toMatchObject({ Running: true, StartedAt: startedAt });
      const builds = scenario.effectsSince(before).filter((effect) => effect === 'build');
      expect(builds.length).toBeLessThanOrEqual(1);
    },
  );

  it('and none is tried again by itself, and no request noticed any of it', async () => {
    const settled = scenario.effects();
    const { length } = deploymentsOf(await controller.journal(), shop);
    await controller.waitLooks();
    expect(scenario.effectsSince(settled)).toEqual([]);
    expect(deploymentsOf(await controller.journal(), shop)).toHaveLength(length);
    const counts = await client.stop();
    expect(counts).toMatchObject({ failed: 0, wrong: 0, reasons: {} });
    expect(counts.sent).toBeGreaterThan(500);
    expect(switchesOf(await controller.journal(), shop)).toEqual(['null→blue deploy']);
  });

  it('and a good version heals it', async () => {
    await scenario.commitManifest(shop, application);
    const sourceCommit = await application.commit({
      Dockerfile: await goodDockerfile(),
      'version.txt': 'good\n',
      'behaviour.json': '{}',
    });
    const status = await controller.waitLive(shop, { sourceCommit });
    expect(status).toMatchObject({ reason: null, message: null, attempts: 0, nextRetryAt: null });
    expect(await scenario.version(shop)).toBe('good');
  });
});

/** The Dockerfile of the test application. */
function goodDockerfile(): Promise<string> {
  return readFile(new URL('../support/application/Dockerfile', import.meta.url), 'utf8');
}

describe('attempts', () => {
  afterEach(async () => scenario.cleanup());

  it('come again with backoff up to retries.attempts, and from the beginning after `retry`', async () => {
    const retries = { attempts: 3, backoff: '500ms', maxBackoff: '2s' };
    scenario = await createScenario({ counted: true, settings: { retries } });
    const shop = scenario.name('shop');
    const application = await scenario.application('shop', { exitAtStart: 5 });
    await scenario.commitManifest(shop, application);
    const sourceCommit = await application.head();
    const controller = scenario.start();
    const waiting = await controller.waitFor('a retry is due', ({ status }) => {
      const found = status?.projects[shop];
      return found?.state === 'failed' && found.nextRetryAt !== null ? found : null;
    });
    expect(waiting).toMatchObject({ reason: 'ContainerExited', live: null, urls: [] });

    const status = await untilFailed(controller, shop, sourceCommit);
    expect(status).toMatchObject({ reason: 'ContainerExited', attempts: 3, live: null, previous: null });
    const first = deploymentsOf(await controller.journal(), shop);
    expect(first.map(({ last }) => last.detail.attempt)).toEqual([1, 2, 3]);
    expect(first.map(({ phases }) => phases)).toEqual([
      'queued building starting probing failed',
      'queued starting probing failed',
      'queued starting probing failed',
    ]);
    const backoffs = first.map(({ last }) => Date.parse(last.detail.nextRetryAt ?? '') - Date.parse(last.at));
    for (const [index, [least, most]] of [
      [300, 610],
      [700, 1_210],
    ].entries()) {
      expect(backoffs[index]).toBeGreaterThan(least ?? 0);
      expect(backoffs[index]).toBeLessThan(most ?? 0);
    }
    expect(backoffs[2]).toBeNaN();
    expect((await scenario.get(`${shop}.localhost`)).status).toBe(404);
    expect(await containersOf(shop)).toEqual([]);

    expect(await scenario.pointsman('retry', shop)).toMatchObject({ code: 0 });
    await controller.waitFor(
      'three more attempts failed',
      ({ journal }) => deploymentsOf(journal, shop).filter(({ last }) => last.to === 'failed').length === 6,
    );
    const all = deploymentsOf(await controller.journal(), shop);
    expect(all.map(({ last }) => last.detail.attempt)).toEqual([1, 2, 3, 1, 2, 3]);
    expect(scenario.effects().filter((effect) => effect === 'build')).toHaveLength(1);
    expect((await scenario.pointsman('retry', scenario.name('nobody'))).code).toBe(1);
  });

  it('of a build that failed come with `retry` alone', async () => {
    scenario = await createScenario({ counted: true });
    const shop = scenario.name('shop');
    const missing = `${shop}-base`;
    const application = await scenario.application('shop');
    const text = `FROM node:base\nARG AGAIN\nRUN test "$AGAIN" = yes\nWORKDIR /app\nCOPY . .\nCMD ["node", "server.mjs"]\n`;
    const sourceCommit = await application.commit({ Dockerfile: text, 'version.txt': missing });
    await scenario.commitManifest(shop, application);
    const controller = scenario.start();
    const failed = await untilFailed(controller, shop, sourceCommit);
    expect(failed).toMatchObject({ reason: 'BuildFailed', attempts: 1 });
    expect((await scenario.pointsman('retry', shop)).code).toBe(0);
    await controller.waitFor(
      'it failed again',
      ({ journal }) => deploymentsOf(journal, shop).filter(({ last }) => last.to === 'failed').length === 2,
    );
    expect(scenario.effects().filter((effect) => effect === 'build')).toHaveLength(2);
    // Another build argument is another image key, and mends it.
    const configCommit = await scenario.commitManifest(shop, application, {
      build: { args: { AGAIN: 'yes' } },
    });
    await controller.waitLive(shop, { configCommit });
    expect(await scenario.version(shop)).toBe(missing);
  });
});

describe('the release command', () => {
  const release: Fields = { release: { command: ['node', 'release.mjs'], timeout: '20s' } };
  afterEach(async () => scenario.cleanup());

  it('that fails is final, and the new version never starts', async () => {
    scenario = await createScenario({ counted: true });
    const shop = scenario.name('shop');
    const application = await scenario.application('shop');
    await scenario.commitManifest(shop, application, release);
    const controller = scenario.start();
    const { live } = await controller.waitLive(shop);
    const client = scenario.client(shop, 'v1');
    const before = scenario.effects();
    const sourceCommit = await application.commitVersion('v2', { releaseExit: 7 });
    const status = await untilFailed(controller, shop, sourceCommit);

    expect(status).toMatchObject({ reason: 'ReleaseFailed', attempts: 1, live });
    expect(status.message).toContain('exited with 7');
    const last = deploymentsOf(await controller.journal(), shop).at(-1);
    expect(last?.phases).toBe('queued building releasing failed');
    expect(last?.last.detail).toMatchObject({ final: true, tail: ['release of v2'] });
    expect((await scenario.logOf(shop, last?.id ?? '')).match(/release of v2/g)).toHaveLength(1);
    const created = scenario.effectsSince(before).filter((effect) => effect.startsWith('create'));
    expect(created).toEqual([`create pointsman-${shop}-release`]);
    expect(await containersOf(shop)).toEqual([`/pointsman-${shop}-blue`]);
    expect(await client.stop()).toMatchObject({ failed: 0, wrong: 0 });
  });

  it('that takes longer than its timeout is ended and final, and the new version never starts', async () => {
    scenario = await createScenario({ counted: true });
    const shop = scenario.name('shop');
    const application = await scenario.application('shop');
    await scenario.commitManifest(shop, application, {
      release: { command: ['node', 'release.mjs'], timeout: '2s' },
    });
    const controller = scenario.start();
    const { live } = await controller.waitLive(shop);
    const client = scenario.client(shop, 'v1');
    const before = scenario.effects();
    const sourceCommit = await application.commitVersion('v2', { releaseMs: 600_000 });
    const status = await untilFailed(controller, shop, sourceCommit);

    expect(status).toMatchObject({ reason: 'ReleaseTimedOut', attempts: 1, live });
    expect(status.message).toContain('longer than release.timeout 2s');
    const last = deploymentsOf(await controller.journal(), shop).at(-1);
    expect(last?.phases).toBe('queued building releasing failed');
    expect(last?.last.detail).toMatchObject({ final: true, tail: ['release of v2'] });
    const created = scenario.effectsSince(before).filter((effect) => effect.startsWith('create'));
    expect(created).toEqual([`create pointsman-${shop}-release`]);
    expect(await containersOf(shop)).toEqual([`/pointsman-${shop}-blue`]);
    expect(await client.stop()).toMatchObject({ failed: 0, wrong: 0 });
  });

  it('runs before each new revision, and not for one that was live before', async () => {
    scenario = await createScenario({ counted: true });
    const shop = scenario.name('shop');
    const application = await scenario.application('shop');
    const manifest = { ...release, run: { env: { GREETING: 'hello' } }, rollout: { keepPrevious: '0s' } };
    await scenario.commitManifest(shop, application, manifest);
    const controller = scenario.start();
    await controller.waitLive(shop);
    const second = await application.commitVersion('v2');
    await controller.waitLive(shop, { sourceCommit: second });
    await controller.waitFor('blue is retired', ({ journal }) =>
      previousOf(journal, shop).includes('retired blue'),
    );
    const before = scenario.effects();
    const reverted = await application.revert();
    await controller.waitLive(shop, { sourceCommit: reverted });

    expect(deploymentsOf(await controller.journal(), shop).map(({ phases }) => phases)).toEqual([
      'queued building releasing starting probing switching active',
      'queued building releasing starting probing switching baking active',
      'queued starting probing switching baking active',
    ]);
    const created = scenario.effectsSince(before).filter((effect) => effect.startsWith('create'));
    expect(created).toEqual([`create pointsman-${shop}-blue`]);
    expect(await scenario.version(shop)).toBe('v1');
  });
});

describe('a version that fails its bake', () => {
  afterEach(async () => scenario.cleanup());

  it('loses its traffic, is removed, and is tried again only when told', async () => {
    scenario = await createScenario({ counted: true });
    const shop = scenario.name('shop');
    const application = await scenario.application('shop');
    await scenario.commitManifest(shop, application, { health: { bake: '5s' } });
    const controller = scenario.start();
    const { live } = await controller.waitLive(shop);
    const client = scenario.client(shop, 'v1');

    client.allow('v1', 'v2');
    const sourceCommit = await application.commitVersion('v2', { healthyForProbes: 3 });
    const status = await untilFailed(controller, shop, sourceCommit);
    client.acknowledged('v1');
    expect(status).toMatchObject({ reason: 'BakeFailed', lastDeployment: { outcome: 'rolled-back' } });
    expect(status.live).toMatchObject({ slot: 'blue', container: live?.container, isRollback: true });
    expect(status.message).toContain('answered 500');
    await controller.waitFor('green is retired', ({ journal }) =>
      previousOf(journal, shop).includes('retired green'),
    );
    expect(await containersOf(shop)).toEqual([`/pointsman-${shop}-blue`]);
    const journal = await controller.journal();
    expect(previousOf(journal, shop).slice(-2)).toEqual(['drained green', 'retired green']);
    expect(switchesOf(journal, shop)).toEqual([
      'null→blue deploy',
      'blue→green deploy',
      'green→blue bake-failed',
    ]);
    const rejected = deploymentsOf(journal, shop).at(-1);
    expect(rejected?.phases).toBe('queued building starting probing switching baking rolled-back');
    expect(rejected?.last.detail).toMatchObject({ final: true, rejected: true, reason: 'BakeFailed' });
    // The rejection is in the journal before traffic moves back.
    const back = journal.find((record) => record.type === 'switch' && record.detail.cause === 'bake-failed');
    expect(rejected?.last.seq).toBeLessThan(back?.seq ?? 0);

    const settled = scenario.effects();
    await controller.waitLooks();
    expect(scenario.effectsSince(settled)).toEqual([]);
    expect(deploymentsOf(await controller.journal(), shop)).toHaveLength(2);

    client.allow('v1', 'v2');
    expect((await scenario.pointsman('retry', shop)).code).toBe(0);
    await controller.waitFor(
      'it failed its bake again',
      ({ journal: now }) =>
        previousOf(now, shop).filter((line) => line === 'retired green').length === 2 &&
        deploymentsOf(now, shop).length === 3,
    );
    client.acknowledged('v1');
    expect(await scenario.version(shop)).toBe('v1');

    client.expect({ from: 'v1', to: 'v3' });
    const mended = await application.commitVersion('v3');
    await controller.waitLive(shop, { sourceCommit: mended });
    client.acknowledged('v3');
    const counts = await client.stop();
    expect(counts).toMatchObject({ failed: 0, wrong: 0, reasons: {} });
    expect(counts.versions['v2']).toBeGreaterThan(0);
  });

  it('because it exits goes back as well', async () => {
    scenario = await createScenario();
    const shop = scenario.name('shop');
    const application = await scenario.application('shop');
    await scenario.commitManifest(shop, application, { health: { bake: '5s' } });
    const controller = scenario.start();
    await controller.waitLive(shop);
    const sourceCommit = await application.commitVersion('v2', { exitAfterProbes: 3 });
    const status = await untilFailed(controller, shop, sourceCommit);
    expect(status).toMatchObject({ reason: 'BakeFailed', live: { slot: 'blue' } });
    expect(status.message).toContain('exited with 1');
    expect(await scenario.version(shop)).toBe('v1');
  });
});
