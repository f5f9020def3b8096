/** What a disk does to a journal: zeroed sectors, flipped bits, a tail written twice, cuts. Every place is tried. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openJournal, readJournal } from '../../src/record/journal.js';
import { scanJournal } from '../../src/record/journal-scan.js';
import type { Scan } from '../../src/record/journal-scan.js';
import type { JournalRecord } from '../../src/record/port.js';
import { collectingLog, deployment, switched, temporaryFolder, tickingClock } from './fixtures.js';

const options = (stateDir: string) => ({ stateDir, clock: tickingClock(), log: collectingLog() });

/** A journal with `rounds` deployments in it. */
async function journalOf(rounds: number): Promise<Buffer> {
  const stateDir = await temporaryFolder();
  const journal = await openJournal(options(stateDir));
  for (let round = 0; round < rounds; round += 1) {
    const of = { deployment: `d${round}`, revision: `r${round}` };
    await journal.append(deployment('queued', of));
    await journal.append(switched(round % 2 === 0 ? 'blue' : 'green', round % 2 === 0 ? 'green' : 'blue'));
    await journal.append(deployment('active', of));
  }
  await journal.close();
  return readFile(join(stateDir, 'journal.jsonl'));
}

function read(bytes: Buffer): {
  readonly scan: Scan;
  readonly seqs: readonly number[];
  readonly records: readonly JournalRecord[];
} {
  const records: JournalRecord[] = [];
  const scan = scanJournal(bytes, (record) => records.push(record));
  return { scan, seqs: records.map(({ seq }) => seq), records };
}

interface Line {
  readonly seq: number;
  readonly start: number;
  /** Behind its line end. */
  readonly end: number;
}

function linesOf(bytes: Buffer): readonly Line[] {
  const lines: Line[] = [];
  for (let start = 0; start < bytes.length;) {
    const end = bytes.indexOf(0x0a, start) + 1;
    lines.push({ seq: lines.length + 1, start, end });
    start = end;
  }
  return lines;
}

/** Opened by a controller: what can be read is kept, the next record comes behind all of it, and the file is sound again. */
async function expectMended(damaged: Buffer): Promise<void> {
  const stateDir = await temporaryFolder();
  await writeFile(join(stateDir, 'journal.jsonl'), damaged);
  const { scan, seqs, records } = read(damaged);
  const journal = await openJournal(options(stateDir));
  expect(journal.damage === null).toBe(scan.damage === null);
  const wasLive = records.flatMap((record) =>
    record.type === 'deployment' && record.to === 'active' ? [record.revision] : [],
  );
  expect(journal.memory.project('shop').wasLive).toEqual(wasLive);
  const added = await journal.append(deployment('queued', { revision: 'next' }));
  expect(added.seq).toBeGreaterThan(Math.max(0, ...seqs));
  await journal.close();
  const after: JournalRecord[] = [];
  for await (const record of readJournal(stateDir)) after.push(record);
  expect(after.at(-1)).toEqual(added);
  const again = await openJournal(options(stateDir));
  expect([again.damage, again.memory.project('shop').wasLive]).toEqual([null, wasLive]);
  await again.close();
}

describe.each([512, 4096])('a sector of %i bytes that reads as zeros', (size) => {
  it('is found wherever it lies, and costs the records in it alone', async () => {
    const bytes = await journalOf(24);
    expect(bytes.length).toBeGreaterThan(3 * 4096);
    for (let start = 0; start < bytes.length; start += size) {
      const damaged = Buffer.from(bytes).fill(0, start, Math.min(start + size, bytes.length));
      const { scan, seqs } = read(damaged);
      expect(scan.damage !== null || scan.torn !== null).toBe(true);
      const spared = linesOf(bytes).filter((line) => line.end <= start || line.start >= start + size);
      // What follows the zeros in their last line cannot be told from it.
      const first = spared.find((line) => line.start === start + size);
      expect(seqs).toEqual(spared.filter((line) => line !== first).map(({ seq }) => seq));
      await expectMended(damaged);
    }
  });

  it('is cut off where it follows the last record', async () => {
    const bytes = await journalOf(3);
    const damaged = Buffer.concat([bytes, Buffer.alloc(size)]);
    const { scan, seqs } = read(damaged);
    expect([scan.damage, scan.torn?.length, seqs.length]).toEqual([null, size, 9]);
    await expectMended(damaged);
  });
});

it('finds every single bit that is flipped, and loses what it touches alone', async () => {
  const bytes = await journalOf(3);
  const whole = read(bytes).records;
  for (let index = 0; index < bytes.length; index += 1) {
    for (let bit = 0; bit < 8; bit += 1) {
      bytes[index]! ^= 1 << bit;
      const { scan, records } = read(bytes);
      bytes[index]! ^= 1 << bit;
      if (scan.damage === null && scan.torn === null)
        throw new Error(`bit ${bit} of byte ${index} is not found`);
      // A line end that is gone takes the line behind it along.
      if (records.length < whole.length - 2)
        throw new Error(`byte ${index} loses ${whole.length - records.length}`);
      for (const record of records)
        if (JSON.stringify(record) !== JSON.stringify(whole[record.seq - 1]))
          throw new Error(`bit ${bit} of byte ${index} makes another record of ${record.seq}`);
    }
  }
});

it('takes a tail that stands there twice for one, from wherever it was written again', async () => {
  const bytes = await journalOf(3);
  const starts = new Set(linesOf(bytes).map(({ start }) => start));
  for (let from = 0; from < bytes.length; from += 1) {
    const { scan, seqs } = read(Buffer.concat([bytes, bytes.subarray(from)]));
    expect(seqs).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    // The last line end by itself makes an empty line.
    expect([from, scan.damage === null]).toEqual([from, starts.has(from)]);
  }
  for (const from of starts) await expectMended(Buffer.concat([bytes, bytes.subarray(from)]));
});

it('keeps every whole record when it is cut at any byte, and goes on behind it', async () => {
  const bytes = await journalOf(1);
  const lines = linesOf(bytes);
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    const damaged = bytes.subarray(0, cut);
    const { scan, seqs } = read(damaged);
    expect(scan.damage).toBeNull();
    expect(seqs).toEqual(lines.filter(({ end }) => end - 1 <= cut).map(({ seq }) => seq));
    await expectMended(damaged);
  }
});
