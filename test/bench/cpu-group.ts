import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A control group whose processes get the processor only where nobody else wants it. */
export interface CpuGroup {
  /** Its processes have to be gone. */
  remove(): Promise<void>;
}

/** Where control groups stand that know the processor: of version 2, of version 1. */
const roots = ['/sys/fs/cgroup', '/sys/fs/cgroup/cpu'];

/** Whether this machine has idle control groups (Linux 5.15), for root. */
export function hasIdleGroups(): boolean {
  return process.getuid?.() === 0 && rootOf() !== null;
}

/** Puts a process, and those it starts, into an idle control group of its own. */
export async function cpuGroup(pid: number): Promise<CpuGroup> {
  const root = rootOf();
  if (root === null) throw new Error('this machine has no idle control groups');
  const folder = join(root, `bench-${randomBytes(3).toString('hex')}`);
  await mkdir(folder);
  await writeFile(join(folder, 'cpu.idle'), '1');
  await writeFile(join(folder, 'cgroup.procs'), String(pid));
  return { remove: () => rmdir(folder) };
}

/** Version 2 shows the file in every group but the first, so the groups of a machine with systemd tell. */
function rootOf(): string | null {
  return (
    roots.find((root) =>
      ['', 'system.slice', 'init.scope'].some((group) => existsSync(join(root, group, 'cpu.idle'))),
    ) ?? null
  );
}
