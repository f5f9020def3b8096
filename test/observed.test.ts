import { expect, it } from 'vitest';
import { parseSpec } from '../src/manifest/spec.js';
import { withRoute } from '../src/observe/observed.js';
import type { Observed } from '../src/observe/observed.js';
import { showRoute } from '../src/reconcile.js';
import type { PassView } from '../src/reconcile.js';
import type { RouteFacts } from '../src/router/port.js';
import { container, observe, record, served } from './plan/world.js';

const green = container('green', 'r2');

/** Blue is live and green runs; then the route of a switch to green. */
function switching(): { readonly before: Observed; readonly route: RouteFacts } {
  const world = served('blue', 'r1');
  const before = observe({ ...world, containers: [...(world.containers ?? []), green] });
  const switches = { blue: null, green: { record: record('green', 'r2', 'r1') } };
  return { before, route: { ...before.route, switches } };
}

it('knows by a later look at the files alone who is live, and keeps what was seen of everything else', () => {
  const { before, route } = switching();
  expect(before.live?.slot).toBe('blue');
  const after = withRoute(before, route, parseSpec);
  expect(after.live?.slot).toBe('green');
  expect(after.live?.container).toBe(green);
  expect(after.live?.record?.previous?.revision).toBe('r1');
  expect({ ...after, route: before.route, live: before.live }).toEqual(before);
});

/** What status is told after a switch, and what the log is. */
async function shown(
  look: () => Promise<RouteFacts>,
): Promise<{ readonly live: unknown[]; readonly warned: unknown[] }> {
  const live: unknown[] = [];
  const warned: unknown[] = [];
  const { before } = switching();
  const view = { input: { project: 'shop', observed: observe(served('blue', 'r1')) } } as PassView;
  const deps = {
    router: { observe: look },
    journal: { memory: { project: () => null } },
    log: { warn: (fields: unknown) => void warned.push(fields) },
  } as unknown as Parameters<typeof showRoute>[2];
  await showRoute(view, before, deps, {
    view: (_, { input }) => void live.push([input.observed.live?.slot, input.observed.containers.green]),
  });
  return { live, warned };
}

it('tells status after a switch where traffic goes, and of the container that was seen before it', async () => {
  const { route } = switching();
  expect(await shown(() => Promise.resolve(route))).toEqual({ live: [['green', green]], warned: [] });
});

it('leaves a look after a switch that fails to the next pass', async () => {
  const failed = await shown(() => Promise.reject(new Error('no such folder')));
  expect(failed).toEqual({ live: [], warned: [{ project: 'shop', error: 'no such folder' }] });
});
