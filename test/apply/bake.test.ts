import { expect, it } from 'vitest';
import { bake } from '../../src/apply/bake.js';
import { Attempt } from '../../src/apply/context.js';
import type { DeployState } from '../../src/apply/deploy.js';
import type { Deployment } from '../../src/apply/deployment.js';
import { container, project } from '../plan/world.js';
import { ManualClock } from '../support/manual-clock.js';

/** When each probe of a bake of 3 s went out, in ms since the switch. */
async function probesOf(intervalMs: number | null): Promise<readonly number[]> {
  const clock = new ManualClock();
  const at: number[] = [];
  const { signal: stopping } = new AbortController();
  const blue = container('blue', 'r1');
  const deployment = {
    context: {
      project: 'shop',
      clock,
      stopping,
      observed: { containers: {} },
      runtime: {
        container: () => Promise.resolve(blue),
        waitForExit: () => new Promise<number>(() => undefined),
      },
      prober: {
        probe() {
          at.push(clock.monotonic());
          return Promise.resolve({ ok: true });
        },
      },
    },
    step: {
      slot: 'blue',
      target: { project: { ...project, health: { ...project.health, intervalMs, bakeMs: 3_000 } } },
    },
    enter: () => Promise.resolve(),
  } as unknown as Deployment;
  const ended = bake(deployment, { container: blue.id } as DeployState, new Attempt('r1', stopping));
  await clock.advance(3_000);
  await ended;
  return at;
}

it('probes every second after the switch when a manifest writes no interval', async () => {
  expect(await probesOf(null)).toEqual([1_000, 2_000, 3_000]);
});

it('probes at the interval that a manifest writes after the switch', async () => {
  expect(await probesOf(1_500)).toEqual([1_500, 3_000]);
});
