import { describe, expect, it } from 'vitest';
import type { PassContext } from '../../src/apply/context.js';
import { switchBack } from '../../src/apply/switch.js';
import { isImageBelow, isRepositoryBelow } from '../../src/manifest/policy.js';
import { serialiseSpec } from '../../src/manifest/spec.js';
import { planProject } from '../../src/plan/plan-project.js';
import type { PlanInput } from '../../src/plan/plan.js';
import { lookAndPlan } from '../../src/reconcile.js';
import { noMemory } from '../../src/record/port.js';
import { resolveProject, type ResolveDeps } from '../../src/resolve/resolve-project.js';
import type { Want } from '../../src/resolve/want.js';
import type { World } from '../plan/world.js';
import { container, input, observe, project, served, want } from '../plan/world.js';
import { rejection } from '../support/waiting.js';

const forbids = { sources: ['https://git.example.com/other'], images: ['docker.io'] };
const allows = { sources: ['https://git.example.com/acme'], images: ['docker.io'] };
/** The steps by which a container can start to run. */
const starts = new Set(['recreate', 'start', 'switch-back', 'deploy', 'pull']);

const refused: Want = {
  kind: 'unresolved',
  project,
  configCommit: 'c1',
  code: 'PolicyRefused',
  message: 'not allowed',
};
const wants: readonly (readonly [string, Want])[] = [
  ['refused', refused],
  ['unknown after a restart', { kind: 'unknown', message: 'no answer' }],
  ['invalid', { kind: 'invalid', message: 'no' }],
  ['held', { kind: 'absent', configCommit: 'c1', heldBecause: 'the folder is empty' }],
];
const live = container('blue', 'A', { restartPolicy: 'unless-stopped' });
const troubles: readonly (readonly [string, World])[] = [
  ['gone', { ...served('blue', 'A'), containers: [] }],
  ['exited', { ...served('blue', 'A'), containers: [{ ...live, state: 'exited' }] }],
  ['created and never started', { ...served('blue', 'A'), containers: [{ ...live, state: 'created' }] }],
  ['dead', { ...served('blue', 'A'), containers: [{ ...live, state: 'dead' }] }],
  ['at another address', { ...served('blue', 'A'), containers: [{ ...live, address: null }] }],
];

describe('a policy that was tightened while a project is live', () => {
  describe.each(wants)('and its manifest is %s', (_, wanted) => {
    it.each(troubles)(
      'starts nothing of it when its live container is %s, and says why',
      (_trouble, world) => {
        const before = planProject(input(world, { want: wanted, policy: allows }));
        expect(before.steps.filter(({ kind }) => starts.has(kind))).toHaveLength(1);

        const plan = planProject(input(world, { want: wanted, policy: forbids }));
        expect(plan.steps.filter(({ kind }) => starts.has(kind))).toEqual([]);
        expect(plan.blocked?.code).toBe('PolicyRefused');
        expect(plan.blocked?.message).toContain('policy.sources');
      },
    );

    it('leaves what runs alone: nothing is stopped, removed or unrouted', () => {
      expect(planProject(input(served('blue', 'A'), { want: wanted, policy: forbids })).steps).toEqual([]);
    });
  });

  it('does not start a previous slot for the way back from a failed bake', () => {
    const failure = {
      revision: 'B',
      deployment: 'd-B',
      reason: 'BakeFailed' as const,
      message: 'no',
      attempts: 1,
      final: true,
      rejected: true,
      nextRetryAt: null,
    };
    const memory = { ...noMemory, wasLive: ['A', 'B'], failure };
    const back = (state: 'running' | 'exited', policy: PlanInput['policy']): readonly string[] =>
      planProject(
        input(served('green', 'B', container('blue', 'A', { state })), { want: want('B'), memory, policy }),
      ).steps.map(({ kind }) => kind);
    expect(back('exited', allows)).toContain('switch-back');
    expect(back('exited', forbids)).not.toContain('switch-back');
    // It runs already, and nothing starts by moving the traffic.
    expect(back('running', forbids)).toContain('switch-back');
  });

  it('does not start a previous slot that died after the way back was planned', async () => {
    const started: string[] = [];
    const context = {
      project: 'shop',
      settings: { policy: forbids },
      runtime: {
        containers: () => Promise.resolve([container('blue', 'A', { state: 'exited' })]),
        start: (id: string) => Promise.resolve(void started.push(id)),
      },
      report: () => undefined,
    } as unknown as PassContext;
    const error = await rejection(switchBack(context, 'blue', 'B'));
    expect(error).toMatchObject({ code: 'PolicyRefused' });
    expect(started).toEqual([]);
  });

  it('counts from the settings at the next pass', async () => {
    const [, exited] = troubles[1] as (typeof troubles)[number];
    const stepsBy = async (policy: PlanInput['policy']): Promise<readonly string[]> => {
      const { plan } = await lookAndPlan(
        'shop',
        {
          settings: { policy },
          resolve: () => Promise.resolve(refused),
          observe: () => Promise.resolve(observe(exited)),
          journal: { memory: { project: () => noMemory } },
          clock: { now: () => 0 },
          sitePending: () => false,
          recentExits: () => 0,
        } as unknown as Parameters<typeof lookAndPlan>[1],
        new AbortController().signal,
      );
      return plan.steps.map(({ kind }) => kind);
    };
    expect(await stepsBy(allows)).toContain('start');
    expect(await stepsBy(forbids)).not.toContain('start');
  });

  it('judges a container by its own label, not by what is wanted now', () => {
    const image = { ...project, source: { kind: 'image' as const, image: 'evil.example.com/shop:1' } };
    const labels = { ...live.labels, spec: serialiseSpec(image) };
    const world = { ...served('blue', 'A'), containers: [{ ...live, state: 'exited' as const, labels }] };
    const plan = planProject(input(world, { want: want('A'), policy: allows }));
    expect(plan.steps.map(({ kind }) => kind)).not.toContain('start');
    expect(plan.blocked?.message).toContain('policy.images');
  });
});

describe('what a manifest wants', () => {
  const { source } = project;
  const pinned = { ...source, commit: 'a'.repeat(40) };
  const image = { kind: 'image' as const, image: 'evil.example.com/shop:1' };
  it.each([
    ['a followed branch', source, 'policy.sources'],
    ['a pinned commit, as a revert has it', pinned, 'policy.sources'],
    ['an image', image, 'policy.images'],
  ])('by %s is refused before anything is fetched, read or looked for', async (_, wanted, setting) => {
    const nothing = new Proxy({}, { get: (_target, key) => expect.unreachable(`asks for ${String(key)}`) });
    const deps = {
      sources: nothing,
      runtime: nothing,
      secrets: nothing,
      policy: forbids,
    } as unknown as ResolveDeps;
    const declared = { project: { ...project, source: wanted }, file: 'projects/shop.yaml', line: 1 };
    expect(await resolveProject(declared, 'c1', deps, new AbortController().signal)).toMatchObject({
      kind: 'unresolved',
      code: 'PolicyRefused',
      message: expect.stringContaining(setting) as string,
    });
  });
});

describe('a prefix is compared by its parts', () => {
  const prefix = 'https://git.example.com/team';
  it.each([
    'https://git.example.com/teamevil/a.git',
    'https://git.example.com@evil.example/team/a.git',
    'https://git.example.com:443@evil.example/team/a.git',
    'https://evil.example/https://git.example.com/team/a.git',
    'https://git.example.com/team/../evil/a.git',
    'https://git.example.com/team/%2e%2e/evil/a.git',
    'https://git.example.com/team/%252e%252e/evil/a.git/..',
    'https://git.example.com/team%2fevil/a.git',
    'https://git.example.com/team/x%2f..%2f..%2fevil/a.git',
    'https://git.example.com/team\\..\\evil/a.git',
    'https://git.example.com./team/a.git',
    'https://git.example.com:8443/team/a.git',
    'https://git.example.com/TEAM/a.git',
    'https://git。example。com.evil.example/team/a.git',
    'http://git.example.com/team/a.git',
    'http://git.example.com:443/team/a.git',
    'ssh://git.example.com/team/a.git',
    'https://git.example.com/team/a.git?x=1',
    'https://git.example.com/team/a.git#x',
    'https:/git.example.com/team/a.git',
    '//git.example.com/team/a.git',
    'ext::https://git.example.com/team/a.git',
  ])('%j is not below it', (repository) => {
    expect(isRepositoryBelow(prefix, repository)).toBe(false);
  });

  it.each(['HTTPS://GIT.Example.com:443/team/a.git', 'https://git.example.com/%74eam/a.git'])(
    '%j is',
    (repository) => {
      expect(isRepositoryBelow(prefix, repository)).toBe(true);
    },
  );

  it.each([
    'ghcr.io/teamevil/a',
    'ghcr.io.evil.example/team/a',
    'ghcr.io:444/team/a',
    'ghcr.io/team/../b',
    'team/a',
    'ghcr.io@evil/team/a',
  ])('the image %j is not below ghcr.io/team', (image) => {
    expect(isImageBelow('ghcr.io/team', image)).toBe(false);
  });
});
