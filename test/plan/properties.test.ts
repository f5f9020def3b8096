import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { slots } from '../../src/manifest/project.js';
import type { Slot } from '../../src/manifest/project.js';
import { planProject } from '../../src/plan/plan-project.js';
import type { DeployStep, PlanInput } from '../../src/plan/plan.js';
import { noMemory } from '../../src/record/port.js';
import type { Phase, ProjectMemory } from '../../src/record/port.js';
import type { Want } from '../../src/resolve/want.js';
import { container, input, network, now, project, record, site, want } from './world.js';

const revision = fc.constantFrom('A', 'B', 'C');
const slot = fc.constantFrom<Slot>('blue', 'green');
const phase = fc.constantFrom<Phase>(
  'queued',
  'building',
  'releasing',
  'starting',
  'probing',
  'switching',
  'baking',
);

const containerOf = (where: Slot) =>
  fc.option(
    fc
      .record({
        revision,
        state: fc.constantFrom('running' as const, 'exited' as const, 'created' as const, 'dead' as const),
        restartPolicy: fc.constantFrom('no', 'unless-stopped'),
        deployment: fc.constantFrom('d-A', 'd-B', 'd-C', 'd-X'),
      })
      .map(({ revision: of, state, restartPolicy, deployment }) => {
        const base = container(where, of, { state, restartPolicy });
        return { ...base, labels: { ...base.labels, deployment } };
      }),
    { nil: null },
  );

const switchOf = (where: Slot) =>
  fc.option(
    fc.oneof(
      fc.constant({ record: null }),
      fc
        .record({
          revision,
          previous: fc.option(revision, { nil: null }),
          age: fc.constantFrom(0, 5_000, 900_000),
        })
        .map((of) => ({ record: record(where, of.revision, of.previous, now - of.age) })),
    ),
    { nil: null },
  );

const memory: fc.Arbitrary<ProjectMemory> = fc.record({
  failure: fc.option(
    fc.record({
      revision,
      deployment: fc.constant('d-X'),
      reason: fc.constantFrom('BuildFailed' as const, 'ProbeFailed' as const, 'BakeFailed' as const),
      message: fc.constant('no'),
      attempts: fc.nat(5),
      final: fc.boolean(),
      rejected: fc.boolean(),
      nextRetryAt: fc.constantFrom(
        null,
        new Date(now + 5_000).toISOString(),
        new Date(now - 1).toISOString(),
      ),
    }),
    { nil: null },
  ),
  open: fc.option(
    fc.record({
      deployment: fc.constantFrom('d-A', 'd-B', 'd-X'),
      revision,
      configCommit: fc.constant('c'),
      sourceCommit: fc.constant('s'),
      phase,
      slot: fc.option(slot, { nil: null }),
      attempt: fc.integer({ min: 1, max: 3 }),
      isRollback: fc.boolean(),
      startedAt: fc.constant(new Date(now).toISOString()),
    }),
    { nil: null },
  ),
  wasLive: fc.subarray(['A', 'B', 'C']),
  last: fc.constant(null),
  drained: fc.option(fc.record({ slot, revision }), { nil: null }),
  switched: fc.option(
    fc.record({
      at: fc.constant(new Date(now).toISOString()),
      from: fc.option(slot, { nil: null }),
      to: slot,
      revision,
    }),
    { nil: null },
  ),
});

const wanted: fc.Arbitrary<Want> = fc.oneof(
  fc
    .tuple(revision, fc.boolean(), fc.boolean())
    .map(([of, atHand, suspend]): Want =>
      want(of, { image: atHand ? `sha256:${of}` : null, project: { ...project, suspend } }),
    ),
  fc.constant<Want>({ kind: 'invalid', message: 'bad' }),
  fc
    .option(fc.constant('held'), { nil: null })
    .map((heldBecause): Want => ({ kind: 'absent', configCommit: 'c', heldBecause })),
  fc.constant<Want>({
    kind: 'unresolved',
    project,
    configCommit: 'c',
    code: 'SourceUnreachable',
    message: 'down',
  }),
  fc.constant<Want>({ kind: 'unpulled', project, configCommit: 'c', tag: 't' }),
);

const anything: fc.Arbitrary<PlanInput> = fc
  .record({
    blue: containerOf('blue'),
    green: containerOf('green'),
    switchBlue: switchOf('blue'),
    switchGreen: switchOf('green'),
    hasSite: fc.boolean(),
    intact: fc.boolean(),
    hasNetwork: fc.boolean(),
    stranger: fc.boolean(),
    memory,
    want: wanted,
    recentExits: fc.nat(8),
  })
  .map((of) =>
    input(
      {
        containers: [of.blue, of.green].filter((each) => each !== null),
        network: of.hasNetwork ? network : null,
        route: {
          site: of.hasSite ? site : null,
          present: of.hasSite,
          intact: of.intact,
          switches: { blue: of.switchBlue, green: of.switchGreen },
        },
        strangers:
          of.stranger && of.green === null ? { green: { id: 'f00', ours: false, instance: null } } : {},
      },
      { want: of.want, memory: of.memory ?? noMemory, recentExits: of.recentExits },
    ),
  );

function deployOf(given: PlanInput): DeployStep | undefined {
  return planProject(given).steps.find((step) => step.kind === 'deploy');
}

describe('planProject, whatever is there', () => {
  it('has an answer and is a function of its input', () => {
    fc.assert(
      fc.property(anything, (given) => {
        expect(planProject(given)).toEqual(planProject(given));
      }),
      { numRuns: 2_000 },
    );
  });

  it('never stops or removes the live container of a project that is to stay', () => {
    fc.assert(
      fc.property(anything, (given) => {
        fc.pre(given.want.kind !== 'absent' || given.want.heldBecause !== null);
        const { live } = given.observed;
        const removed = planProject(given).steps.flatMap((step) =>
          step.kind === 'remove' ? [step.container] : [],
        );
        if (live?.container) expect(removed).not.toContain(live.container.id);
      }),
      { numRuns: 2_000 },
    );
  });

  it('switches only after a probe, and never starts a container in the live slot', () => {
    fc.assert(
      fc.property(anything, (given) => {
        const step = deployOf(given);
        if (step === undefined) return;
        const switching = step.phases.indexOf('switching');
        if (switching >= 0) expect(step.phases.indexOf('probing')).toBe(switching - 1);
        if (step.phases.includes('starting')) expect(step.slot).not.toBe(given.observed.live?.slot);
      }),
      { numRuns: 2_000 },
    );
  });

  it('starts, builds and removes nothing while suspended', () => {
    fc.assert(
      fc.property(anything, (given) => {
        fc.pre(given.want.kind === 'resolved' && given.want.project.suspend);
        const kinds = planProject(given).steps.map(({ kind }) => kind);
        for (const kind of ['recreate', 'start', 'remove', 'drain', 'pull', 'unroute', 'remove-network'])
          expect(kinds).not.toContain(kind);
        const phases = deployOf(given)?.phases ?? [];
        for (const phase of ['building', 'releasing', 'starting', 'switching'])
          expect(phases).not.toContain(phase);
      }),
      { numRuns: 2_000 },
    );
  });

  it('has at most one deployment, and none of a revision that failed for good', () => {
    fc.assert(
      fc.property(anything, (given) => {
        const steps = planProject(given).steps.filter((step) => step.kind === 'deploy');
        expect(steps.length).toBeLessThanOrEqual(1);
        const { failure, open } = given.memory;
        const [step] = steps;
        if (
          step !== undefined &&
          failure?.final === true &&
          step.phases.includes('starting') &&
          open === null
        ) {
          expect(step.target.revision).not.toBe(failure.revision);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('leaves a removed project nothing but its volumes', () => {
    fc.assert(
      fc.property(anything, (given) => {
        fc.pre(given.want.kind === 'absent' && given.want.heldBecause === null);
        const { steps } = planProject(given);
        for (const each of slots) {
          const there = given.observed.containers[each];
          if (there !== null)
            expect(steps.some((step) => step.kind === 'remove' && step.container === there.id)).toBe(true);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
