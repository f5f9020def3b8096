import { describe, expect, it } from 'vitest';
import { Memory, applyRecord } from '../../src/record/memory.js';
import { noMemory } from '../../src/record/port.js';
import type { JournalEntry, ProjectMemory } from '../../src/record/port.js';
import { deployment, recordsOf, switched } from './fixtures.js';

function fold(entries: readonly JournalEntry[]): ProjectMemory {
  const memory = new Memory();
  for (const record of recordsOf(entries)) memory.apply(record);
  return memory.project('shop');
}

const failed = (detail: object, changes: object = {}): JournalEntry =>
  deployment('failed', { detail, ...changes });
const removal = (event: 'confirmed' | 'started' | 'done', configCommit = 'c9'): JournalEntry =>
  event === 'confirmed'
    ? { type: 'removal', configCommit, detail: { event } }
    : { type: 'removal', project: 'shop', configCommit, detail: { event } };
const retry: JournalEntry = { type: 'retry', project: 'shop', detail: {} };
const drained: JournalEntry = {
  type: 'previous',
  project: 'shop',
  revision: 'r0',
  detail: { event: 'drained', slot: 'blue', inFlight: 0 },
};
const retired: JournalEntry = {
  type: 'previous',
  project: 'shop',
  revision: 'r0',
  detail: { event: 'retired', slot: 'blue', inFlight: null },
};

const stalled = { reason: 'BuildFailed', message: 'no', attempt: 1, final: true } as const;
const waiting = {
  reason: 'ProbeFailed',
  message: 'late',
  attempt: 2,
  nextRetryAt: '2026-11-20T10:05:00.000Z',
} as const;

describe('what each record does to the memory of a project', () => {
  const table: readonly [string, readonly JournalEntry[], Partial<ProjectMemory>][] = [
    [
      'a first phase opens a deployment',
      [deployment('queued', { detail: { attempt: 3, slot: 'green', isRollback: true } })],
      {
        open: {
          deployment: 'd1',
          revision: 'r1',
          configCommit: 'c1',
          sourceCommit: 's1',
          phase: 'queued',
          slot: 'green',
          attempt: 3,
          isRollback: true,
          startedAt: '2026-11-20T10:00:00.000Z',
        },
      },
    ],
    [
      'a later phase keeps what was said before, and when it began',
      [
        deployment('queued', { detail: { attempt: 3, slot: 'green' } }),
        deployment('baking', { from: 'switching' }),
      ],
      {
        open: {
          deployment: 'd1',
          revision: 'r1',
          configCommit: 'c1',
          sourceCommit: 's1',
          phase: 'baking',
          slot: 'green',
          attempt: 3,
          isRollback: false,
          startedAt: '2026-11-20T10:00:00.000Z',
        },
      },
    ],
    [
      'active closes it and remembers that the revision was live',
      [deployment('probing'), deployment('active', { detail: { phases: { probing: 5 } } })],
      {
        open: null,
        wasLive: ['r1'],
        last: {
          deployment: 'd1',
          revision: 'r1',
          outcome: 'active',
          phases: { probing: 5 },
          startedAt: '2026-11-20T10:00:00.000Z',
          finishedAt: '2026-11-20T10:00:01.000Z',
        },
      },
    ],
    [
      'a revision that is live again counts once, as the newest',
      ['r1', 'r2', 'r1'].map((revision) => deployment('active', { revision })),
      { wasLive: ['r2', 'r1'] },
    ],
    [
      'failed keeps attempts and the time of the next one',
      [deployment('starting', { detail: { attempt: 2 } }), failed(waiting)],
      {
        open: null,
        failure: {
          revision: 'r1',
          deployment: 'd1',
          reason: 'ProbeFailed',
          message: 'late',
          attempts: 2,
          final: false,
          rejected: false,
          nextRetryAt: '2026-11-20T10:05:00.000Z',
        },
      },
    ],
    [
      'a final failure has no next attempt',
      [failed({ ...stalled, nextRetryAt: '2026-11-20T10:05:00.000Z' })],
      {
        failure: {
          revision: 'r1',
          deployment: 'd1',
          reason: 'BuildFailed',
          message: 'no',
          attempts: 1,
          final: true,
          rejected: false,
          nextRetryAt: null,
        },
      },
    ],
    [
      'attempts are counted where the record does not say',
      [
        deployment('queued'),
        failed({ reason: 'ProbeFailed', message: 'a' }),
        deployment('queued', { deployment: 'd2' }),
        failed({ reason: 'ProbeFailed', message: 'b' }, { deployment: 'd2' }),
      ],
      {
        failure: {
          revision: 'r1',
          deployment: 'd2',
          reason: 'ProbeFailed',
          message: 'b',
          attempts: 2,
          final: false,
          rejected: false,
          nextRetryAt: null,
        },
      },
    ],
    [
      'a rejection counts from the record that says so, before the deployment ends',
      [
        deployment('baking'),
        deployment('switching', {
          from: 'baking',
          detail: { rejected: true, reason: 'BakeFailed', message: '502' },
        }),
      ],
      {
        failure: {
          revision: 'r1',
          deployment: 'd1',
          reason: 'BakeFailed',
          message: '502',
          attempts: 1,
          final: true,
          rejected: true,
          nextRetryAt: null,
        },
      },
    ],
    [
      'rolled back keeps the reason that its rejection gave',
      [
        deployment('baking'),
        deployment('switching', {
          from: 'baking',
          detail: { rejected: true, reason: 'ContainerExited', message: 'gone' },
        }),
        deployment('rolled-back', { from: 'switching' }),
      ],
      {
        open: null,
        wasLive: [],
        failure: {
          revision: 'r1',
          deployment: 'd1',
          reason: 'ContainerExited',
          message: 'gone',
          attempts: 1,
          final: true,
          rejected: true,
          nextRetryAt: null,
        },
      },
    ],
    [
      'a rejection stays one when switching back failed',
      [
        deployment('switching', { detail: { rejected: true, reason: 'BakeFailed', message: '502' } }),
        failed({ reason: 'SwitchFailed', message: 'nginx' }),
      ],
      {
        failure: {
          revision: 'r1',
          deployment: 'd1',
          reason: 'SwitchFailed',
          message: 'nginx',
          attempts: 1,
          final: true,
          rejected: true,
          nextRetryAt: null,
        },
      },
    ],
    [
      'cancelled leaves the failure of the revision',
      [
        failed(stalled),
        deployment('queued', { deployment: 'd2' }),
        deployment('cancelled', { deployment: 'd2' }),
      ],
      {
        open: null,
        failure: {
          revision: 'r1',
          deployment: 'd1',
          reason: 'BuildFailed',
          message: 'no',
          attempts: 1,
          final: true,
          rejected: false,
          nextRetryAt: null,
        },
      },
    ],
    [
      'another revision forgets the failure',
      [failed(stalled), deployment('queued', { deployment: 'd2', revision: 'r2' })],
      { failure: null },
    ],
    [
      'one that becomes active forgets the failure',
      [failed(stalled), deployment('active', { deployment: 'd2', revision: 'r2' })],
      { failure: null },
    ],
    ['retry forgets the failure', [failed(stalled), retry], { failure: null }],
    [
      'an outcome of another deployment leaves the open one',
      [deployment('probing', { deployment: 'd2' }), deployment('cancelled')],
      { open: expect.objectContaining({ deployment: 'd2' }) as never },
    ],
    [
      'a switch is remembered',
      [switched('blue', 'green')],
      { switched: { at: '2026-11-20T10:00:00.000Z', from: 'blue', to: 'green', revision: 'r1' } },
    ],
    [
      'a repair that moves nothing is not a switch',
      [switched('blue', 'green'), switched('green', 'green', 'repair'), switched(null, 'green', 'repair')],
      { switched: { at: '2026-11-20T10:00:00.000Z', from: 'blue', to: 'green', revision: 'r1' } },
    ],
    [
      'a repair that moves traffic is one',
      [switched('blue', 'green'), switched('green', 'blue', 'repair')],
      { switched: { at: '2026-11-20T10:00:01.000Z', from: 'green', to: 'blue', revision: 'r1' } },
    ],
    [
      'a drained previous is remembered',
      [switched('blue', 'green'), drained],
      { drained: { slot: 'blue', revision: 'r0' } },
    ],
    ['retired forgets the drain', [switched('blue', 'green'), drained, retired], { drained: null }],
    [
      'retired forgets nothing of the other slot',
      [
        switched('blue', 'green'),
        drained,
        { ...retired, detail: { event: 'retired', slot: 'green', inFlight: null } } as JournalEntry,
      ],
      { drained: { slot: 'blue', revision: 'r0' } },
    ],
    [
      'a switch forgets the drain',
      [switched('blue', 'green'), drained, switched('green', 'blue')],
      { drained: null },
    ],
    ['removal started keeps everything', [deployment('active'), removal('started')], { wasLive: ['r1'] }],
    ['removal done forgets the project', [deployment('active'), failed(stalled), removal('done')], noMemory],
    [
      'history changes nothing',
      [
        { type: 'problem', project: 'shop', detail: { code: 'X', message: 'y' } },
        { type: 'drift', project: 'shop', detail: { event: 'found', what: 'site file' } },
        { type: 'collect', project: 'shop', detail: { images: [] } },
      ],
      noMemory,
    ],
  ];
  it.each(table)('%s', (_name, entries, expected) => {
    expect(fold(entries)).toMatchObject(expected);
  });
});

describe('the bounds of memory', () => {
  it('keeps the fifty newest revisions that were live', () => {
    const entries = Array.from({ length: 60 }, (_, n) =>
      deployment('active', { revision: `r${n}`, deployment: `d${n}` }),
    );
    const { wasLive } = fold(entries);
    expect(wasLive).toHaveLength(50);
    expect([wasLive[0], wasLive.at(-1)]).toEqual(['r10', 'r59']);
  });

  it('keeps the twenty newest confirmed commits', () => {
    const memory = new Memory();
    for (const record of recordsOf(Array.from({ length: 25 }, (_, n) => removal('confirmed', `c${n}`))))
      memory.apply(record);
    expect([memory.isConfirmed('c4'), memory.isConfirmed('c5'), memory.isConfirmed('c24')]).toEqual([
      false,
      true,
      true,
    ]);
    expect(memory.state().confirmed).toHaveLength(20);
  });

  it('cuts a message that has no end', () => {
    expect(fold([failed({ ...stalled, message: 'x'.repeat(9_000) })]).failure?.message).toHaveLength(2_000);
  });

  it('holds no project that a removal ended', () => {
    const memory = new Memory();
    for (const record of recordsOf([deployment('active'), removal('done'), retry])) memory.apply(record);
    expect(memory.projects()).toEqual([]);
  });
});

it('leaves the memory it was given as it was', () => {
  const [record] = recordsOf([deployment('active')]);
  const before = Object.freeze({ ...noMemory, wasLive: Object.freeze(['r0']) });
  expect(applyRecord(before, record!)).not.toBe(before);
  expect(before.wasLive).toEqual(['r0']);
});

it('carries everything over a checkpoint', () => {
  const entries = [
    failed(stalled),
    switched('blue', 'green'),
    drained,
    deployment('active', { deployment: 'd2' }),
    deployment('baking', { deployment: 'd3' }),
    removal('confirmed'),
  ];
  const memory = new Memory();
  for (const record of recordsOf(entries)) memory.apply(record);
  const restored = new Memory();
  const state = JSON.parse(JSON.stringify(memory.state())) as ReturnType<Memory['state']>;
  for (const record of recordsOf([
    deployment('active', { project: 'other' }),
    { type: 'checkpoint', detail: { reason: 'rotated', memory: state } },
  ]))
    restored.apply(record);
  expect(restored.state()).toEqual(memory.state());
  expect(restored.projects()).toEqual(['shop']);
});

it('passes over a record of a type that it does not know', () => {
  const [record] = recordsOf([deployment('active')]);
  const unknown = { ...record!, type: 'later' } as unknown as Parameters<typeof applyRecord>[1];
  expect(applyRecord(noMemory, unknown)).toBe(noMemory);
});
