import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, it } from 'vitest';
import { openJournal } from '../../src/record/journal.js';
import type { JournalEntry } from '../../src/record/port.js';
import { collectingLog, deployment, switched, temporaryFolder, tickingClock } from './fixtures.js';

async function schema(name: string): Promise<Record<string, unknown>> {
  const text = await readFile(new URL(`../../schemas/${name}.schema.json`, import.meta.url), 'utf8');
  return JSON.parse(text) as Record<string, unknown>;
}

/** One of each type, with every field that it may have. */
const oneOfEach: readonly JournalEntry[] = [
  { type: 'controller', detail: { event: 'started', version: '0.1.0', pid: 42 } },
  { type: 'sync', configCommit: 'c1', detail: { projects: 3, problems: 0, previous: null } },
  { type: 'problem', project: 'shop', detail: { code: 'SecretMissing', message: 'm' } },
  { type: 'problem', detail: { code: 'JournalUnwritable', message: 'm' } },
  deployment('queued', { detail: { slot: 'green', attempt: 1, isRollback: false } }),
  deployment('probing', { from: 'starting', sourceCommit: null }),
  deployment('failed', {
    from: 'probing',
    detail: {
      reason: 'ProbeFailed',
      message: 'm',
      final: false,
      rejected: false,
      nextRetryAt: '2026-11-20T10:00:00.000Z',
      tail: ['a'],
      phases: { probing: 3 },
    },
  }),
  switched('blue', 'green'),
  switched(null, 'blue', 'repair'),
  {
    type: 'previous',
    project: 'shop',
    revision: 'r1',
    detail: { event: 'drained', slot: 'blue', inFlight: null },
  },
  { type: 'drift', detail: { event: 'found', what: 'main configuration' } },
  { type: 'removal', project: 'shop', configCommit: 'c1', detail: { event: 'started' } },
  { type: 'removal', configCommit: 'c1', detail: { event: 'confirmed' } },
  { type: 'collect', project: 'shop', detail: { images: ['pointsman/shop:1'] } },
  { type: 'retry', project: 'shop', detail: {} },
  deployment('baking', { deployment: 'd2', from: 'switching' }),
];

it('describes every line that the journal writes', async () => {
  const stateDir = await temporaryFolder();
  const validate = new Ajv2020({ allowUnionTypes: true }).compile(await schema('journal'));
  const options = { stateDir, clock: tickingClock(), log: collectingLog() };
  const journal = await openJournal(options);
  for (const entry of oneOfEach) await journal.append(entry);
  await journal.close();
  const rotating = await openJournal({ ...options, rotateBytes: 1 });
  await rotating.append(oneOfEach[0]!);
  await rotating.close();
  const texts = await Promise.all(
    ['journal.1.jsonl', 'journal.jsonl'].map((name) => readFile(join(stateDir, name), 'utf8')),
  );
  const lines = texts
    .join('')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as { type: string });
  expect(lines).toHaveLength(oneOfEach.length + 2);
  const known = (await schema('journal'))['oneOf'] as unknown[];
  expect(new Set(lines.map(({ type }) => type)).size).toBe(known.length);
  for (const line of lines) {
    expect(validate(line), `${JSON.stringify(line)}: ${JSON.stringify(validate.errors)}`).toBe(true);
    expect(validate({ ...line, surprise: 1 })).toBe(false);
  }
});

it.each(['status', 'journal'])('says of each field of %s what it means', async (name) => {
  const missing: string[] = [];
  const look = (node: unknown, at: string): void => {
    if (typeof node !== 'object' || node === null) return;
    for (const [key, value] of Object.entries(node)) {
      if (key === 'properties') {
        for (const [field, of] of Object.entries(value as Record<string, Record<string, unknown>>)) {
          if (
            !('description' in of) &&
            !('$ref' in of) &&
            !('oneOf' in of) &&
            !('anyOf' in of) &&
            field !== 'type'
          )
            missing.push(`${at}/${field}`);
        }
      }
      look(value, `${at}/${key}`);
    }
  };
  look(await schema(name), '');
  expect(missing).toEqual([]);
});
