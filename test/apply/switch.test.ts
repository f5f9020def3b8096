import { expect, it } from 'vitest';
import type { DeployState } from '../../src/apply/deploy.js';
import type { Deployment } from '../../src/apply/deployment.js';
import type { PassContext } from '../../src/apply/context.js';
import { routeFirst, switchBack } from '../../src/apply/switch.js';
import type { SwitchRecord } from '../../src/router/port.js';
import type { ContainerFacts } from '../../src/runtime/port.js';
import { container, observe, project, served } from '../plan/world.js';
import { ManualClock } from '../support/manual-clock.js';

/** What a first deployment that is gone on with does when `there` is in its slot and every probe fails. */
async function routed(there: ContainerFacts | null, known: string | null): Promise<readonly string[]> {
  const clock = new ManualClock();
  const done: string[] = [];
  const health = { ...project.health, intervalMs: 1_000, withinMs: 3_000 };
  const deployment = {
    context: {
      project: 'shop',
      clock,
      stopping: new AbortController().signal,
      runtime: {
        containers: () => Promise.resolve(there === null ? [] : [there]),
        container: () => Promise.resolve(there),
        waitForExit: () => new Promise<number>(() => undefined),
        setRestartPolicy: (id: string, policy: string) =>
          Promise.resolve(void done.push(`restart policy ${policy} of ${id}`)),
      },
      router: { clearSwitch: () => Promise.resolve(void done.push('clear switch')) },
      routes: { request: () => Promise.resolve(void done.push('route')) },
      prober: { probe: () => Promise.resolve({ ok: false, why: 'connection refused', hint: null }) },
    },
    step: { slot: 'blue', target: { project: { ...project, health } } },
    progressOfAttempt: () => undefined,
  } as unknown as Deployment;
  const ended = routeFirst(deployment, { container: known, startedAt: null } as DeployState).catch(
    (error: { code: string }) => void done.push(error.code),
  );
  await clock.advance(10_000);
  await ended;
  return done;
}

const blue = container('blue', 'r1');

it('takes a first switch back, with what else says that it is live, when it fails its probes before its route', async () => {
  expect(await routed(blue, blue.id)).toEqual([
    'clear switch',
    `restart policy no of ${blue.id}`,
    'ProbeFailed',
  ]);
});

it('takes a first switch back when its container is gone before its route', async () => {
  expect(await routed(null, blue.id)).toEqual(['clear switch', 'ContainerExited']);
});

it('takes a first switch back when its container could not be made again as a whole', async () => {
  expect(await routed(blue, null)).toEqual([
    'clear switch',
    `restart policy no of ${blue.id}`,
    'ContainerExited',
  ]);
});

it('tells status where traffic goes as soon as it has moved', async () => {
  const done: string[] = [];
  const clock = new ManualClock();
  const green = container('green', 'r1');
  const world = served('blue', 'r2', green);
  const { containers, route, network } = { ...world, ...observe(world) };
  const context = {
    project: 'shop',
    clock,
    stopping: new AbortController().signal,
    runtime: {
      containers: () => Promise.resolve([containers.blue, green]),
      network: () => Promise.resolve(network),
      waitForExit: () => new Promise<number>(() => undefined),
      setRestartPolicy: () => Promise.resolve(),
    },
    router: {
      observe: () => Promise.resolve(route),
      liveSlot: () => Promise.resolve('blue'),
      switchTo: ({ slot }: SwitchRecord) => Promise.resolve(void done.push(`switch to ${slot}`)),
    },
    routes: { request: () => Promise.resolve({ kind: 'applied' }) },
    drains: { cancel: () => Promise.resolve(), start: () => undefined },
    journal: { append: () => Promise.resolve() },
    log: { info: () => undefined },
    prober: { probe: () => Promise.resolve({ ok: true }) },
    report: () => undefined,
    showRoute: (seen: { containers: { green: ContainerFacts | null } }) =>
      Promise.resolve(void done.push(`show the route to ${seen.containers.green?.labels.revision}`)),
  } as unknown as PassContext;
  const back = switchBack(context, 'green', 'r2');
  await clock.advance(10_000);
  await back;
  expect(done).toEqual(['switch to green', 'show the route to r1']);
});
