/** dockerd dies by SIGKILL in each phase of a deployment, and is started again. */
import { afterEach, describe, expect, it } from 'vitest';
import type { Phase } from '../../../src/record/port.js';
import type { Application } from '../../support/application.js';
import type { Client } from '../../support/client.js';
import type { Controller } from '../../support/controller.js';
import { createOwnEngine, type OwnEngine } from '../../support/own-engine.js';
import { createScenario, type Fields, type Scenario } from '../../support/scenario.js';
import { Invariants } from './invariants.js';
import { account, accountOutage, isFull } from './report.js';

/**
 * Phases of an update, and what comes after it. `creating` and `starting`: the engine has made or
 * started the candidate, and the controller hardly knows; `retiring`: it stops the previous container.
 */
type Moment = Exclude<Phase, 'fetching'> | 'creating' | 'draining' | 'retiring';
const moments: readonly Moment[] = isFull
  ? [
      ...(['queued', 'building', 'releasing', 'creating', 'starting', 'probing'] as const),
      ...(['switching', 'baking', 'draining', 'retiring'] as const),
    ]
  : ['building', 'creating', 'switching', 'retiring'];

/** What the engine tells of a slot's container at that moment. */
const events: Partial<Record<Moment, string>> = { creating: 'create', starting: 'start', retiring: 'kill' };

let scenario: Scenario;
let own: OwnEngine;
let shop: string;
let application: Application;
let controller: Controller;
let invariants: Invariants;

async function begin(liveRestore: boolean): Promise<void> {
  own = await createOwnEngine({ liveRestore });
  scenario = await createScenario();
  await scenario.writeSettings({
    docker: { socket: own.socket },
    retries: { attempts: 5, backoff: '200ms', maxBackoff: '1s' },
  });
  shop = scenario.name('shop');
  application = await scenario.application('shop');
  invariants = await Invariants.watch(scenario, { [shop]: application }, own.docker);
  controller = scenario.start();
  await commitManifest();
  await controller.waitLive(shop);
}

const commitManifest = (over: Fields = {}): Promise<string> =>
  scenario.commitManifest(shop, application, {
    release: { command: ['node', 'release.mjs'] },
    health: { bake: '500ms' },
    ...over,
  });

afterEach(async () => {
  await scenario.stopAll();
  await own.cleanup();
  await scenario.cleanup();
});

/** Listens from now on; `heard` resolves when the engine does this with a slot's container. */
async function listen(action: string): Promise<{ readonly heard: Promise<unknown> }> {
  const filters = {
    type: ['container' as const],
    event: [action],
    label: [`dev.pointsman.instance=${scenario.instance}`],
  };
  const stream = await own.docker.getEvents({ filters });
  // It dies with the engine.
  stream.on('error', () => undefined);
  const heard = new Promise((resolve) => {
    stream.on('data', (line: Buffer) => {
      const { Actor } = JSON.parse(String(line)) as { Actor: { Attributes: { name: string } } };
      if (/-(blue|green)$/.test(Actor.Attributes.name)) resolve(Actor);
    });
  });
  return { heard };
}

/** Commits `to`, and kills the engine at that moment of its deployment. Resolves to the commit. */
async function killDuring(moment: Moment, to: string): Promise<string> {
  if (moment === 'retiring') {
    // The previous container goes at once; the one that is still there is gone before.
    const configCommit = await commitManifest({ rollout: { keepPrevious: '0s' } });
    await controller.waitIdle({ configCommit });
    await controller.waitFor(
      'the warm one is gone',
      ({ status }) => status?.projects[shop]?.previous === null,
    );
  }
  const before = (await controller.journal()).length;
  const event = events[moment] === undefined ? null : await listen(events[moment]);
  const sourceCommit = await application.commitVersion(to, { releaseMs: 200 });
  if (event !== null) await event.heard;
  else
    await controller.waitFor(`the deployment is ${moment}`, ({ status, journal }) =>
      moment === 'draining'
        ? status?.projects[shop]?.previous?.state === 'draining'
        : journal.slice(before).some((record) => record.type === 'deployment' && record.to === moment),
    );
  await own.end('SIGKILL');
  return sourceCommit;
}

async function settled(sourceCommit: string, to: string): Promise<void> {
  await controller.waitLive(shop, { sourceCommit });
  const configCommit = await scenario.config.head();
  await controller.waitIdle({ configCommit, sourceCommits: { [shop]: sourceCommit } });
  expect(await scenario.version(shop)).toBe(to);
  await invariants.look();
}

/** The engine answers, and a live container answers through nginx. */
async function serving(versions: readonly string[]): Promise<void> {
  await controller.waitFor('it serves again', async ({ status }) => {
    if (status?.components.docker.ok !== true) return false;
    if ((status.projects[shop]?.live?.container ?? null) === null) return false;
    return versions.includes(await scenario.version(shop).catch(() => ''));
  });
}

describe('dockerd killed in each phase', () => {
  it('costs no request with live-restore', async () => {
    await begin(true);
    const client = scenario.client(shop, 'v1');
    let version = 1;
    for (const moment of moments) {
      const from = `v${version}`;
      const to = `v${(version += 1)}`;
      client.expect({ from, to });
      const sourceCommit = await killDuring(moment, to);
      await own.start();
      await settled(sourceCommit, to);
      client.acknowledged(to);
    }
    await account('dockerd killed, live-restore', moments.length, client);
    await invariants.end(controller);
  }, 900_000);

  it('ends where an undisturbed run ends without live-restore, and loses nothing once it serves again', async () => {
    await begin(false);
    let version = 1;
    for (const moment of moments) {
      const from = `v${version}`;
      const to = `v${(version += 1)}`;
      const during: Client = scenario.client(shop, from);
      during.allow(from, to);
      const sourceCommit = await killDuring(moment, to);
      await own.start();
      await serving([from, to]);
      const after = scenario.client(shop, from);
      after.expect({ from, to });
      await accountOutage(`dockerd killed while ${moment}, no live-restore`, 1, during);
      await settled(sourceCommit, to);
      after.acknowledged(to);
      await controller.waitLooks();
      await account(`dockerd back after ${moment}, no live-restore`, 0, after);
    }
    await invariants.end(controller);
  }, 900_000);
});
