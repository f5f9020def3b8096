import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Clock } from '../../src/clock.js';
import type { JournalEntry, JournalRecord } from '../../src/record/port.js';

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'pointsman-record-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export const start = Date.parse('2026-11-20T10:00:00.000Z');

/** A clock that goes on by a second at each look. */
export function tickingClock(): Clock {
  let now = start - 1_000;
  return {
    now: () => (now += 1_000),
    monotonic: () => now,
    sleep: () => Promise.reject(new Error('nothing here sleeps')),
    timer: () => () => undefined,
  };
}

/** Collects what is logged, as `level message`. */
export function collectingLog(): { readonly lines: string[]; info: Say; warn: Say; error: Say } {
  const lines: string[] = [];
  const say =
    (level: string): Say =>
    (_fields: unknown, message?: string) => {
      lines.push(`${level} ${message ?? ''}`);
    };
  return { lines, info: say('info'), warn: say('warn'), error: say('error') };
}
type Say = (fields: unknown, message?: string) => void;

type DeploymentEntry = Extract<JournalEntry, { type: 'deployment' }>;

export function deployment(
  to: DeploymentEntry['to'],
  changes: Partial<Omit<DeploymentEntry, 'type' | 'to'>> = {},
): DeploymentEntry {
  return {
    type: 'deployment',
    project: 'shop',
    deployment: 'd1',
    from: null,
    to,
    revision: 'r1',
    configCommit: 'c1',
    sourceCommit: 's1',
    detail: {},
    ...changes,
  };
}

export function switched(
  from: 'blue' | 'green' | null,
  to: 'blue' | 'green',
  cause: 'deploy' | 'repair' | 'rollback' = 'deploy',
): JournalEntry {
  return {
    type: 'switch',
    project: 'shop',
    deployment: 'd1',
    revision: 'r1',
    configCommit: 'c1',
    sourceCommit: null,
    detail: { from, to, cause, image: 'sha256:1' },
  };
}

/** Records as the journal would number and date them. */
export function recordsOf(entries: readonly JournalEntry[]): JournalRecord[] {
  return entries.map((entry, index) => ({
    version: 1,
    seq: index + 1,
    at: new Date(start + index * 1_000).toISOString(),
    ...entry,
  }));
}
