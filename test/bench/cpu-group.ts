import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const unitFile = new URL('../../deploy/systemd/pointsman.service', import.meta.url);

/** A control group of a process and of what it starts from then on. */
export interface CpuGroup {
  /** Its processes have to be gone. */
  remove(): Promise<void>;
}

/**
 * Gives a process the share of the processor that the unit for systemd gives the controller. Null where
 * this machine has no control groups that this user may make.
 */
export async function unitCpuGroup(pid: number): Promise<CpuGroup | null> {
  const weight = Number(/^CPUWeight=(\d+)$/m.exec(await readFile(unitFile, 'utf8'))?.[1]);
  const name = `bench-${randomBytes(3).toString('hex')}`;
  for (const { root, file, value } of [
    { root: '/sys/fs/cgroup', file: 'cpu.weight', value: weight },
    // Version 1 says the same by shares, of which everybody has 1,024.
    { root: '/sys/fs/cgroup/cpu', file: 'cpu.shares', value: Math.round((weight * 1024) / 100) },
  ]) {
    const folder = join(root, name);
    const made = await mkdir(folder).then(
      () => true,
      () => false,
    );
    if (!made) continue;
    if (existsSync(join(folder, file))) {
      await writeFile(join(folder, file), String(value));
      await writeFile(join(folder, 'cgroup.procs'), String(pid));
      return { remove: () => rmdir(folder) };
    }
    await rmdir(folder);
  }
  return null;
}
