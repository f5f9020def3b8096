/**
 * The journal: JSON lines in `<stateDir>/journal.jsonl`, each with a checksum, each durable before
 * the effect it announces.
 *
 * The file goes through these states:
 *   sound    appended to at its end; a write that failed is cut back before the next one
 *   to begin a fresh file has to be put in its place first, opened by a checkpoint of the whole
 *            memory: because the old one is full, was found damaged, or is not there any more
 *
 * Whatever goes wrong with the disk is kept in `fault`; every later append tries again from the start.
 */
import { constants } from 'node:fs';
import { open, readFile, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import type { Clock } from '../clock.js';
import { PointsmanError, messageOf } from '../errors.js';
import { replaceFile, syncFolder } from '../files.js';
import type { Logger } from '../log.js';
import {
  currentFile,
  ignoreMissing,
  keepCurrent,
  keepTorn,
  setAside,
  settleRotation,
} from './journal-files.js';
import { encodeLine } from './journal-line.js';
import { scanJournal } from './journal-scan.js';
import type { Scan } from './journal-scan.js';
import { Memory } from './memory.js';
import type { CheckpointDetail, Journal, JournalEntry, JournalMemory, JournalRecord } from './port.js';

export { readJournal } from './journal-files.js';

export interface JournalOptions {
  /** Must exist. */
  readonly stateDir: string;
  readonly clock: Clock;
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>;
  /** Bytes after which a fresh file is begun; 64 MiB when left out. */
  readonly rotateBytes?: number;
  /** Opens the file for writing; `open` of node:fs when left out. */
  readonly openFile?: (path: string, flags: number, mode: number) => Promise<FileHandle>;
}

const defaultRotateBytes = 64 * 1024 * 1024;
const mode = 0o600;

/**
 * Opens the journal, or begins one. A file that is damaged is set aside and its readable records are
 * kept in memory; `damage` says so. Never rejects for what is wrong with the disk: `fault` has it.
 * The caller holds the lock of the state directory.
 */
export async function openJournal(options: JournalOptions): Promise<Journal> {
  const journal = new FileJournal(options);
  await journal.load();
  return journal;
}

interface Waiting {
  readonly entry: JournalEntry;
  readonly at: string;
  readonly resolve: (record: JournalRecord) => void;
  readonly reject: (error: PointsmanError) => void;
}

class FileJournal implements Journal {
  readonly #options: JournalOptions;
  readonly #path: string;
  readonly #memory = new Memory();
  #waiting: Waiting[] = [];
  #writing: Promise<void> | null = null;
  #closed = false;
  #fault: string | null = null;
  #damage: string | null = null;

  #file: FileHandle | null = null;
  #inode: number | null = null;
  /** Bytes of the file that count: everything behind them is left from a write that failed. */
  #size = 0;
  #checkpointBytes = 0;
  #needsLineEnd = false;
  #lastSeq = 0;
  /** Set while a fresh file has to be begun; `aside` is where a file that stands in its place goes. */
  #toBegin: { readonly reason: CheckpointDetail['reason']; readonly aside: string } | null = null;

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#path = currentFile(options.stateDir);
  }

  get memory(): JournalMemory {
    return this.#memory;
  }

  get fault(): string | null {
    return this.#fault;
  }

  get damage(): string | null {
    return this.#damage;
  }

  append(entry: JournalEntry): Promise<JournalRecord> {
    if (this.#closed) return Promise.reject(new PointsmanError('JournalUnwritable', 'the journal is closed'));
    const at = new Date(this.#options.clock.now()).toISOString();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ entry, at, resolve, reject });
      this.#writing ??= this.#writeAll();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#writing;
    await this.#file?.close();
    this.#file = null;
  }

  /** Reads the file that is there and folds it into memory. */
  async load(): Promise<void> {
    const { stateDir, log } = this.#options;
    try {
      await settleRotation(stateDir);
      const bytes = await readFile(this.#path).catch(ignoreMissing);
      if (bytes === undefined) return;
      this.#inode = (await stat(this.#path)).ino;
      const scan = scanJournal(bytes, (record) => this.#memory.apply(record));
      this.#lastSeq = scan.lastSeq;
      this.#size = scan.end;
      this.#needsLineEnd = scan.needsLineEnd;
      this.#checkpointBytes = scan.checkpointBytes;
      if (scan.damage !== null) await this.#leaveDamaged(scan, scan.damage);
      else if (scan.torn !== null) {
        const file = await keepTorn(stateDir, scan.torn);
        log.warn({ file, bytes: scan.torn.length }, 'the last line of the journal was cut short: kept aside');
        await this.#ready();
      }
    } catch (error) {
      const why = this.#failed(error);
      if (this.#inode !== null) return;
      // A file that cannot be read may hold anything: never write behind it.
      const aside = this.#asideName();
      this.#damage = `journal.jsonl cannot be read: ${why}; the next record goes to a fresh file, this one becomes ${aside}`;
      this.#toBegin = { reason: 'damaged', aside };
    }
  }

  async #leaveDamaged(scan: Scan, why: string): Promise<void> {
    const aside = this.#asideName();
    this.#damage = `journal.jsonl, ${why}; set aside as ${aside}, ${scan.records} records could be read`;
    this.#options.log.error({ file: aside, records: scan.records, why }, 'the journal is damaged: set aside');
    this.#toBegin = { reason: 'damaged', aside };
    await this.#ready();
  }

  #asideName(): string {
    return `journal.damaged-${new Date(this.#options.clock.now()).toISOString().replaceAll(':', '-')}`;
  }

  /** Writes until nobody waits. Everybody who waits when a write begins shares it. */
  async #writeAll(): Promise<void> {
    // Appends of the same turn come into the first write too.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        const records = await this.#writeBatch(batch);
        this.#fault = null;
        records.forEach((record, index) => {
          this.#memory.apply(record);
          batch[index]?.resolve(record);
        });
      } catch (cause) {
        const message = this.#failed(cause);
        await this.#abandon();
        const text = `the journal ${this.#path} cannot be written: ${message}; free the disk or mend its permissions`;
        for (const { reject } of batch) reject(new PointsmanError('JournalUnwritable', text, { cause }));
      }
    }
    this.#writing = null;
  }

  async #writeBatch(batch: readonly Waiting[]): Promise<readonly JournalRecord[]> {
    const { rotateBytes = defaultRotateBytes, clock } = this.#options;
    if (this.#toBegin === null && this.#size - this.#checkpointBytes >= rotateBytes) {
      this.#toBegin = { reason: 'rotated', aside: this.#asideName() };
    }
    const file = await this.#ready();
    const encoded = batch.map(({ entry, at }, index) =>
      encodeLine({ version: 1, seq: this.#lastSeq + 1 + index, at, ...entry }),
    );
    const lines = encoded.map(({ line }) => `${line}\n`).join('');
    const bytes = Buffer.from(this.#needsLineEnd ? `\n${lines}` : lines);
    const started = clock.monotonic();
    for (let done = 0; done < bytes.length;) {
      done += (await file.write(bytes, done, bytes.length - done, this.#size + done)).bytesWritten;
    }
    await file.datasync();
    this.#size += bytes.length;
    this.#needsLineEnd = false;
    this.#lastSeq += batch.length;
    const ms = Math.round(clock.monotonic() - started);
    if (ms > 1_000)
      this.#options.log.warn({ ms, bytes: bytes.length }, 'the disk is slow to store the journal');
    // What memory sees is what a later opening will read.
    return encoded.map(({ record }) => record);
  }

  /** Takes back what a failed write may have left. Where that fails as well, `#ready` does it before the next append. */
  async #abandon(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    if (file === null) return;
    await file.truncate(this.#size).catch(() => undefined);
    await file.close().catch(() => undefined);
  }

  /** Notes why the disk refused. */
  #failed(error: unknown): string {
    const message = messageOf(error);
    if (this.#fault !== message) this.#options.log.error({ err: error }, 'the journal cannot be written');
    this.#fault = message;
    return message;
  }

  /** The file, open, in its place, and no longer than what counts. */
  async #ready(): Promise<FileHandle> {
    const found = await stat(this.#path).catch(ignoreMissing);
    const fresh = found === undefined && this.#inode === null;
    const lost = !fresh && (found === undefined || found.ino !== this.#inode || found.size < this.#size);
    if (lost && this.#toBegin === null) {
      this.#options.log.error({}, 'the journal was taken away or replaced: beginning a fresh one');
      this.#toBegin = { reason: 'lost', aside: this.#asideName() };
    }
    if (this.#toBegin !== null) await this.#begin(this.#toBegin);
    const file = (this.#file ??= await this.#open(fresh && this.#toBegin === null));
    const { size, ino } = await file.stat();
    this.#inode = ino;
    if (size > this.#size) await file.truncate(this.#size);
    return file;
  }

  async #open(fresh: boolean): Promise<FileHandle> {
    const { openFile = open, stateDir } = this.#options;
    const file = await openFile(this.#path, constants.O_RDWR | (fresh ? constants.O_CREAT : 0), mode);
    try {
      await file.chmod(mode);
      // Also one that is there: who made it may have died before its name was on disk.
      await syncFolder(stateDir);
    } catch (error) {
      await file.close();
      throw error;
    }
    return file;
  }

  /** Puts a fresh file with the whole memory as its first record in the place of the old one. */
  async #begin(why: { readonly reason: CheckpointDetail['reason']; readonly aside: string }): Promise<void> {
    const { stateDir, clock, log } = this.#options;
    await this.#file?.close();
    this.#file = null;
    if (why.reason === 'rotated') await keepCurrent(stateDir);
    else await setAside(stateDir, why.aside);
    const seq = this.#lastSeq + 1;
    const at = new Date(clock.now()).toISOString();
    const detail = { reason: why.reason, memory: this.#memory.state() };
    const line = Buffer.from(`${encodeLine({ version: 1, seq, at, type: 'checkpoint', detail }).line}\n`);
    await replaceFile(this.#path, line, mode);
    this.#toBegin = null;
    this.#lastSeq = seq;
    this.#size = line.length;
    this.#checkpointBytes = line.length;
    this.#needsLineEnd = false;
    this.#inode = (await stat(this.#path)).ino;
    log.info({ reason: why.reason }, 'began a fresh journal file');
  }
}
