import { onTestFinished, expect, it } from 'vitest';
import { systemClock } from '../src/clock.js';
import type { DesiredProjects } from '../src/desired-projects.js';
import { silentLogger } from '../src/log.js';
import { planProject } from '../src/plan/plan-project.js';
import { noMemory } from '../src/record/port.js';
import type { JournalMemory } from '../src/record/port.js';
import { readStatus } from '../src/record/status-file.js';
import { StatusKeeper } from '../src/status-keeper.js';
import type { ProgressEvent } from '../src/status-keeper.js';
import { settingsIn, temporaryFolder } from './cli/cli.js';
import { input, served } from './plan/world.js';
import { until } from './support/waiting.js';

async function keeper() {
  const stateDir = await temporaryFolder();
  const events: ProgressEvent[] = [];
  const source = { error: null, failures: 0, lastAttemptAt: null, lastSuccessAt: null };
  const desired = {
    commit: null as string | null,
    source,
    problems: [],
    heldRemovals: null,
    names: (): readonly string[] => [],
    knows: () => true,
  };
  const status = new StatusKeeper({
    settings: settingsIn(stateDir),
    clock: systemClock,
    log: silentLogger,
    journal: { damage: null, fault: null, memory: { project: () => noMemory } as unknown as JournalMemory },
    desired: desired as unknown as DesiredProjects,
    version: '0',
    onProgress: (event) => events.push(event),
  });
  onTestFinished(() => status.close());
  const phases = () => events.map(({ phase }) => phase);
  return { status, stateDir, phases, desired };
}

it('tells that what was no deployment is over, and the end of a deployment once', async () => {
  const { status, phases } = await keeper();
  status.progress('shop', { phase: 'probing' });
  status.progress('shop', { phase: null });
  status.progress('shop', { phase: 'baking' });
  status.progress('shop', { phase: null, outcome: 'rolled-back' });
  status.progress('shop', { phase: null });
  expect(phases()).toEqual(['probing', null, 'baking', 'rolled-back']);
});

it('takes credentials out of the step that it shows', async () => {
  const { status, stateDir } = await keeper();
  status.progress('shop', {
    phase: 'building',
    step: 'RUN git clone https://me:s3cret@git.example.com/a.git',
  });
  await status.close();
  const reading = await readStatus(stateDir);
  const message = 'RUN git clone https://git.example.com/a.git';
  expect(reading).toMatchObject({ status: { projects: { shop: { phase: 'building', message } } } });
});

it('says of a route what it was refused for until it is taken, also while it is asked for again', async () => {
  const { status, stateDir } = await keeper();
  const taken = input(served('blue', 'A'));
  const route = { ...taken.observed.route, site: null, present: false };
  const asked = { ...taken, observed: { ...taken.observed, route } };
  const view = { input: asked, plan: planProject(asked), waiting: null };
  expect(view.plan.steps.map(({ kind }) => kind)).toContain('site');
  const saysOf = (state: string, reason: string | null) =>
    until(async () => {
      const reading = await readStatus(stateDir);
      const shop = reading.kind === 'status' ? reading.status.projects['shop'] : undefined;
      return shop?.state === state && shop.reason === reason;
    }, 5_000);
  status.view('shop', view);
  await saysOf('progressing', null);
  status.view('shop', { ...view, waiting: { code: 'RouteRefused', message: 'nginx -t: no' } });
  status.view('shop', view);
  await saysOf('failed', 'RouteRefused');
  status.view('shop', { input: taken, plan: planProject(taken), waiting: null });
  await saysOf('live', null);
});

it('knows who waits, until he waits no more or is gone', async () => {
  const { status } = await keeper();
  const taken = input(served('blue', 'A'));
  const view = { input: taken, plan: planProject(taken), waiting: null };
  const waiting = { code: 'SourceUnreachable', message: 'no answer' } as const;
  expect(view.plan.blocked).toBeNull();
  for (const name of ['a', 'b', 'c']) status.view(name, { ...view, waiting });
  status.view('d', view);
  expect(status.waiting()).toEqual(['a', 'b', 'c']);
  status.view('b', view);
  status.forget('a');
  expect(status.waiting()).toEqual(['c']);
  status.view('d', { ...view, plan: { ...view.plan, blocked: waiting } });
  expect(status.waiting()).toEqual(['c', 'd']);
});

it('lists whoever a new commit declares, and whoever is forgotten while declared, in order', async () => {
  const { status, stateDir, desired } = await keeper();
  const listed = async () => {
    await status.close();
    const reading = await readStatus(stateDir);
    return reading.kind === 'status' ? Object.keys(reading.status.projects) : reading;
  };
  desired.commit = 'a';
  desired.names = () => ['m', 'c'];
  expect(await listed()).toEqual(['c', 'm']);
  desired.commit = 'b';
  desired.names = () => ['m', 'c', 'h'];
  expect(await listed()).toEqual(['c', 'h', 'm']);
  status.forget('h');
  expect(await listed()).toEqual(['c', 'h', 'm']);
});
