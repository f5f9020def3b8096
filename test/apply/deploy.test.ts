import pino from 'pino';
import { expect, it } from 'vitest';
import type { PassContext } from '../../src/apply/context.js';
import { deploy } from '../../src/apply/deploy.js';
import { PointsmanError } from '../../src/errors.js';
import type { DeployStep } from '../../src/plan/plan.js';
import type { JournalEntry } from '../../src/record/port.js';
import { container, network, project, want } from '../plan/world.js';
import { ManualClock } from '../support/manual-clock.js';

it('begins nothing when something else may be wanted since it was planned', async () => {
  const touched: string[] = [];
  const attempt = { current: null, changed: true };
  const context = new Proxy({ attempt } as unknown as PassContext, {
    get(target, name) {
      if (name === 'attempt') return target.attempt;
      touched.push(String(name));
      throw new Error(`${String(name)} is used`);
    },
  });
  await deploy({ kind: 'deploy' } as DeployStep, context);
  expect(attempt.current).toBeNull();
  expect(touched).toEqual([]);
});

it('stays open when a first switch cannot be taken back: the next pass goes on with it', async () => {
  const clock = new ManualClock();
  const live = container('blue', 'r1', { restartPolicy: 'unless-stopped' });
  const appended: string[] = [];
  const health = { ...project.health, intervalMs: 1_000, withinMs: 3_000 };
  const context = {
    project: 'shop',
    attempt: { current: null, changed: false },
    stopping: new AbortController().signal,
    clock,
    log: pino({ enabled: false }),
    report: () => undefined,
    observed: { containers: { blue: live, green: null } },
    lanes: { run: (_lane: unknown, _signal: unknown, work: () => Promise<void>) => work() },
    journal: { append: ({ type }: JournalEntry) => Promise.resolve(void appended.push(type)) },
    deploymentLogs: {
      open: () => Promise.resolve({ line: () => undefined, close: () => Promise.resolve() }),
    },
    settings: { retries: { attempts: 3 } },
    runtime: {
      containers: () => Promise.resolve([live]),
      container: () => Promise.resolve(live),
      network: () => Promise.resolve(network),
      nameHolder: () => Promise.resolve(null),
      waitForExit: () => new Promise<number>(() => undefined),
      tail: () => Promise.resolve([]),
      setRestartPolicy: () => Promise.reject(new PointsmanError('StartFailed', 'it is gone')),
    },
    router: {
      observe: () =>
        Promise.resolve({ site: null, present: false, intact: true, switches: { blue: null, green: null } }),
      clearSwitch: () => Promise.resolve(),
    },
    prober: { probe: () => Promise.resolve({ ok: false, why: 'connection refused', hint: null }) },
  } as unknown as PassContext;
  const step = {
    kind: 'deploy',
    slot: 'blue',
    phases: ['routing'],
    attempt: 1,
    isRollback: false,
    target: { ...want('r1'), project: { ...project, health } },
    resumes: { deployment: 'd-r1', phase: 'switching' },
  } as unknown as DeployStep;
  const ended = deploy(step, context).catch((error: unknown) => error);
  await clock.advance(10_000);
  expect(await ended).toMatchObject({ code: 'StartFailed' });
  expect(appended).toEqual([]);
});
