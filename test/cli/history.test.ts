import { readFile } from 'node:fs/promises';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, it } from 'vitest';
import { openJournal } from '../../src/record/journal.js';
import type { JournalEntry, JournalRecord } from '../../src/record/port.js';
import { collectingLog, deployment, switched, tickingClock } from '../record/fixtures.js';
import { fullStatus, writeWholeStatus } from '../record/status-fixture.js';
import { cli, temporaryFolder } from './cli.js';

const revision = '7d01aa55c0de';
const story: readonly JournalEntry[] = [
  { type: 'controller', detail: { event: 'started', version: '0.1.0', pid: 42 } },
  { type: 'sync', configCommit: '4f5e6d7c8b9a', detail: { projects: 1, problems: 0, previous: null } },
  deployment('queued', { revision }),
  deployment('building', { revision, from: 'queued' }),
  { ...switched(null, 'blue'), revision } as JournalEntry,
  deployment('active', {
    revision,
    from: 'switching',
    sourceCommit: '0a1b2c3d4e5f',
    detail: { phases: { building: 4_100, probing: 900 } },
  }),
  deployment('failed', {
    project: 'api',
    revision: 'bad',
    configCommit: '4f5e6d7c8b9a',
    sourceCommit: null,
    detail: { reason: 'BuildFailed', message: 'npm ci ended with 1', final: true },
  }),
  { type: 'drift', project: 'shop', detail: { event: 'found', what: 'site file edited' } },
  { type: 'drift', project: 'shop', detail: { event: 'done', what: 'site file edited' } },
  { type: 'previous', project: 'shop', revision, detail: { event: 'drained', slot: 'green', inFlight: 2 } },
  {
    type: 'previous',
    project: 'shop',
    revision,
    detail: { event: 'retired', slot: 'green', inFlight: null },
  },
  { type: 'collect', project: 'shop', detail: { images: ['pointsman/shop:1'] } },
  { type: 'problem', detail: { code: 'RemovalHeld', message: 'two of three projects would go' } },
  { type: 'removal', configCommit: '4f5e6d7c8b9a', detail: { event: 'confirmed' } },
  { type: 'removal', project: 'api', configCommit: '4f5e6d7c8b9a', detail: { event: 'done' } },
  { type: 'retry', project: 'shop', detail: {} },
];

async function folderWith(entries: readonly JournalEntry[], rotateBytes?: number): Promise<string> {
  const stateDir = await temporaryFolder();
  const journal = await openJournal({
    stateDir,
    clock: tickingClock(),
    log: collectingLog(),
    ...(rotateBytes === undefined ? {} : { rotateBytes }),
  });
  for (const entry of entries) await journal.append(entry);
  await journal.close();
  return stateDir;
}

/** Without the times, which depend on the zone. */
const withoutTimes = (out: string): string[] =>
  out
    .trimEnd()
    .split('\n')
    .map((line) => line.slice('2026-11-20 10:00:00  '.length));

it('tells what a person wants to know, newest last', async () => {
  const { code, out } = await cli(['history'], { stateDir: await folderWith(story) });
  expect(code).toBe(0);
  expect(out).toMatch(/^WHEN .*\n\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}/);
  expect(withoutTimes(out)).toEqual([
    'PROJECT  REVISION  COMMIT    TOOK  WHAT',
    '-        -         -         -     controller started (version 0.1.0, pid 42)',
    '-        -         -         -     read config commit 4f5e6d7c: 1 project, 0 problems',
    'shop     7d01aa55  c1        -     traffic to blue (deploy)',
    'shop     7d01aa55  0a1b2c3d  5.0s  active',
    'api      bad       4f5e6d7c  -     failed: BuildFailed: npm ci ended with 1',
    'shop     -         -         -     drift found: site file edited',
    'shop     -         -         -     drift put right: site file edited',
    'shop     7d01aa55  -         -     green drained, 2 still in flight',
    'shop     7d01aa55  -         -     green retired',
    'shop     -         -         -     1 image collected',
    '-        -         -         -     problem RemovalHeld: two of three projects would go',
    '-        -         -         -     removals of config commit 4f5e6d7c confirmed',
    'api      -         -         -     removed',
    'shop     -         -         -     retry asked for',
  ]);
});

it('tells of one project alone', async () => {
  const { out } = await cli(['history', 'api'], { stateDir: await folderWith(story) });
  expect(withoutTimes(out).slice(1)).toEqual([
    'api      bad       4f5e6d7c  -     failed: BuildFailed: npm ci ended with 1',
    'api      -         -         -     removed',
  ]);
});

it('keeps to the newest entries, twenty unless told, across rotated files', async () => {
  const syncs = Array.from({ length: 50 }, (_, n): JournalEntry => ({
    type: 'sync',
    configCommit: `c${n}`,
    detail: { projects: n, problems: 0, previous: null },
  }));
  const stateDir = await folderWith(syncs, 2_000);
  const lines = async (argv: string[]): Promise<string[]> =>
    withoutTimes((await cli(['history', ...argv], { stateDir })).out).slice(1);
  expect(await lines([])).toHaveLength(20);
  expect((await lines([])).at(-1)).toContain('commit c49:');
  expect((await lines(['-n', '3'])).map((line) => /commit (c\d+)/.exec(line)?.[1])).toEqual([
    'c47',
    'c48',
    'c49',
  ]);
});

it('prints records by their schema with --json, phases included', async () => {
  const stateDir = await folderWith(story);
  const schema = JSON.parse(
    await readFile(new URL('../../schemas/journal.schema.json', import.meta.url), 'utf8'),
  ) as object;
  const validate = new Ajv2020({ allowUnionTypes: true }).compile(schema);
  const { out } = await cli(['history', '--json'], { stateDir });
  const records = JSON.parse(out) as JournalRecord[];
  expect(records.map(({ seq }) => seq)).toEqual(story.map((_, index) => index + 1));
  for (const record of records)
    expect(validate({ ...record, crc: '00000000' }), JSON.stringify(validate.errors)).toBe(true);
});

it('says when there is none', async () => {
  expect(await cli(['history'], { stateDir: await temporaryFolder() })).toEqual({
    code: 0,
    out: 'no history\n',
    err: '',
  });
  expect((await cli(['history', '--json'], { stateDir: await temporaryFolder() })).out).toBe('[]\n');
});

it('ends with 1 for a project that neither status nor journal knows', async () => {
  const stateDir = await folderWith(story);
  const none = { code: 1, out: '', err: 'error: there is no project "nope"; there is shop\n' };
  expect(await cli(['history', 'nope'], { stateDir })).toEqual(none);
  expect(await cli(['history', 'nope', '--json'], { stateDir })).toEqual(none);
  await writeWholeStatus(stateDir, fullStatus);
  expect(await cli(['history', 'nope'], { stateDir })).toEqual({
    ...none,
    err: 'error: there is no project "nope"; there are api, shop, web\n',
  });
  expect(await cli(['history', 'web'], { stateDir })).toEqual({ code: 0, out: 'no history\n', err: '' });
  const empty = await cli(['history', 'nope'], { stateDir: await temporaryFolder() });
  expect(empty).toMatchObject({ code: 1, out: '' });
  expect(empty.err).toContain('nothing is known of a project "nope": there is no ');
});

it('still tells of a project that is gone', async () => {
  const { code, out } = await cli(['history', 'api'], { stateDir: await folderWith(story) });
  expect(code).toBe(0);
  expect(out).toContain('npm ci ended with 1');
});

it('lets no message move the cursor', async () => {
  const nasty: JournalEntry = { type: 'problem', detail: { code: 'X', message: 'a\u001b[2Jb\nc' } };
  expect((await cli(['history'], { stateDir: await folderWith([nasty]) })).out).toContain(
    'problem X: ab c\n',
  );
});
