/**
 * The controller dies by SIGKILL, anywhere; the next start ends where an undisturbed run ends, a release
 * never runs twice at once, and nobody who sends requests notices.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Status } from '../../src/record/status.generated.js';
import type { Application } from '../support/application.js';
import type { Client } from '../support/client.js';
import type { Controller, KillAt } from '../support/controller.js';
import { engine } from '../support/engine.js';
import { createScenario, type Scenario } from '../support/scenario.js';
import { endState, expectSettled, expectUnnoticed, releases } from '../support/settled.js';

/** What an undisturbed update of a project with a warm previous slot ends in. */
const updated = {
  containers: ['shop idle no running', 'shop live unless-stopped running'],
  networks: 1,
  sites: ['shop.conf'],
  switches: 1,
};

const to = (phase: string): Readonly<Record<string, unknown>> => ({ type: 'deployment', to: phase });
const intent = { type: 'switch' };

describe('a controller killed during an update', () => {
  let scenario: Scenario;
  let shop: string;
  let application: Application;
  let client: Client;
  let round = 1;

  beforeAll(async () => {
    scenario = await createScenario();
    shop = scenario.name('shop');
    application = await scenario.application('shop');
    await scenario.commitManifest(shop, application, {
      release: { command: ['node', 'release.mjs'] },
      health: { bake: '300ms', successes: 1 },
    });
    const controller = scenario.start();
    await controller.waitLive(shop);
    await controller.stop();
    client = scenario.client(shop, 'v1');
  });
  afterAll(() => scenario.cleanup());

  /** Commits the next version, lets `crash` happen to a controller, and starts the next one. */
  async function update(
    crashes: readonly ((controller: Controller) => Promise<void>)[],
    killAts: readonly (KillAt | undefined)[],
    { releaseMs } = { releaseMs: 150 },
  ): Promise<void> {
    const before = `v${round}`;
    const after = `v${(round += 1)}`;
    const since = Date.now();
    client.expect({ from: before, to: after });
    const sourceCommit = await application.commitVersion(after, { releaseMs });
    for (const [index, crash] of crashes.entries()) {
      const killAt = killAts[index];
      const controller = scenario.start(killAt === undefined ? {} : { killAt });
      await crash(controller);
      expect(await controller.exited).toMatchObject({ signal: 'SIGKILL' });
    }
    const controller = scenario.start();
    await controller.waitLive(shop, { sourceCommit });
    const configCommit = await scenario.config.head();
    const status = await controller.waitIdle({ configCommit, sourceCommits: { [shop]: sourceCommit } });
    expect(status.projects[shop]).toMatchObject({ state: 'live', reason: null, previous: { state: 'warm' } });
    expect(await scenario.version(shop)).toBe(after);
    client.acknowledged(after);
    await controller.stop();
    expect(await endState(scenario)).toEqual(updated);
    await expectSettled(scenario);
    expect(await releases(scenario, since)).toEqual({ started: 1, atOnce: 1 });
    expectUnnoticed(client);
  }

  it('ends where an undisturbed run ends', () => update([], []));

  it.each<{ where: string; killAts: (to: string, other: string) => readonly KillAt[] }>([
    {
      where: 'five times before its release ended',
      killAts: () => [
        { record: to('queued'), when: 'torn' },
        { record: to('building'), when: 'after' },
        { record: to('releasing'), when: 'torn' },
        { record: to('releasing'), when: 'after' },
        { record: to('starting'), when: 'before' },
      ],
    },
    {
      where: 'five times before the new version is healthy',
      killAts: () => [
        { record: to('starting'), when: 'after' },
        { record: { detail: { event: 'retired' } }, when: 'before' },
        { record: to('probing'), when: 'before' },
        { record: to('probing'), when: 'after' },
        { record: to('switching'), when: 'torn' },
      ],
    },
    {
      where: 'before, in and after the intent, and with the end recorded',
      killAts: () => [
        { record: intent, when: 'before' },
        { record: intent, when: 'torn' },
        { record: intent, when: 'after' },
        { record: to('active'), when: 'after' },
      ],
    },
    ...['one way', 'the other way'].flatMap((way) => [
      {
        where: `before and after the first switch file, ${way}`,
        killAts: (slot: string) => [
          { file: `.${slot}`, when: 'before' as const },
          { file: `.${slot}`, when: 'after' as const },
        ],
      },
    ]),
    ...['one way', 'the other way'].flatMap((way) => [
      {
        where: `before the second switch file goes and in the bake, ${way}`,
        killAts: (_slot: string, other: string) => [
          { file: `.${other}`, when: 'before' as const },
          { record: to('baking'), when: 'torn' as const },
          { record: to('baking'), when: 'after' as const },
          { record: to('active'), when: 'before' as const },
        ],
      },
    ]),
    ...['one way', 'the other way'].flatMap((way) => [
      {
        where: `when the second switch file is gone and before the drain is recorded, ${way}`,
        killAts: (_slot: string, other: string) => [
          { file: `.${other}`, when: 'after' as const },
          { record: { detail: { event: 'drained' } }, when: 'torn' as const },
        ],
      },
    ]),
  ])('goes on when it is killed $where', async ({ killAts }) => {
    const status = await readFile(join(scenario.stateDir, 'status.json'), 'utf8');
    const slot = (JSON.parse(status) as Status).projects[shop]?.live?.slot;
    const all = slot === 'blue' ? killAts('green', 'blue') : killAts('blue', 'green');
    await update(
      all.map(() => (controller: Controller) => controller.exited.then(() => undefined)),
      all,
    );
  });

  it('adopts a release that runs and waits for it', () =>
    update(
      [
        async (controller) => {
          await controller.waitFor('the release runs', async () => {
            const [release] = await engine.listContainers({
              filters: { name: [`pointsman-${shop}-release`] },
            });
            return release?.State === 'running';
          });
          await controller.kill();
        },
      ],
      [undefined],
      { releaseMs: 2_000 },
    ));

  it('goes on with a drain that a long request holds up, and loses no such request', async () => {
    const from = `v${round}`;
    const held = scenario.get(`${shop}.localhost`, '/?ms=4000');
    // It has to be on its way before anything moves.
    await delay(100);
    await update(
      [
        async (controller) => {
          await controller.waitFor('the old slot drains', ({ status }) => {
            return status?.projects[shop]?.previous?.state === 'draining';
          });
          await controller.kill();
        },
      ],
      [undefined],
    );
    const { status, body } = await held;
    expect(status).toBe(200);
    expect(JSON.parse(body)).toMatchObject({ version: from });
  });
});
