import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const unitFile = new URL('../../deploy/systemd/pointsman.service', import.meta.url);

/** A control group of a process and of what it starts from then on. */
export interface CpuGroup {
  /** Its processes have to be gone. */
  remove(): Promise<void>;
}

/** What the share is written to, by the version of control groups. */
const versions = [
  { root: '/sys/fs/cgroup', file: 'cpu.weight', shareOf: (weight: number): number => weight },
  // By shares, of which everybody has 1,024.
  { root: '/sys/fs/cgroup/cpu', file: 'cpu.shares', shareOf: (weight: number) => Math.round(weight * 10.24) },
];

/**
 * Gives a process the share of the processor that the unit for systemd gives the controller. Null where
 * no control group can be made.
 */
export async function unitCpuGroup(pid: number): Promise<CpuGroup | null> {
  const weight = /^CPUWeight=(\d+)$/m.exec(await readFile(unitFile, 'utf8'))?.[1];
  if (weight === undefined) throw new Error(`${unitFile.pathname} has no CPUWeight`);
  for (const { root, file, shareOf } of versions) {
    const folder = join(root, `bench-${randomBytes(3).toString('hex')}`);
    try {
      await mkdir(folder);
      // Not made where it is not there: control groups of the other version, or of none.
      await writeFile(join(folder, file), String(shareOf(Number(weight))), { flag: 'r+' });
      await writeFile(join(folder, 'cgroup.procs'), String(pid));
      return { remove: () => rmdir(folder) };
    } catch {
      await rmdir(folder).catch(() => undefined);
    }
  }
  return null;
}
