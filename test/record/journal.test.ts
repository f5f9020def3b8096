import { constants } from 'node:fs';
import { copyFile, link, open, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PointsmanError } from '../../src/errors.js';
import { openJournal, readJournal } from '../../src/record/journal.js';
import type { JournalOptions } from '../../src/record/journal.js';
import type { Journal, JournalEntry, JournalRecord } from '../../src/record/port.js';
import { collectingLog, deployment, switched, temporaryFolder, tickingClock } from './fixtures.js';

function opened(stateDir: string, more: Partial<JournalOptions> = {}): Promise<Journal> {
  return openJournal({ stateDir, clock: tickingClock(), log: collectingLog(), ...more });
}

const sync = (n: number): JournalEntry => ({
  type: 'sync',
  configCommit: `c${n}`,
  detail: { projects: n, problems: 0, previous: null },
});

/** A folder with a journal of these entries, closed. */
async function written(
  entries: readonly JournalEntry[],
  more: Partial<JournalOptions> = {},
): Promise<string> {
  const stateDir = await temporaryFolder();
  const journal = await opened(stateDir, more);
  for (const entry of entries) await journal.append(entry);
  await journal.close();
  return stateDir;
}

async function recordsIn(stateDir: string, order?: 'newest-first'): Promise<JournalRecord[]> {
  const records: JournalRecord[] = [];
  for await (const record of readJournal(stateDir, order)) records.push(record);
  return records;
}

const path = (stateDir: string): string => join(stateDir, 'journal.jsonl');
const asideIn = async (stateDir: string, kind: 'torn' | 'damaged'): Promise<string[]> =>
  (await readdir(stateDir)).filter((name) => name.startsWith(`journal.${kind}-`)).sort();

/** A disk that can be told to refuse: `write` after so many bytes, or `sync`. Counts both. */
function disk(): {
  refuse: 'nothing' | 'sync' | { afterBytes: number };
  writes: number;
  syncs: number;
  open: JournalOptions['openFile'];
} {
  const state = {
    refuse: 'nothing' as 'nothing' | 'sync' | { afterBytes: number },
    writes: 0,
    syncs: 0,
    open: undefined as JournalOptions['openFile'],
  };
  const full = (): Error =>
    Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  state.open = async (file, flags, mode) => {
    const handle = await open(file, flags, mode);
    const write = handle.write.bind(handle) as unknown as (
      b: Buffer,
      o: number,
      l: number,
      p: number,
    ) => Promise<{ bytesWritten: number }>;
    const fake = {
      async write(bytes: Buffer, offset: number, length: number, position: number) {
        state.writes += 1;
        if (typeof state.refuse !== 'object') return write(bytes, offset, length, position);
        if (state.refuse.afterBytes === 0) throw full();
        const part = Math.min(length, state.refuse.afterBytes);
        state.refuse = { afterBytes: 0 };
        return write(bytes, offset, part, position);
      },
      async datasync() {
        state.syncs += 1;
        if (state.refuse === 'sync')
          throw Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' });
        await handle.datasync();
      },
      // What went wrong stays wrong: the cut right after a failed write is refused too.
      truncate: (size: number) =>
        state.refuse === 'nothing' ? handle.truncate(size) : Promise.reject(full()),
      stat: () => handle.stat(),
      chmod: (to: number) => handle.chmod(to),
      close: () => handle.close(),
    };
    return fake as unknown as FileHandle;
  };
  return state;
}

describe('appending', () => {
  it('numbers and dates records, and a later opening reads the same ones', async () => {
    const stateDir = await written([sync(1), deployment('queued'), deployment('active')]);
    const records = await recordsIn(stateDir);
    expect(records.map(({ seq, at, type }) => [seq, at, type])).toEqual([
      [1, '2026-11-20T10:00:00.000Z', 'sync'],
      [2, '2026-11-20T10:00:01.000Z', 'deployment'],
      [3, '2026-11-20T10:00:02.000Z', 'deployment'],
    ]);
    const again = await opened(stateDir);
    expect(again.memory.project('shop').wasLive).toEqual(['r1']);
    expect((await again.append(sync(2))).seq).toBe(4);
    expect([again.damage, again.fault]).toEqual([null, null]);
    await again.close();
  });

  it('has memory know a record when the append resolves', async () => {
    const stateDir = await temporaryFolder();
    const journal = await opened(stateDir);
    await journal.append(switched('blue', 'green'));
    expect(journal.memory.project('shop').switched?.to).toBe('green');
    await journal.close();
  });

  it('stores appends of one moment with one fsync, in the order of the calls', async () => {
    const stateDir = await temporaryFolder();
    const counted = disk();
    const journal = await opened(stateDir, { openFile: counted.open! });
    const all = await Promise.all(Array.from({ length: 50 }, (_, n) => journal.append(sync(n))));
    expect(all.map(({ seq }) => seq)).toEqual(Array.from({ length: 50 }, (_, n) => n + 1));
    expect(counted.syncs).toBe(1);
    await journal.close();
    expect(
      (await recordsIn(stateDir)).map((record) => (record as { configCommit: string }).configCommit),
    ).toEqual(Array.from({ length: 50 }, (_, n) => `c${n}`));
  });

  it('lets those who come while a write is in hand share the next one', async () => {
    const stateDir = await temporaryFolder();
    const counted = disk();
    let begun = (): void => undefined;
    const writing = new Promise<void>((resolve) => (begun = resolve));
    const journal = await opened(stateDir, {
      openFile: async (...args) => {
        begun();
        return counted.open!(...args);
      },
    });
    const first = journal.append(sync(1));
    await writing;
    const later = [journal.append(sync(2)), journal.append(sync(3))];
    await Promise.all([first, ...later]);
    expect(counted.syncs).toBe(2);
    await journal.close();
  });

  it('writes nothing that another user may read', async () => {
    const stateDir = await written([sync(1), sync(2)], { rotateBytes: 1 });
    for (const name of await readdir(stateDir)) {
      expect(((await stat(join(stateDir, name))).mode & 0o777).toString(8)).toBe('600');
    }
  });

  it('takes credentials out of addresses', async () => {
    const message = 'cannot fetch https://user:s3cret@git.example.com/a.git';
    const stateDir = await written([{ type: 'problem', detail: { code: 'SourceUnreachable', message } }]);
    const text = await readFile(path(stateDir), 'utf8');
    expect(text).not.toContain('s3cret');
    expect(await recordsIn(stateDir)).toMatchObject([
      { detail: { message: 'cannot fetch https://git.example.com/a.git' } },
    ]);
  });

  it('refuses when it is closed', async () => {
    const journal = await opened(await temporaryFolder());
    await journal.close();
    await expect(journal.append(sync(1))).rejects.toMatchObject({ code: 'JournalUnwritable' });
  });
});

describe('a disk that refuses', () => {
  it.each([
    ['a write refused at once', { afterBytes: 0 }],
    ['a write cut short', { afterBytes: 40 }],
    ['an fsync that fails', 'sync'],
  ] as const)(
    '%s: says so, and goes on without a trace when the disk is well again',
    async (_name, refuse) => {
      const stateDir = await temporaryFolder();
      const faulty = disk();
      const journal = await opened(stateDir, { openFile: faulty.open! });
      await journal.append(sync(1));
      faulty.refuse = typeof refuse === 'object' ? { ...refuse } : refuse;
      const failed = await Promise.allSettled([
        journal.append(switched('blue', 'green')),
        journal.append(sync(2)),
      ]);
      expect(failed.map((one) => (one as PromiseRejectedResult).reason as PointsmanError)).toMatchObject([
        { code: 'JournalUnwritable' },
        { code: 'JournalUnwritable' },
      ]);
      expect(journal.fault).toMatch(/ENOSPC|EIO/);
      expect(journal.memory.project('shop').switched).toBeNull();
      faulty.refuse = 'nothing';
      expect((await journal.append(sync(3))).seq).toBe(2);
      expect(journal.fault).toBeNull();
      await journal.close();
      expect((await recordsIn(stateDir)).map(({ seq }) => seq)).toEqual([1, 2]);
      const again = await opened(stateDir);
      expect(again.damage).toBeNull();
      expect(await asideIn(stateDir, 'torn')).toEqual([]);
      await again.close();
    },
  );

  it('opens where nothing can be written, keeps its memory and says why', async () => {
    const stateDir = await written([deployment('active')]);
    const denied = (): Promise<FileHandle> => Promise.reject(new Error('EROFS: read-only file system, open'));
    const journal = await opened(stateDir, { openFile: denied });
    expect(journal.memory.project('shop').wasLive).toEqual(['r1']);
    await expect(journal.append(sync(1))).rejects.toThrow(/EROFS.*free the disk or mend its permissions/);
    expect(journal.fault).toContain('EROFS');
    await journal.close();
  });

  it('opens without a state directory, and says so at the first append', async () => {
    const journal = await opened(join(await temporaryFolder(), 'gone'));
    await expect(journal.append(sync(1))).rejects.toThrow(/ENOENT/);
    await journal.close();
  });
});

describe('a last line that was cut short', () => {
  it('is cut off and kept aside', async () => {
    const stateDir = await written([sync(1), sync(2)]);
    const bytes = await readFile(path(stateDir));
    await writeFile(path(stateDir), bytes.subarray(0, -20));
    const journal = await opened(stateDir);
    expect(journal.damage).toBeNull();
    const [torn] = await asideIn(stateDir, 'torn');
    expect(bytes.includes(await readFile(join(stateDir, torn!)))).toBe(true);
    expect((await journal.append(sync(3))).seq).toBe(2);
    await journal.close();
    expect((await recordsIn(stateDir)).map(({ seq }) => seq)).toEqual([1, 2]);
  });

  it('counts when only its line end is missing', async () => {
    const stateDir = await written([sync(1), deployment('active')]);
    await writeFile(path(stateDir), (await readFile(path(stateDir))).subarray(0, -1));
    const journal = await opened(stateDir);
    expect(journal.memory.project('shop').wasLive).toEqual(['r1']);
    expect((await journal.append(sync(3))).seq).toBe(3);
    await journal.close();
    expect((await recordsIn(stateDir)).map(({ seq }) => seq)).toEqual([1, 2, 3]);
    expect(await asideIn(stateDir, 'torn')).toEqual([]);
  });

  it('fills no disk, however often it happens', async () => {
    const stateDir = await written([sync(1)]);
    for (let n = 0; n < 8; n += 1) {
      await writeFile(path(stateDir), `torn ${n}`, { flag: 'a' });
      await (await opened(stateDir)).close();
    }
    expect(await asideIn(stateDir, 'torn')).toEqual([5, 6, 7, 8].map((n) => `journal.torn-${n}`));
    expect(await readFile(join(stateDir, 'journal.torn-8'), 'utf8')).toBe('torn 7');
  });
});

describe('a file that is damaged elsewhere', () => {
  async function damaged(
    change: (lines: string[]) => string[],
  ): Promise<{ stateDir: string; journal: Journal; log: string[] }> {
    const stateDir = await written([deployment('active'), sync(1), switched('blue', 'green'), sync(2)]);
    const lines = (await readFile(path(stateDir), 'utf8')).split('\n').slice(0, -1);
    await writeFile(
      path(stateDir),
      change(lines)
        .map((line) => `${line}\n`)
        .join(''),
    );
    const log = collectingLog();
    return { stateDir, journal: await opened(stateDir, { log }), log: log.lines };
  }

  it.each([
    [
      'a changed letter',
      (lines: string[]) => lines.with(1, lines[1]!.replace('"c1"', '"c7"')),
      /line 2: its checksum/,
    ],
    [
      'a line that is no JSON',
      (lines: string[]) => lines.with(1, 'hello'),
      /line 2: it does not end with a checksum/,
    ],
    ['a line lost', (lines: string[]) => lines.toSpliced(1, 1), /line 2: record 3 follows record 1/],
    [
      'lines in another order',
      (lines: string[]) => [lines[1]!, lines[0]!, lines[2]!, lines[3]!],
      /line 2: record 1 follows record 2/,
    ],
    ['an empty line', (lines: string[]) => lines.toSpliced(1, 0, ''), /line 2: it does not end/],
  ])('%s: is set aside, what can be read is carried over', async (_name, change, why) => {
    const { stateDir, journal, log } = await damaged(change);
    expect(journal.damage).toMatch(why);
    expect(log).toContain('error the journal is damaged: set aside');
    const [aside] = await asideIn(stateDir, 'damaged');
    expect(journal.damage).toContain(`set aside as ${aside}`);
    expect(journal.memory.project('shop')).toMatchObject({ wasLive: ['r1'], switched: { to: 'green' } });
    expect((await journal.append(sync(9))).seq).toBe(6);
    await journal.close();
    const again = await opened(stateDir);
    expect([again.damage, again.memory.project('shop').wasLive]).toEqual([null, ['r1']]);
    expect(await recordsIn(stateDir)).toMatchObject([
      { seq: 5, type: 'checkpoint', detail: { reason: 'damaged' } },
      { seq: 6 },
    ]);
    await again.close();
  });

  it('takes the same lines written twice as written once', async () => {
    const { stateDir, journal } = await damaged((lines) => [...lines, lines[2]!, lines[3]!]);
    expect(journal.damage).toBeNull();
    expect((await journal.append(sync(9))).seq).toBe(5);
    await journal.close();
    expect((await recordsIn(stateDir)).map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5]);
    expect((await recordsIn(stateDir, 'newest-first')).map(({ seq }) => seq)).toEqual([5, 4, 3, 2, 1]);
  });

  it('keeps the four newest damaged files', async () => {
    const stateDir = await temporaryFolder();
    const clock = tickingClock();
    for (let n = 0; n < 7; n += 1) {
      await writeFile(path(stateDir), 'no journal\n', { flag: 'a' });
      await (await opened(stateDir, { clock })).close();
    }
    expect(await asideIn(stateDir, 'damaged')).toHaveLength(4);
  });

  it('finds it again when the disk was too full to begin a fresh one, and the controller died', async () => {
    const stateDir = await written([deployment('active'), sync(1)]);
    const bytes = await readFile(path(stateDir));
    bytes[bytes.length - 30]! ^= 1;
    await writeFile(path(stateDir), bytes);
    // As after a crash between keeping the damaged file and replacing it.
    await link(path(stateDir), join(stateDir, 'journal.damaged-2026-11-20T09-00-00.000Z'));
    const journal = await opened(stateDir);
    expect(journal.damage).toMatch(/line 2/);
    expect(journal.memory.project('shop').wasLive).toEqual(['r1']);
    await journal.close();
  });

  it('is not written to when it cannot be read', async () => {
    const stateDir = await temporaryFolder();
    const { mkdir } = await import('node:fs/promises');
    await mkdir(path(stateDir));
    const journal = await opened(stateDir);
    expect(journal.damage).toMatch(/cannot be read/);
    await expect(journal.append(sync(1))).rejects.toMatchObject({ code: 'JournalUnwritable' });
    await rm(path(stateDir), { recursive: true });
    expect((await journal.append(sync(1))).seq).toBe(2);
    await journal.close();
  });
});

describe('rotation', () => {
  it('keeps four full files, all memory, and the order of everything', async () => {
    const stateDir = await temporaryFolder();
    const journal = await opened(stateDir, { rotateBytes: 600 });
    await journal.append(deployment('active'));
    await journal.append({ type: 'removal', configCommit: 'c9', detail: { event: 'confirmed' } });
    for (let n = 1; n <= 40; n += 1) await journal.append(sync(n));
    await journal.close();
    expect((await readdir(stateDir)).sort()).toEqual([
      'journal.1.jsonl',
      'journal.2.jsonl',
      'journal.3.jsonl',
      'journal.4.jsonl',
      'journal.jsonl',
    ]);
    const again = await opened(stateDir);
    expect(again.memory.project('shop').wasLive).toEqual(['r1']);
    expect(again.memory.isConfirmed('c9')).toBe(true);
    await again.close();
    const seqs = (await recordsIn(stateDir)).map(({ seq }) => seq);
    expect(seqs).toEqual(Array.from(seqs, (_, n) => seqs[0]! + n));
    expect(seqs.length).toBeGreaterThan(15);
    expect((await recordsIn(stateDir, 'newest-first')).map(({ seq }) => seq)).toEqual(seqs.toReversed());
  });

  it('does not begin a file for its own checkpoint', async () => {
    const stateDir = await temporaryFolder();
    const journal = await opened(stateDir, { rotateBytes: 500 });
    for (let n = 0; n < 30; n += 1)
      await journal.append(deployment('active', { project: `p${n}`, revision: `r${n}` }));
    const before = (await readFile(path(stateDir), 'utf8')).split('\n').length;
    expect(before).toBeLessThanOrEqual(5);
    expect(journal.memory.projects()).toHaveLength(30);
    await journal.close();
    const again = await opened(stateDir, { rotateBytes: 500 });
    expect(again.memory.projects()).toHaveLength(30);
    await again.close();
  });

  it('ends one that a crash cut short', async () => {
    const stateDir = await written([deployment('active'), sync(1)]);
    await link(path(stateDir), join(stateDir, 'journal.1.jsonl'));
    expect((await recordsIn(stateDir)).map(({ seq }) => seq)).toEqual([1, 2]);
    const journal = await opened(stateDir);
    await journal.append(sync(2));
    await journal.close();
    expect(await readdir(stateDir)).toEqual(['journal.jsonl']);
  });
});

describe('a file that goes away under our feet', () => {
  it.each([
    ['deleted', (file: string) => rm(file)],
    ['moved away', (file: string) => rename(file, `${file}.bak`)],
    ['emptied', (file: string) => writeFile(file, '')],
    [
      'replaced by a copy',
      async (file: string) => {
        await copyFile(file, `${file}.copy`, constants.COPYFILE_EXCL);
        await rename(`${file}.copy`, file);
      },
    ],
  ])('%s: a fresh one has the whole memory', async (_name, change) => {
    const stateDir = await temporaryFolder();
    const journal = await opened(stateDir);
    await journal.append(deployment('active'));
    await change(path(stateDir));
    await journal.append(sync(1));
    await journal.close();
    expect(await recordsIn(stateDir)).toMatchObject([
      { seq: 2, type: 'checkpoint', detail: { reason: 'lost' } },
      { seq: 3 },
    ]);
    const again = await opened(stateDir);
    expect(again.memory.project('shop').wasLive).toEqual(['r1']);
    expect(again.damage).toBeNull();
    await again.close();
  });
});

it('has no records where there is no journal', async () => {
  expect(await recordsIn(await temporaryFolder())).toEqual([]);
});
