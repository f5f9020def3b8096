import { copyFile, link, open, readdir, rename, stat, unlink, writeFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFolder } from '../files.js';
import { decodeLine } from './journal-line.js';
import type { JournalRecord } from './port.js';

/** Full files kept beside the current one: `journal.1.jsonl` (newest) to `journal.4.jsonl`. */
const mostRotated = 4;
/** Cut-off ends and damaged files kept, of each kind. */
const mostAside = 4;

export function currentFile(stateDir: string): string {
  return join(stateDir, 'journal.jsonl');
}

function rotatedFile(stateDir: string, number: number): string {
  return join(stateDir, `journal.${number}.jsonl`);
}

/**
 * Keeps the current file as `journal.1.jsonl` too, the older ones one number further, the oldest
 * dropped. The current name stays in place throughout, so that a crash finds it. Safe to repeat.
 */
export async function keepCurrent(stateDir: string): Promise<void> {
  if (await isKeptTwice(stateDir)) return;
  for (let number = mostRotated; number > 1; number -= 1) {
    await rename(rotatedFile(stateDir, number - 1), rotatedFile(stateDir, number)).catch(ignoreMissing);
  }
  await keepAs(currentFile(stateDir), rotatedFile(stateDir, 1));
  await syncFolder(stateDir);
}

/** Ends a rotation that a crash cut short between keeping the old file and putting the new one in its place. */
export async function settleRotation(stateDir: string): Promise<void> {
  if (await isKeptTwice(stateDir)) await unlink(rotatedFile(stateDir, 1));
}

async function isKeptTwice(stateDir: string): Promise<boolean> {
  const [current, first] = await Promise.all([inode(currentFile(stateDir)), inode(rotatedFile(stateDir, 1))]);
  return current !== null && current === first;
}

/** `<device>:<inode>`; null when there is no such file. */
async function inode(path: string): Promise<string | null> {
  try {
    const found = await stat(path);
    return `${found.dev}:${found.ino}`;
  } catch (error) {
    ignoreMissing(error);
    return null;
  }
}

/**
 * Keeps the current file as `name` too, which should start with `journal.damaged-`; the newest few are
 * kept. Its own name stays in place until a fresh file replaces it. Safe to repeat; no file is fine.
 */
export async function setAside(stateDir: string, name: string): Promise<void> {
  await keepAs(currentFile(stateDir), join(stateDir, name)).catch(ignoreMissing);
  const aside = await namesWith(stateDir, 'journal.damaged-');
  await dropAll(stateDir, aside.sort().slice(0, -mostAside));
  await syncFolder(stateDir);
}

/** A second name for `path`; a copy where the file system has no hard links. */
async function keepAs(path: string, name: string): Promise<void> {
  try {
    await link(path, name);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    if (code === 'ENOENT') throw error;
    await copyFile(path, name);
  }
}

/** Writes the cut-off end of a file to `journal.torn-<n>`; the newest few are kept. Resolves to the name. */
export async function keepTorn(stateDir: string, bytes: Buffer): Promise<string> {
  const numbers = (await namesWith(stateDir, 'journal.torn-'))
    .map((name) => Number(name.slice('journal.torn-'.length)))
    .filter((number) => Number.isSafeInteger(number))
    .sort((a, b) => a - b);
  const name = `journal.torn-${(numbers.at(-1) ?? 0) + 1}`;
  await writeFile(join(stateDir, name), bytes, { mode: 0o600 });
  await dropAll(
    stateDir,
    numbers.slice(0, Math.max(numbers.length - mostAside + 1, 0)).map((number) => `journal.torn-${number}`),
  );
  return name;
}

async function namesWith(stateDir: string, prefix: string): Promise<string[]> {
  return (await readdir(stateDir)).filter((name) => name.startsWith(prefix));
}

async function dropAll(stateDir: string, names: readonly string[]): Promise<void> {
  for (const name of names) await unlink(join(stateDir, name)).catch(ignoreMissing);
}

export function ignoreMissing(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}

/**
 * Every record that can be read, of the kept files too; damaged lines are left out and repeated ones
 * come once. For reading beside a running controller: it needs no lock. No journal at all: no records.
 */
export async function* readJournal(
  stateDir: string,
  order: 'oldest-first' | 'newest-first' = 'oldest-first',
): AsyncGenerator<JournalRecord> {
  const files = await openAll(stateDir);
  if (order === 'oldest-first') files.reverse();
  try {
    for (const file of files) {
      const bytes = await file.readFile();
      const seen = new Set<string>();
      for (const line of order === 'oldest-first' ? linesForward(bytes) : linesBackward(bytes)) {
        const decoded = decodeLine(line);
        if (decoded.kind === 'damaged') continue;
        const identity = `${decoded.record.seq} ${line.toString('latin1', line.length - 10)}`;
        if (seen.has(identity)) continue;
        seen.add(identity);
        yield decoded.record;
      }
    }
  } finally {
    for (const file of files) await file.close();
  }
}

/** All journal files, newest first. Held open before any is read, so that a rotation meanwhile loses and doubles nothing. */
async function openAll(stateDir: string): Promise<FileHandle[]> {
  const names = [currentFile(stateDir)];
  for (let number = 1; number <= mostRotated; number += 1) names.push(rotatedFile(stateDir, number));
  const files: FileHandle[] = [];
  const seen = new Set<number>();
  try {
    for (const name of names) {
      const file = await open(name, 'r').catch(ignoreMissing);
      if (file === undefined) continue;
      files.push(file);
      const { ino } = await file.stat();
      if (seen.has(ino)) await files.pop()?.close();
      seen.add(ino);
    }
  } catch (error) {
    for (const file of files) await file.close();
    throw error;
  }
  return files;
}

function* linesForward(bytes: Buffer): Generator<Buffer> {
  for (let start = 0; start < bytes.length;) {
    const newline = bytes.indexOf(0x0a, start);
    const end = newline === -1 ? bytes.length : newline;
    yield bytes.subarray(start, end);
    start = end + 1;
  }
}

function* linesBackward(bytes: Buffer): Generator<Buffer> {
  let end = bytes.at(-1) === 0x0a ? bytes.length - 1 : bytes.length;
  while (end > 0) {
    const newline = bytes.lastIndexOf(0x0a, end - 1);
    yield bytes.subarray(newline + 1, end);
    end = newline;
  }
}
