import { readFile, readdir } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

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

/** SIGTERM, and SIGKILL after `withinMs`. Resolves when the process is gone; gone already is fine. */
export async function endProcess(pid: number, withinMs = 5_000): Promise<void> {
  const until = performance.now() + withinMs;
  let signal: 'SIGTERM' | 0 = 'SIGTERM';
  while (send(pid, signal)) {
    if (performance.now() > until) send(pid, 'SIGKILL');
    if (performance.now() > until + 5_000) throw new Error(`process ${pid} does not end`);
    signal = 0;
    await delay(20);
  }
}

/** False when there is no such process. */
function send(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}
