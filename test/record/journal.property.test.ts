import { readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { openJournal, readJournal } from '../../src/record/journal.js';
import { decodeLine } from '../../src/record/journal-line.js';
import { scanJournal } from '../../src/record/journal-scan.js';
import type { JournalEntry, JournalRecord } from '../../src/record/port.js';
import { collectingLog, deployment, temporaryFolder, tickingClock } from './fixtures.js';

const entries: fc.Arbitrary<JournalEntry> = fc.oneof(
  fc
    .record({ projects: fc.nat(), problems: fc.nat(), previous: fc.option(fc.string({ unit: 'binary' })) })
    .map((detail): JournalEntry => ({ type: 'sync', configCommit: 'c1', detail })),
  fc
    .string({ unit: 'binary' })
    .map((message) => deployment('failed', { detail: { reason: 'StartFailed', message, tail: [message] } })),
  fc.constantFrom('queued' as const, 'baking' as const, 'active' as const).map((to) => deployment(to)),
);

async function write(stateDir: string, list: readonly JournalEntry[]): Promise<Buffer> {
  const journal = await openJournal({ stateDir, clock: tickingClock(), log: collectingLog() });
  await Promise.all(list.map((entry) => journal.append(entry)));
  await journal.close();
  return readFile(join(stateDir, 'journal.jsonl'));
}

const lists = fc.array(entries, { minLength: 1, maxLength: 6 });

it('reopens after a cut at any byte, keeps every record that was whole, and appends', async () => {
  await fc.assert(
    fc.asyncProperty(lists, fc.nat(), async (list, where) => {
      const stateDir = await temporaryFolder();
      const bytes = await write(stateDir, list);
      const cut = where % (bytes.length + 1);
      await writeFile(join(stateDir, 'journal.jsonl'), bytes.subarray(0, cut));
      const whole: JournalRecord[] = [];
      for (const line of bytes.subarray(0, cut).toString('latin1').split('\n')) {
        const decoded = decodeLine(Buffer.from(line, 'latin1'));
        if (decoded.kind === 'record') whole.push(decoded.record);
      }
      // Every line whose end, or whose last byte, lies before the cut.
      const ends = [...bytes.keys()].filter((index) => bytes[index] === 0x0a && index <= cut);
      expect(whole).toHaveLength(ends.length);
      const journal = await openJournal({ stateDir, clock: tickingClock(), log: collectingLog() });
      expect(journal.damage).toBeNull();
      const added = await journal.append(deployment('active', { revision: 'added' }));
      expect(added.seq).toBe(whole.length + 1);
      await journal.close();
      const after: JournalRecord[] = [];
      for await (const record of readJournal(stateDir)) after.push(record);
      expect(after).toEqual([...whole, added]);
      await rm(stateDir, { recursive: true });
    }),
    { numRuns: 150 },
  );
});

it('finds any bit that was flipped', async () => {
  const stateDir = await temporaryFolder();
  await fc.assert(
    fc.asyncProperty(lists, fc.nat(), fc.integer({ min: 0, max: 7 }), async (list, where, bit) => {
      await rm(join(stateDir, 'journal.jsonl'), { force: true });
      const bytes = await write(stateDir, list);
      const original: JournalRecord[] = [];
      scanJournal(bytes, (record) => original.push(record));
      const changed = Buffer.from(bytes);
      changed[where % bytes.length]! ^= 1 << bit;
      const left: JournalRecord[] = [];
      const scan = scanJournal(changed, (record) => left.push(record));
      // The last line end alone stands for nothing: its record is whole, or cut off and kept aside.
      expect(scan.damage !== null || scan.torn !== null).toBe(true);
      for (const record of left) expect(original).toContainEqual(record);
      expect(left.length).toBeLessThan(original.length);
    }),
    { numRuns: 400 },
  );
});

it('leaves nothing but the journal and what it set aside', async () => {
  const stateDir = await temporaryFolder();
  const bytes = await write(stateDir, [deployment('queued'), deployment('active')]);
  bytes[10]! ^= 1;
  await writeFile(join(stateDir, 'journal.jsonl'), Buffer.concat([bytes, Buffer.from('{"ver')]));
  const journal = await openJournal({ stateDir, clock: tickingClock(), log: collectingLog() });
  await journal.close();
  expect((await readdir(stateDir)).map((name) => name.replace(/-2026.*/, '')).sort()).toEqual([
    'journal.damaged',
    'journal.jsonl',
  ]);
});
