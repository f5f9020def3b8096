import fc from 'fast-check';
import { expect, it } from 'vitest';
import { silentLogger } from '../src/log.js';
import { DesiredProjects, type DesiredDeps } from '../src/desired-projects.js';
import { assembleChanges, assembleDesired, type Assembled } from '../src/manifest/assemble.js';
import type { DesiredState } from '../src/manifest/project.js';
import { manifest, parse } from './manifest/support.js';

const signal = new AbortController().signal;
const context = { baseDomain: 'localhost', live: { names: new Map(), domains: new Map() } };

/** Hears of these states, one at each look. */
function following(states: readonly DesiredState[]): DesiredProjects {
  let looks = 0;
  const config = { sync: async () => ({ desired: states[looks++] ?? null, error: null }) };
  const clock = { now: () => 0 };
  return new DesiredProjects({ config, clock, log: silentLogger, runtime: {} } as unknown as DesiredDeps);
}

it('hears of the same projects whether a state says what changed or not', async () => {
  const version = fc.constantFrom(1, 2);
  const fleet = fc.record({ a: version, b: version, c: version, isReformatted: fc.boolean() });
  let told = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(fleet, { minLength: 2, maxLength: 5 }), async (commits) => {
      let before: Assembled | null = null;
      const quick: DesiredState[] = [];
      const whole: DesiredState[] = [];
      for (const [index, { isReformatted, ...projects }] of commits.entries()) {
        const files = Object.entries(projects).map(([name, cpus]) =>
          parse(
            manifest(`${isReformatted ? '# a remark\n' : ''}run: { port: 80, cpus: ${cpus} }\n`, name),
            `${name}.yaml`,
          ),
        );
        const all = assembleDesired(`${index}`, files, context);
        const desired: DesiredState =
          before === null ? all : (assembleChanges(before, `${index}`, files, 'localhost') ?? all);
        before = { files, desired };
        quick.push(desired);
        whole.push(all);
      }
      const [one, other] = [following(quick), following(whole)];
      for (const { changes } of quick) {
        const heard = await one.sync(signal);
        const expected = await other.sync(signal);
        expect([...heard.projects].sort()).toEqual([...expected.projects].sort());
        expect(one.claims).toEqual(other.claims);
        if (changes !== undefined) told += 1;
      }
    }),
    { numRuns: 300 },
  );
  expect(told).toBeGreaterThan(100);
});

it('does not rely on what changed since another commit than the one it knows', async () => {
  const at = (commit: string, cpus: number) =>
    assembleDesired(commit, [parse(manifest(`run: { port: 80, cpus: ${cpus} }\n`, 'a'), 'a.yaml')], context);
  const projects = following([at('one', 1), { ...at('three', 2), changes: { since: 'two', projects: [] } }]);
  await projects.sync(signal);
  expect((await projects.sync(signal)).projects).toEqual(['a']);
});
