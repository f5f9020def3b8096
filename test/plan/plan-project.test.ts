import { describe, expect, it } from 'vitest';
import { planProject } from '../../src/plan/plan-project.js';
import type { PlanInput, Step } from '../../src/plan/plan.js';
import { noMemory } from '../../src/record/port.js';
import type { ProjectMemory } from '../../src/record/port.js';
import { container, input, network, now, project, record, served, site, want } from './world.js';

/** A step in short: its kind, and what tells it from others of the kind. */
function short(step: Step): string {
  switch (step.kind) {
    case 'deploy':
      return `${step.cause} ${step.target.revision} to ${step.slot}: ${step.phases.join(' ')}`;
    case 'remove':
    case 'drain':
      return `${step.kind} ${step.kind === 'remove' ? step.role : step.slot}`;
    case 'restore-switch':
    case 'settle-switch':
    case 'recreate':
    case 'start':
    case 'switch-back':
      return `${step.kind} ${step.slot}`;
    case 'set-restart-policy':
      return `${step.kind} ${step.slot} ${step.policy}`;
    default:
      return step.kind;
  }
}

function plan(given: PlanInput): {
  readonly steps: readonly string[];
  readonly state: string;
  readonly code: string | null;
} {
  const { steps, state, blocked } = planProject(given);
  return { steps: steps.map(short), state, code: blocked?.code ?? null };
}

const memory = (more: Partial<ProjectMemory>): ProjectMemory => ({ ...noMemory, ...more });
const failed = (revision: string, more: Partial<NonNullable<ProjectMemory['failure']>> = {}): ProjectMemory =>
  memory({
    wasLive: ['A'],
    failure: {
      revision,
      deployment: 'd',
      reason: 'BuildFailed',
      message: 'no',
      attempts: 1,
      final: true,
      rejected: false,
      nextRetryAt: null,
      ...more,
    },
  });
const open = (
  revision: string,
  more: Partial<NonNullable<ProjectMemory['open']>> = {},
): NonNullable<ProjectMemory['open']> => ({
  deployment: `d-${revision}`,
  revision,
  configCommit: 'c1',
  sourceCommit: 's1',
  phase: 'probing',
  slot: 'green',
  attempt: 1,
  isRollback: false,
  startedAt: new Date(now - 1_000).toISOString(),
  ...more,
});
const drained = (slot: 'blue' | 'green', revision: string): Partial<ProjectMemory> => ({
  drained: { slot, revision },
  wasLive: [revision, 'B'],
});

/** In the midst of a drain, or of the bake before: what says which slot is live is gone. */
const bothRestart = {
  containers: [
    container('blue', 'A', { restartPolicy: 'unless-stopped' }),
    container('green', 'B', { restartPolicy: 'unless-stopped' }),
  ],
  route: { site, present: true, switches: { blue: null, green: null } },
} as const;

const cases: readonly [string, PlanInput, readonly string[], string, (string | null)?][] = [
  [
    'deploys the first revision to blue without a bake',
    input({}),
    ['deploy A to blue: starting probing switching routing'],
    'progressing',
  ],
  [
    'builds an image that is not there',
    input({}, { want: want('A', { image: null }) }),
    ['deploy A to blue: building starting probing switching routing'],
    'progressing',
  ],
  ['does nothing when the wanted revision is live', input(served('blue', 'A')), [], 'live'],
  [
    'leaves the first route to the deployment that goes on, which probes before it',
    input(
      { ...served('blue', 'A'), route: { ...served('blue', 'A').route, site: null, present: false } },
      { memory: memory({ open: open('A', { slot: 'blue', phase: 'switching' }) }) },
    ),
    ['deploy A to blue: routing'],
    'progressing',
  ],
  [
    'takes no update whose files are gone for a first deployment',
    input(
      {
        ...served('green', 'B', container('blue', 'A')),
        route: { site: null, present: false, switches: { blue: null, green: null } },
      },
      { want: want('B'), memory: memory({ open: open('B', { slot: 'green', phase: 'switching' }) }) },
    ),
    ['restore-switch green', 'site', 'deploy B to green: baking'],
    'progressing',
  ],
  [
    'deploys an update to the idle slot and bakes it',
    input(served('blue', 'A'), { want: want('B') }),
    ['deploy B to green: starting probing switching baking'],
    'progressing',
  ],
  [
    'runs the release command of a revision that was never live',
    input(served('blue', 'A'), {
      want: want('B', { project: { ...project, release: { command: ['x'], timeoutMs: 1 } } }),
    }),
    ['deploy B to green: releasing starting probing switching baking'],
    'progressing',
  ],
  [
    'skips the release command of a revision that was live before',
    input(served('blue', 'A'), {
      want: want('B', { project: { ...project, release: { command: ['x'], timeoutMs: 1 } } }),
      memory: memory({ wasLive: ['B', 'A'] }),
    }),
    ['rollback B to green: starting probing switching baking'],
    'progressing',
  ],
  [
    'goes back to a warm previous slot with a probe and a switch',
    input(served('green', 'B', container('blue', 'A'))),
    ['rollback A to blue: probing switching baking'],
    'progressing',
  ],
  [
    'starts a previous slot that died before it goes back to it',
    input(served('green', 'B', container('blue', 'A', { state: 'exited' }))),
    ['rollback A to blue: starting probing switching baking'],
    'progressing',
  ],
  [
    'clears the slot of a previous revision for a newer one',
    input(served('green', 'B', container('blue', 'A')), { want: want('C') }),
    ['deploy C to blue: clearing starting probing switching baking'],
    'progressing',
  ],
  [
    'drains the slot that lost its traffic',
    input(served('green', 'B', container('blue', 'A')), { want: want('B') }),
    ['drain blue'],
    'live',
  ],
  [
    'keeps a drained previous slot warm',
    input(served('green', 'B', container('blue', 'A')), {
      want: want('B'),
      memory: memory(drained('blue', 'A')),
    }),
    [],
    'live',
  ],
  [
    'retires the previous slot when its time is over',
    input(served('green', 'B', container('blue', 'A'), now - 600_000), {
      want: want('B'),
      memory: memory(drained('blue', 'A')),
    }),
    ['remove blue'],
    'live',
  ],
  [
    'makes sure that a candidate that nobody goes on with has nothing in flight',
    input({
      ...served('blue', 'A'),
      containers: [container('blue', 'A', { restartPolicy: 'unless-stopped' }), container('green', 'X')],
    }),
    ['drain green'],
    'live',
  ],
  [
    'does so also where the switch file names another one as the previous',
    input({
      ...served('blue', 'A', container('green', 'P')),
      containers: [container('blue', 'A', { restartPolicy: 'unless-stopped' }), container('green', 'X')],
    }),
    ['drain green'],
    'live',
  ],
  [
    'removes a candidate that nobody goes on with once nothing is in flight',
    input(
      {
        ...served('blue', 'A'),
        containers: [container('blue', 'A', { restartPolicy: 'unless-stopped' }), container('green', 'X')],
      },
      { memory: memory({ drained: { slot: 'green', revision: 'X' } }) },
    ),
    ['remove green'],
    'live',
  ],
  [
    'removes a candidate that does not run at once',
    input({
      ...served('blue', 'A'),
      containers: [
        container('blue', 'A', { restartPolicy: 'unless-stopped' }),
        container('green', 'X', { state: 'exited' }),
      ],
    }),
    ['remove green'],
    'live',
  ],
  [
    'stays where it is after a final failure',
    input(served('blue', 'A'), { want: want('B'), memory: failed('B') }),
    [],
    'failed',
    'BuildFailed',
  ],
  [
    'waits for the time of the next attempt',
    input(served('blue', 'A'), {
      want: want('B'),
      memory: failed('B', { final: false, nextRetryAt: new Date(now + 1).toISOString() }),
    }),
    [],
    'failed',
    'BuildFailed',
  ],
  [
    'tries again when its time has come',
    input(served('blue', 'A'), {
      want: want('B'),
      memory: failed('B', { final: false, nextRetryAt: new Date(now).toISOString() }),
    }),
    ['deploy B to green: starting probing switching baking'],
    'progressing',
  ],
  [
    'forgets a failure that nobody wants any more',
    input(served('blue', 'A'), { memory: failed('B') }),
    ['forget-failure'],
    'live',
  ],
  [
    'keeps a previous slot no longer than its time counts from now, after the clock was set back by years',
    input(served('green', 'B', container('blue', 'A'), now + 86_400_000), {
      want: want('B'),
      memory: memory(drained('blue', 'A')),
    }),
    ['remove blue'],
    'live',
  ],
  [
    'tries what is wanted now as well when the live revision was rejected',
    input(served('green', 'B', container('blue', 'A')), {
      want: want('C'),
      memory: failed('B', { rejected: true, reason: 'BakeFailed' }),
    }),
    ['switch-back blue', 'deploy C to blue: clearing starting probing switching baking'],
    'progressing',
  ],
  [
    'goes back when the live revision was rejected',
    input(served('green', 'B', container('blue', 'A')), {
      want: want('B'),
      memory: failed('B', { rejected: true, reason: 'BakeFailed' }),
    }),
    ['switch-back blue', 'drain blue'],
    'failed',
    'BakeFailed',
  ],
  [
    'removes a rejected slot once it is drained, however long previous ones are kept',
    input(served('blue', 'A', container('green', 'B')), {
      want: want('B'),
      memory: {
        ...failed('B', { rejected: true, reason: 'BakeFailed' }),
        drained: { slot: 'green', revision: 'B' },
      },
    }),
    ['remove green'],
    'failed',
    'BakeFailed',
  ],
  [
    'runs a bake again that a crash cut short',
    input(served('green', 'B', container('blue', 'A')), {
      want: want('B'),
      memory: memory({ open: open('B', { phase: 'baking' }) }),
    }),
    ['deploy B to green: baking'],
    'progressing',
  ],
  [
    'goes on with a candidate that a crash left behind',
    input(
      {
        ...served('blue', 'A'),
        containers: [container('blue', 'A', { restartPolicy: 'unless-stopped' }), container('green', 'B')],
      },
      { want: want('B'), memory: memory({ open: open('B') }) },
    ),
    ['deploy B to green: probing switching baking'],
    'progressing',
  ],
  [
    'closes a deployment that is no longer wanted and lets go of its candidate',
    input(
      {
        ...served('blue', 'A'),
        containers: [container('blue', 'A', { restartPolicy: 'unless-stopped' }), container('green', 'B')],
      },
      { memory: memory({ open: open('B') }) },
    ),
    ['close', 'drain green'],
    'live',
  ],
  [
    'names the stranger that holds a container name',
    input(
      { ...served('blue', 'A'), strangers: { green: { id: 'f00', ours: false, instance: null } } },
      { want: want('B') },
    ),
    [],
    'failed',
    'NameTaken',
  ],
  [
    'names the stranger that holds a container name of another instance',
    input(
      { ...served('blue', 'A'), strangers: { green: { id: 'f00', ours: false, instance: 'other' } } },
      { want: want('B') },
    ),
    [],
    'failed',
    'NameTaken',
  ],
  [
    'brings back a live container that is gone',
    input({ ...served('blue', 'A'), containers: [] }),
    ['recreate blue'],
    'progressing',
  ],
  [
    'brings back a live container also while the newest revision has failed',
    input({ ...served('blue', 'A'), containers: [] }, { want: want('B'), memory: failed('B') }),
    ['recreate blue'],
    'failed',
    'BuildFailed',
  ],
  [
    'starts a live container that stays down',
    input({
      ...served('blue', 'A'),
      containers: [container('blue', 'A', { restartPolicy: 'unless-stopped', state: 'exited' })],
    }),
    ['start blue'],
    'progressing',
  ],
  [
    'brings back the switch file by the restart policy when the whole folder is gone',
    input({ ...served('blue', 'A'), route: { site, present: true, switches: { blue: null, green: null } } }),
    ['restore-switch blue'],
    'progressing',
  ],
  [
    'brings back the switch file by the last switch when the restart policies tell nothing either, and deploys nothing meanwhile',
    input(
      {
        ...served('blue', 'A'),
        containers: [container('blue', 'A', { restartPolicy: 'no' })],
        route: { site, present: true, switches: { blue: null, green: null } },
      },
      {
        want: want('B'),
        memory: memory({
          wasLive: ['A'],
          switched: { at: '2026-01-01T00:00:00.000Z', from: 'green', to: 'blue', revision: 'A' },
        }),
      },
    ),
    ['restore-switch blue'],
    'progressing',
  ],
  [
    'is not misled by a switch file that somebody made',
    input({
      ...served('blue', 'A'),
      route: {
        site,
        present: true,
        switches: { blue: { record: record('blue', 'A', null) }, green: { record: null } },
      },
    }),
    ['settle-switch blue'],
    'progressing',
  ],
  [
    'writes a site file that is gone again',
    input({ ...served('blue', 'A'), route: { ...served('blue', 'A').route, site: null, present: false } }),
    ['site'],
    'progressing',
  ],
  [
    'changes domains without touching a container',
    input(served('blue', 'A'), {
      want: want('A', { project: { ...project, route: { ...project.route, domains: ['new.example.com'] } } }),
    }),
    ['site'],
    'progressing',
  ],
  [
    'leaves the route alone until its own revision is live',
    input(served('blue', 'A'), {
      want: want('B', { project: { ...project, route: { ...project.route, domains: ['new.example.com'] } } }),
      memory: failed('B'),
    }),
    [],
    'failed',
    'BuildFailed',
  ],
  [
    'puts restart policies right',
    input({ ...served('blue', 'A'), containers: [container('blue', 'A')] }),
    ['set-restart-policy blue unless-stopped'],
    'live',
  ],
  [
    'leaves the restart policy of the previous slot until it is drained',
    input(served('green', 'B', container('blue', 'A', { restartPolicy: 'unless-stopped' })), {
      want: want('B'),
      memory: memory({ wasLive: ['A', 'B'] }),
    }),
    ['drain blue'],
    'live',
  ],
  [
    'puts the restart policy of the previous slot right when it is drained',
    input(served('green', 'B', container('blue', 'A', { restartPolicy: 'unless-stopped' })), {
      want: want('B'),
      memory: memory(drained('blue', 'A')),
    }),
    ['set-restart-policy blue no'],
    'live',
  ],
  [
    'puts the restart policy of the previous slot right when it does not run',
    input(
      served('green', 'B', container('blue', 'A', { restartPolicy: 'unless-stopped', state: 'exited' })),
      { want: want('B'), memory: memory({ wasLive: ['A', 'B'] }) },
    ),
    ['set-restart-policy blue no'],
    'live',
  ],
  [
    'puts the restart policy of a candidate right at once',
    input(
      {
        ...served('green', 'B'),
        containers: [
          container('green', 'B', { restartPolicy: 'unless-stopped' }),
          container('blue', 'C', { restartPolicy: 'unless-stopped' }),
        ],
      },
      { want: want('C'), memory: memory({ wasLive: ['B'], open: open('C', { slot: 'blue' }) }) },
    ),
    ['set-restart-policy blue no', 'deploy C to blue: probing switching baking'],
    'progressing',
  ],
  [
    'brings back the switch file by the last switch when both slots restart by themselves, and closes no deployment meanwhile',
    input(bothRestart, {
      want: want('B'),
      memory: memory({
        wasLive: ['A'],
        open: open('B', { phase: 'baking' }),
        switched: { at: '2026-01-01T00:00:00.000Z', from: 'blue', to: 'green', revision: 'B' },
      }),
    }),
    ['restore-switch green'],
    'progressing',
  ],
  [
    'goes by the slot of the last switch, whose container was made again with another revision since',
    input(bothRestart, {
      want: want('B'),
      memory: memory({
        wasLive: ['A'],
        switched: { at: '2026-01-01T00:00:00.000Z', from: 'green', to: 'blue', revision: 'before' },
      }),
    }),
    ['restore-switch blue'],
    'progressing',
  ],
  [
    'brings back the switch file of the newer container when both slots restart by themselves and the journal is lost',
    input(
      {
        ...bothRestart,
        containers: [
          container('blue', 'A', { restartPolicy: 'unless-stopped', createdAt: now - 1_000 }),
          container('green', 'B', { restartPolicy: 'unless-stopped' }),
        ],
      },
      { want: want('B') },
    ),
    ['restore-switch blue'],
    'progressing',
  ],
  [
    'removes neither of two slots that restart by themselves, whatever is wanted',
    input(bothRestart, { want: want('C') }),
    ['restore-switch green'],
    'progressing',
  ],
  [
    'says that a live container crashes over and over',
    input(served('blue', 'A'), { recentExits: 6 }),
    [],
    'failed',
    'CrashLooping',
  ],
  [
    'starts nothing while suspended',
    input(served('blue', 'A'), { want: want('B', { project: { ...project, suspend: true } }) }),
    [],
    'suspended',
  ],
  [
    'repairs no container while suspended',
    input(
      { ...served('blue', 'A'), containers: [] },
      { want: want('A', { project: { ...project, suspend: true } }) },
    ),
    [],
    'suspended',
  ],
  [
    'ends a bake while suspended',
    input(served('green', 'B', container('blue', 'A')), {
      want: want('B', { project: { ...project, suspend: true } }),
      memory: memory({ open: open('B', { phase: 'baking' }) }),
    }),
    ['deploy B to green: baking'],
    'suspended',
  ],
  [
    'keeps what runs when its manifest is invalid',
    input({ ...served('blue', 'A'), containers: [] }, { want: { kind: 'invalid', message: 'bad' } }),
    ['recreate blue'],
    'invalid',
    'ManifestInvalid',
  ],
  [
    'keeps what runs while its removal is held back',
    input(served('blue', 'A'), { want: { kind: 'absent', configCommit: 'c', heldBecause: 'too many' } }),
    [],
    'removing',
    'RemovalHeld',
  ],
  [
    'removes route, containers, network and switch of a project whose manifest is gone',
    input(served('green', 'B', container('blue', 'A')), {
      want: { kind: 'absent', configCommit: 'c', heldBecause: null },
    }),
    ['unroute', 'empty-slots', 'remove blue', 'remove green', 'remove-network', 'clear-switch'],
    'removing',
  ],
  [
    'has nothing to do for a project that is gone',
    input({ network: null }, { want: { kind: 'absent', configCommit: 'c', heldBecause: null } }),
    [],
    'gone',
  ],
  [
    'needs no leave to forget a project of which nothing is there',
    input({ network: null }, { want: { kind: 'absent', configCommit: 'c', heldBecause: 'not looked at' } }),
    [],
    'gone',
  ],
  [
    'keeps an open deployment until it is known what is wanted',
    input(served('blue', 'A', container('green', 'B')), {
      want: { kind: 'unknown', message: 'not read yet' },
      memory: memory({ open: open('B') }),
    }),
    [],
    'live',
  ],
  [
    'pulls an image before it can tell the revision',
    input(
      { network },
      {
        want: {
          kind: 'unpulled',
          project: { ...project, source: { kind: 'image', image: 'nginx:1' } },
          configCommit: 'c',
          tag: 't',
        },
      },
    ),
    ['pull'],
    'progressing',
  ],
  [
    'keeps what runs while its source is unreachable',
    input(served('blue', 'A'), {
      want: { kind: 'unresolved', project, configCommit: 'c', code: 'SourceUnreachable', message: 'down' },
    }),
    [],
    'failed',
    'SourceUnreachable',
  ],
];

describe('planProject', () => {
  it.each(cases)('%s', (_, given, steps, state, code = null) => {
    expect(plan(given)).toEqual({ steps, state, code });
  });

  it('asks to be woken when the previous slot may go', () => {
    const given = input(served('green', 'B', container('blue', 'A')), {
      want: want('B'),
      memory: memory(drained('blue', 'A')),
    });
    expect(planProject(given).wakeAt).toBe(now - 5_000 + 600_000);
  });

  it('asks to be woken for the next attempt', () => {
    const nextRetryAt = new Date(now + 4_000).toISOString();
    const given = input(served('blue', 'A'), {
      want: want('B'),
      memory: failed('B', { final: false, nextRetryAt }),
    });
    expect(planProject(given).wakeAt).toBe(now + 4_000);
  });
});
