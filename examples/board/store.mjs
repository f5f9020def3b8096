// Notes in a file of the volume. During a switch two versions of this application use it at the same
// time, so a note is one appended line and nothing is ever rewritten in place.
import { appendFile, open, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const folder = process.env.DATA_DIR ?? '/data';
const notesFile = join(folder, 'notes.jsonl');
const schemaFile = join(folder, 'schema.json');

/** The layout of the volume that this code needs. */
export const neededSchema = 1;

/** The layout that the volume has; 0 for a new volume. */
export async function currentSchema() {
  try {
    return JSON.parse(await readFile(schemaFile, 'utf8')).version;
  } catch (error) {
    if (error.code === 'ENOENT') return 0;
    throw error;
  }
}

/** Brings the volume to the layout this code needs. Running it again changes nothing. */
export async function migrate() {
  const from = await currentSchema();
  if (from >= neededSchema) return { from, to: from };
  await appendFile(notesFile, '');
  const temporary = `${schemaFile}.${process.pid}.tmp`;
  await writeFile(temporary, `${JSON.stringify({ version: neededSchema })}\n`);
  await rename(temporary, schemaFile);
  return { from, to: neededSchema };
}

export async function addNote(text, version) {
  await appendFile(notesFile, `${JSON.stringify({ at: new Date().toISOString(), text, version })}\n`);
}

/** Whole lines from `offset` on (at most 1 MiB), and the offset to go on from. */
export async function readNotes(offset) {
  const { size } = await stat(notesFile);
  const length = Math.min(size - offset, 1_048_576);
  if (length <= 0) return { notes: [], offset };
  const handle = await open(notesFile);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, offset);
    const end = buffer.subarray(0, bytesRead).lastIndexOf(0x0a) + 1;
    const lines = buffer.subarray(0, end).toString('utf8').split('\n').filter(Boolean);
    return { notes: lines.map((line) => JSON.parse(line)), offset: offset + end };
  } finally {
    await handle.close();
  }
}
