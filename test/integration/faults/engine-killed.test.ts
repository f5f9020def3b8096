/** dockerd dies by SIGKILL in each phase of a deployment, and is started again. */
import { afterEach, describe, expect, it } from 'vitest';
import type { Phase } from '../../../src/record/port.js';
import type { Application } from '../../support/application.js';
import type { Client } from '../../support/client.js';
import type { Controller } from '../../support/controller.js';
import { createOwnEngine, type OwnEngine } from '../../support/own-engine.js';
import { createScenario, type Scenario } from '../../support/scenario.js';
import { expectSettled } from '../../support/settled.js';
import { account, isFull, put } from './report.js';

/** Phases of an update, and what comes after it. */
type Moment = Phase | 'draining';
const moments: readonly Moment[] = isFull
  ? ['building', 'releasing', 'starting', 'probing', 'switching', 'baking', 'draining']
  : ['starting', 'switching'];

let scenario: Scenario;
let own: OwnEngine;
let shop: string;
let application: Application;
let controller: Controller;

async function begin(liveRestore: boolean): Promise<Client> {
  own = await createOwnEngine({ liveRestore });
  scenario = await createScenario();
  await scenario.writeSettings({
    docker: { socket: own.socket },
    retries: { attempts: 5, backoff: '200ms', maxBackoff: '1s' },
  });
  shop = scenario.name('shop');
  application = await scenario.application('shop');
  controller = scenario.start();
  await scenario.commitManifest(shop, application, {
    release: { command: ['node', 'release.mjs'] },
    health: { bake: '500ms' },
  });
  await controller.waitLive(shop);
  return scenario.client(shop, 'v1');
}

afterEach(async () => {
  await scenario.stopAll();
  await own.cleanup();
  await scenario.cleanup();
});

/** Resolves when the deployment of the newest commit is there. */
async function reached(moment: Moment, before: number): Promise<void> {
  await controller.waitFor(`the deployment is ${moment}`, ({ status, journal }) =>
    moment === 'draining'
      ? status?.projects[shop]?.previous?.state === 'draining'
      : journal.slice(before).some((record) => record.type === 'deployment' && record.to === moment),
  );
}

async function update(to: string, moment: Moment): Promise<string> {
  const before = (await controller.journal()).length;
  const sourceCommit = await application.commitVersion(to);
  await reached(moment, before);
  await own.end('SIGKILL');
  return sourceCommit;
}

async function settled(sourceCommit: string, to: string): Promise<void> {
  await own.start();
  await controller.waitLive(shop, { sourceCommit });
  const configCommit = await scenario.config.head();
  await controller.waitIdle({ configCommit, sourceCommits: { [shop]: sourceCommit } });
  expect(await scenario.version(shop)).toBe(to);
}

describe('dockerd killed in each phase', () => {
  it('costs no request with live-restore', async () => {
    const client = await begin(true);
    let version = 1;
    for (const moment of moments) {
      const from = `v${version}`;
      const to = `v${(version += 1)}`;
      client.expect({ from, to });
      const sourceCommit = await update(to, moment);
      await settled(sourceCommit, to);
      client.acknowledged(to);
    }
    await account('dockerd killed, live-restore', moments.length, client);
    await controller.stop();
    await expectSettled(scenario);
  }, 900_000);

  it('ends where an undisturbed run ends without live-restore, and says what it cost', async () => {
    const first = await begin(false);
    await first.stop();
    let version = 1;
    for (const moment of moments) {
      const client = scenario.client(shop, `v${version}`);
      client.allow(`v${version}`, `v${version + 1}`);
      version += 1;
      const to = `v${version}`;
      const sourceCommit = await update(to, moment);
      await settled(sourceCommit, to);
      client.acknowledged(to);
      const { sent, failed, wrong } = await client.stop();
      const what = `dockerd killed while ${moment}, no live-restore`;
      await put({ what, faults: 1, sent, failed, wrong, unavoidable: failed });
      expect(wrong).toBe(0);
    }
    await controller.stop();
    await expectSettled(scenario);
  }, 900_000);
});
