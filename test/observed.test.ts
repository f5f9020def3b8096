import { expect, it } from 'vitest';
import { parseSpec } from '../src/manifest/spec.js';
import { withRoute } from '../src/observe/observed.js';
import { container, observe, record, served } from './plan/world.js';

it('knows by a later look at the files alone who is live, and keeps what was seen of everything else', () => {
  const green = container('green', 'r2');
  const world = served('blue', 'r1');
  const before = observe({ ...world, containers: [...(world.containers ?? []), green] });
  expect(before.live?.slot).toBe('blue');
  const route = { ...before.route, switches: { blue: null, green: { record: record('green', 'r2', 'r1') } } };
  const after = withRoute(before, route, parseSpec);
  expect(after.live?.slot).toBe('green');
  expect(after.live?.container).toBe(green);
  expect(after.live?.record?.previous?.revision).toBe('r1');
  expect({ ...after, route: before.route, live: before.live }).toEqual(before);
});
