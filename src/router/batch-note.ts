import { readFile } from 'node:fs/promises';
import { replaceFile } from '../files.js';
import { isProjectName } from './layout.js';

/** Project → the text of its site file, null where that is to go. */
export type BatchNote = ReadonlyMap<string, string | null>;

/** Writes down, durably, which site files are about to be put in place together. */
export async function noteBatch(path: string, batch: BatchNote): Promise<void> {
  await replaceFile(path, JSON.stringify(Object.fromEntries(batch)), 0o600);
}

/** Null when there is none. One that somebody damaged is empty: each site file is looked at anyway. */
export async function readBatchNote(path: string): Promise<BatchNote | null> {
  try {
    const noted = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown> | null;
    return new Map(Object.entries(noted ?? {}).filter(isSite));
  } catch (error) {
    if (error instanceof SyntaxError) return new Map();
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function isSite(entry: [string, unknown]): entry is [string, string | null] {
  return isProjectName(entry[0]) && (entry[1] === null || typeof entry[1] === 'string');
}
