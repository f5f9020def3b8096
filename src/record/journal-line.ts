import { crc32 } from 'node:zlib';
import { redact } from '../errors.js';
import type { JournalRecord } from './port.js';

/** `,"crc":"0a1b2c3d"}` */
const suffixPattern = /^,"crc":"([0-9a-f]{8})"\}$/;
const suffixLength = 18;

/**
 * One record as a line without its end, and as a later reading of that line gives it. `crc`, always
 * the last field, is the CRC-32 in lower-case hex of the line as it would be without that field.
 * User and password are taken out of every URL.
 */
export function encodeLine(record: JournalRecord): { readonly line: string; readonly record: JournalRecord } {
  const body = JSON.stringify(record, (_key, value: unknown) =>
    typeof value === 'string' ? redact(value) : value,
  );
  const line = `${body.slice(0, -1)},"crc":"${checksum(Buffer.from(body))}"}`;
  return { line, record: JSON.parse(body) as JournalRecord };
}

export type DecodedLine =
  | { readonly kind: 'record'; readonly record: JournalRecord }
  | { readonly kind: 'damaged'; readonly why: string };

/** Reads what `encodeLine` wrote. Any changed bit is found. */
export function decodeLine(line: Buffer): DecodedLine {
  const suffix = suffixPattern.exec(line.toString('latin1', Math.max(line.length - suffixLength, 0)));
  if (suffix === null) return { kind: 'damaged', why: 'it does not end with a checksum' };
  const body = Buffer.concat([line.subarray(0, -suffixLength), closingBrace]);
  if (checksum(body) !== suffix[1]) return { kind: 'damaged', why: 'its checksum does not match' };
  const record = parse(body);
  if (record === null) return { kind: 'damaged', why: 'it is not a JSON object' };
  if (record.version !== 1) {
    return {
      kind: 'damaged',
      why: `its version is ${JSON.stringify(record.version)}, this Pointsman reads 1`,
    };
  }
  if (!Number.isSafeInteger(record.seq)) return { kind: 'damaged', why: 'it has no sequence number' };
  return { kind: 'record', record: record as unknown as JournalRecord };
}

const closingBrace = Buffer.from('}');

function checksum(bytes: Buffer): string {
  return crc32(bytes).toString(16).padStart(8, '0');
}

function parse(body: Buffer): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
