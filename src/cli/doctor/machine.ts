import { existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isAtLeast } from '../../versions.js';
import { fail, ok, warn } from './finding.js';
import type { Finding } from './finding.js';

const leastNode = '20.19';
/** Less free space than this fails; less than four times as much is worth a word. */
const leastFreeBytes = 512 * 1024 ** 2;
/** This Pointsman did not exist before. */
const earliest = Date.parse('2026-01-01T00:00:00Z');

export function checkNode(version: string): Finding {
  if (isAtLeast(version, leastNode)) return ok('machine', `Node.js ${version}`);
  return fail(
    'machine',
    `Node.js ${version} is older than ${leastNode}`,
    `install Node.js ${leastNode} or later`,
  );
}

/** Free space where `path` is, or will be. */
export async function checkDisk(path: string): Promise<Finding> {
  let folder = path;
  while (!existsSync(folder) && folder !== dirname(folder)) folder = dirname(folder);
  const { bavail, blocks, bsize, ffree, files } = await statfs(folder);
  // As /proc, where no folder can be made: the permissions tell.
  if (blocks === 0) return ok('machine', `${folder} has no limit of space that could be told`);
  const free = bavail * bsize;
  const mend = 'make room: "docker system df" tells what images and build caches take';
  if (free < leastFreeBytes) return fail('machine', `${size(free)} left for ${path}`, mend);
  if (files > 0 && ffree < 10_000)
    return fail('machine', `${ffree} files can still be made for ${path}`, mend);
  if (free < 4 * leastFreeBytes)
    return warn('machine', `${size(free)} left for ${path}: a build may fill that`, mend);
  return ok('machine', `${size(free)} left for ${path}`);
}

function size(bytes: number): string {
  const gib = bytes / 1024 ** 3;
  return gib < 1 ? `${Math.round(bytes / 1024 ** 2)} MiB` : `${gib.toFixed(1)} GiB`;
}

export interface ClockFacts {
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** When the newest status was written, by this clock; null without one. */
  readonly newestStatusAt: number | null;
  /** What the machine's time service says; null when none is there to be asked. */
  readonly isSynchronised: boolean | null;
}

export function checkClock({ now, newestStatusAt, isSynchronised }: ClockFacts): Finding {
  const mend = 'set the clock and keep it: "timedatectl set-ntp true", or install chrony';
  const text = new Date(now).toISOString();
  if (now < earliest)
    return fail('machine', `the clock says ${text}: certificates and retries depend on it`, mend);
  if (newestStatusAt !== null && newestStatusAt > now + 60_000) {
    return warn(
      'machine',
      `the clock says ${text}, but the status was written later than that: it went back`,
      mend,
    );
  }
  if (isSynchronised === false)
    return warn('machine', `the clock says ${text}, and no time server has confirmed it`, mend);
  return ok('machine', `the clock says ${text}`);
}

/** From systemd-timesyncd's own files; null where it does not run. */
export function isClockSynchronised(): boolean | null {
  if (!existsSync('/run/systemd/timesync')) return null;
  return existsSync('/run/systemd/timesync/synchronized');
}
