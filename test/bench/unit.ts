import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { release } from 'node:os';
import { join } from 'node:path';
import { isAtLeast } from '../../src/versions.js';
import { succeeds } from './processors.js';

const unitFile = new URL('../../deploy/systemd/pointsman.service', import.meta.url);

/** What the unit for systemd gives the controller, given to a process here. */
export interface AsUnit {
  /** What of it this machine could not do, and what that means for the figures. */
  readonly notes: readonly string[];
  /** The process and what it started have to be gone. */
  remove(): Promise<void>;
}

/** What the share is written to, by the version of control groups. */
const versions = [
  { root: '/sys/fs/cgroup', file: 'cpu.weight', shareOf: (weight: number): number => weight },
  // By shares, of which everybody has 1,024.
  { root: '/sys/fs/cgroup/cpu', file: 'cpu.shares', shareOf: (weight: number) => Math.round(weight * 10.24) },
];

const noGroup =
  'no control group could be made for the controller: it had the full share of the processor, and requests waited for it more than under the unit for systemd';
const noPolicy =
  'the controller is no batch task, as it is under the unit for systemd: it pushes others from the processor when it wakes';
const noSlices =
  'the controller has the usual slices of the processor, not those of the unit for systemd: they need Linux 6.12 and chrt of util-linux 2.41';

/**
 * Gives a process, and what it starts from then on, the share of the processor, the policy and the slices as
 * the unit for systemd gives them to the controller.
 */
export async function asUnit(pid: number): Promise<AsUnit> {
  const unit = await readFile(unitFile, 'utf8');
  const weight = Number(inUnit(unit, /^CPUWeight=(\d+)$/m));
  const policy = inUnit(unit, /^CPUSchedulingPolicy=(\w+)$/m);
  const slices = inUnit(unit, /^ExecStartPost=-\+\/usr\/bin\/(chrt .*)$/m).replace('$MAINPID', String(pid));
  const group = await groupOf(pid, weight);
  const hasPolicy = await succeeds(`chrt --all-tasks --${policy} --pid 0 ${pid}`);
  // An older kernel takes the slices, and does not use them.
  const hasSlices = (await succeeds(slices)) && isAtLeast(release(), '6.12');
  return {
    notes: [
      ...(group === null ? [noGroup] : []),
      ...(hasPolicy ? [] : [noPolicy]),
      ...(hasSlices ? [] : [noSlices]),
    ],
    remove: async () => group?.remove(),
  };
}

function inUnit(unit: string, line: RegExp): string {
  const value = line.exec(unit)?.[1];
  if (value === undefined) throw new Error(`${unitFile.pathname} has no line ${String(line)}`);
  return value;
}

/** Null where no control group can be made. */
async function groupOf(pid: number, weight: number): Promise<{ remove(): Promise<void> } | null> {
  for (const { root, file, shareOf } of versions) {
    const folder = join(root, `bench-${randomBytes(3).toString('hex')}`);
    try {
      await mkdir(folder);
      // Not made where it is not there: control groups of the other version, or of none.
      await writeFile(join(folder, file), String(shareOf(weight)), { flag: 'r+' });
      await writeFile(join(folder, 'cgroup.procs'), String(pid));
      return { remove: () => rmdir(folder) };
    } catch {
      await rmdir(folder).catch(() => undefined);
    }
  }
  return null;
}
