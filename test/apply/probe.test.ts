import { expect, it } from 'vitest';
import type { PassContext } from '../../src/apply/context.js';
import { untilHealthy } from '../../src/apply/probe.js';
import type { HealthSpec } from '../../src/manifest/project.js';
import { container } from '../plan/world.js';
import { ManualClock } from '../support/manual-clock.js';
import { probeTarget } from '../support/probe-target.js';

/**
 * When each probe went out, in ms since the first, and how it ended: `failing` probes fail before all
 * others pass. `exitCode`: the container is down, and the engine tells of it only when the time for probes is over.
 */
async function probesOf(
  health: Partial<HealthSpec>,
  failing = 0,
  exitCode: number | null = null,
): Promise<{ readonly at: readonly number[]; readonly ended: string }> {
  const clock = new ManualClock();
  const at: number[] = [];
  const context = {
    project: 'shop',
    clock,
    runtime: {
      container: () => Promise.resolve(container('blue', 'r1', exitCode === null ? {} : { state: 'exited' })),
      waitForExit: () =>
        new Promise<number>((resolve) => {
          if (exitCode !== null) clock.timer(health.withinMs ?? 0, () => resolve(exitCode));
        }),
    },
    prober: {
      probe() {
        at.push(clock.monotonic());
        const ok = at.length > failing;
        return Promise.resolve(ok ? { ok } : { ok, why: 'connection refused', hint: null });
      },
    },
  } as unknown as PassContext;
  const target = probeTarget('10.213.0.2', 3000);
  const spec = { ...target.health, ...health };
  const { signal } = new AbortController();
  const ended = untilHealthy(
    context,
    container('blue', 'r1').id,
    { ...target, health: spec },
    spec.withinMs,
    signal,
    () => undefined,
  )
    .then(() => 'healthy')
    .catch((error: Error) => error.message);
  await clock.advance(2 * spec.withinMs);
  expect(clock.pending).toBe(0);
  return { at, ended: await ended };
}

it('lets the interval that a manifest writes pass between two probes', async () => {
  expect(await probesOf({ intervalMs: 10_000, successes: 5 })).toEqual({
    at: [0, 10_000, 20_000, 30_000, 40_000],
    ended: 'healthy',
  });
  expect((await probesOf({ intervalMs: 100, successes: 2 }, 2)).at).toEqual([0, 100, 200, 300]);
});

it('probes soon, then ever less often, when a manifest writes no interval', async () => {
  const { at, ended } = await probesOf({ intervalMs: null, successes: 2 }, 60);
  expect(ended).toBe('healthy');
  const pauses = at.slice(1).map((time, index) => time - (at[index] ?? 0));
  expect(pauses[0]).toBe(5);
  for (const [index, pause] of pauses.entries())
    expect(pause).toBeCloseTo(Math.min(Math.max(5, (at[index] ?? 0) / 10), 1_000), 6);
  expect(pauses.at(-1)).toBeLessThan(1_000);
  expect((await probesOf({ intervalMs: null, successes: 90 })).at.at(-1)).toBeGreaterThan(20_000);
});

it('says what to change when the interval leaves no time for all successes', async () => {
  const { at, ended } = await probesOf({ intervalMs: 60_000, successes: 3, withinMs: 60_000 });
  expect(at).toEqual([0, 60_000]);
  expect(ended).toBe(
    'not healthy within 60s (2 probes): it answers, but not 3 times in a row; raise health.within, or lower health.successes or health.interval',
  );
});

it('says that the container exited also where the engine tells of it after the last probe', async () => {
  const { at, ended } = await probesOf({ intervalMs: 300, withinMs: 1_000 }, 60, 3);
  expect(at).toEqual([0, 300, 600, 900]);
  expect(ended).toBe('the container exited with 3');
});
