import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { ValidateFunction } from 'ajv';
import { systemClock } from '../clock.js';
import type { Clock } from '../clock.js';
import { messageOf, redact } from '../errors.js';
import { replaceFile } from '../files.js';
import { loadSchema } from '../schemas.js';
import type { ProjectStatus, Status } from './status.generated.js';

/** Older than this, a status says nothing about now: the controller writes at least every 10 s. */
export const staleAfterMs = 30_000;

export function statusFile(stateDir: string): string {
  return join(stateDir, 'status.json');
}

/** All of a status but its projects. */
export type StatusHead = Omit<Status, 'projects'>;

/**
 * Replaces the status file: a reader sees this status or the one before, complete. Readable by the
 * controller's user and group (0640). User and password are taken out of every URL. `projects`: the
 * `projectEntry` of each. A power cut may take the file: the next start writes it anew.
 * @throws what the file system says
 */
export async function writeStatus(
  stateDir: string,
  head: StatusHead,
  projects: readonly Buffer[],
): Promise<void> {
  const [first, ...others] = projects;
  const start = Buffer.from(`${redacted(head).slice(0, -1)},"projects":{`);
  const text = Buffer.concat([start, first?.subarray(1) ?? nothing, ...others, end]);
  await replaceFile(statusFile(stateDir), text, 0o640, false);
}

const nothing = Buffer.alloc(0);
const end = Buffer.from('}}\n');

/** What the status file says of one project, which most writes say again: a comma, its name and what follows, in UTF-8. */
export function projectEntry(name: string, project: ProjectStatus): Buffer {
  const text = `,${JSON.stringify(name)}:${redacted(project)}`;
  // Not `Buffer.from`: it stays for long, and would hold on to the 8 KiB that it shares with others.
  const entry = Buffer.allocUnsafeSlow(Buffer.byteLength(text));
  entry.write(text);
  return entry;
}

/** What was given to `projectEntry`, without user and password in URLs. */
export function parseProjectEntry(entry: Buffer): ProjectStatus {
  const [status] = Object.values(
    JSON.parse(`{${entry.toString('utf8', 1)}}`) as Record<string, ProjectStatus>,
  );
  if (status === undefined) throw new Error('an entry names one project');
  return status;
}

function redacted(value: object): string {
  return JSON.stringify(value, (_key, each: unknown) => (typeof each === 'string' ? redact(each) : each));
}

export type StatusReading =
  | {
      readonly kind: 'status';
      readonly status: Status;
      /** Milliseconds since it was written, never below 0. */
      readonly ageMs: number;
      /** Older than 30 s. */
      readonly isStale: boolean;
    }
  | { readonly kind: 'missing'; readonly message: string }
  | { readonly kind: 'unreadable'; readonly message: string };

/** Reads the status file; never rejects. `message` says how to mend it. */
export async function readStatus(
  stateDir: string,
  clock: Pick<Clock, 'now'> = systemClock,
): Promise<StatusReading> {
  const path = statusFile(stateDir);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') {
      return {
        kind: 'missing',
        message: `there is no ${path}: no controller has run here; start one with "pointsman run"`,
      };
    }
    if (code === 'EACCES') {
      return {
        kind: 'unreadable',
        message: `${path} may not be read: run this as the user that runs the controller`,
      };
    }
    return { kind: 'unreadable', message: `${path} cannot be read: ${messageOf(error)}` };
  }
  const status = parse(text);
  if (typeof status === 'string') {
    return {
      kind: 'unreadable',
      message: `${path} is not a status (${status}): a running controller replaces it within 10 s`,
    };
  }
  const ageMs = Math.max(clock.now() - Date.parse(status.writtenAt), 0);
  return { kind: 'status', status, ageMs, isStale: ageMs > staleAfterMs };
}

/** The status, or what is wrong with the text. */
function parse(text: string): Status | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'not JSON';
  }
  const isStatus = validator();
  if (isStatus(value)) return value;
  const [first] = isStatus.errors ?? [];
  return `${first?.instancePath ?? ''} ${first?.message ?? ''}`.trim();
}

let compiled: ValidateFunction<Status> | undefined;

function validator(): ValidateFunction<Status> {
  compiled ??= new Ajv2020({ allowUnionTypes: true }).compile<Status>(loadSchema('status'));
  return compiled;
}
