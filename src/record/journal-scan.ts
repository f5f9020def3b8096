import { decodeLine } from './journal-line.js';
import type { JournalRecord } from './port.js';

/** What one journal file holds. Records go to `onRecord` as they are met, damaged lines left out. */
export interface Scan {
  /** Complete records, duplicates not counted. */
  readonly records: number;
  /** The highest sequence number; 0 without any record. */
  readonly lastSeq: number;
  /** Bytes up to the end of the last good record, its line end included where it has one. */
  readonly end: number;
  /** The last record is whole but its line end is missing. */
  readonly needsLineEnd: boolean;
  /** Bytes of a first line that is a checkpoint: what a fresh file starts with. */
  readonly checkpointBytes: number;
  /** Bytes after the last line end that are no record: a write that was cut short. */
  readonly torn: Buffer | null;
  /** The first thing wrong before the last line end, with its line number; null when all is sound. */
  readonly damage: string | null;
}

const lineEnd = 0x0a;

/**
 * Reads a whole file. Sequence numbers go up by one; a line that stands there again, byte for byte
 * (a write that was repeated), is passed over.
 */
export function scanJournal(bytes: Buffer, onRecord: (record: JournalRecord) => void): Scan {
  const seen = new Map<number, string>();
  const found = { lastSeq: 0, end: 0, needsLineEnd: false, checkpointBytes: 0 };
  let damage: string | null = null;
  let torn: Buffer | null = null;
  let line = 0;
  for (let start = 0; start < bytes.length;) {
    line += 1;
    const newline = bytes.indexOf(lineEnd, start);
    const whole = newline !== -1;
    const text = bytes.subarray(start, whole ? newline : bytes.length);
    const next = whole ? newline + 1 : bytes.length;
    const decoded = decodeLine(text);
    if (decoded.kind === 'damaged' && !whole) {
      torn = text;
      break;
    }
    if (decoded.kind === 'damaged') {
      damage ??= `line ${line}: ${decoded.why}`;
    } else {
      const { record } = decoded;
      // The checksum stands for the line's bytes.
      const checksum = text.toString('latin1', text.length - 10, text.length - 2);
      if (seen.get(record.seq) !== checksum) {
        damage ??= disorder(line, found.lastSeq, record.seq, seen.size);
        seen.set(record.seq, checksum);
        found.lastSeq = Math.max(found.lastSeq, record.seq);
        if (line === 1 && record.type === 'checkpoint') found.checkpointBytes = next;
        onRecord(record);
      }
      found.end = next;
      found.needsLineEnd = !whole;
    }
    start = next;
  }
  return { ...found, records: seen.size, torn, damage };
}

function disorder(line: number, lastSeq: number, seq: number, before: number): string | null {
  if (before === 0 || seq === lastSeq + 1) return null;
  return `line ${line}: record ${seq} follows record ${lastSeq}`;
}
