import { readFile, readdir } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { childrenOf, commandLine } from '../../src/router/process-table.js';

export interface RunningProcess {
  readonly pid: number;
  /** Arguments, separated by spaces. */
  readonly command: string;
}

/** Processes of this machine whose command line names something in `folder`. */
export async function processesOf(folder: string): Promise<readonly RunningProcess[]> {
  const found: RunningProcess[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    // A process may end while we look.
    const command = (await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => ''))
      .replaceAll('\0', ' ')
      .trim();
    if (Number(entry) !== process.pid && command.includes(`${folder}/`))
      found.push({ pid: Number(entry), command });
  }
  return found;
}

/** The workers of an nginx, in order of their pids; those that only finish what they had before a reload left out. */
export async function workersOf(master: number): Promise<readonly number[]> {
  const children = await childrenOf(master);
  return children.filter((pid) => commandLine(pid) === 'nginx: worker process').sort((a, b) => a - b);
}

/** SIGTERM, and SIGKILL after `withinMs`. Resolves when the process has ended; gone already is fine. */
export async function endProcess(pid: number, withinMs = 5_000): Promise<void> {
  const until = performance.now() + withinMs;
  send(pid, 'SIGTERM');
  while (await isRunning(pid)) {
    if (performance.now() > until) send(pid, 'SIGKILL');
    if (performance.now() > until + 5_000) throw new Error(`process ${pid} does not end`);
    await delay(20);
  }
}

/** False for one that has ended, although nobody has asked how (a zombie). */
export async function isRunning(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
  return stat !== null && stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) !== 'Z';
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
