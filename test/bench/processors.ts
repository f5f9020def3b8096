import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * What the host of this machine takes for others, from now on: call the result for the share of the
 * processors' time until then, from 0 to 1. 0 on a machine of its own.
 */
export function stolenShare(): () => number {
  const before = timesOf();
  return () => {
    const passed = timesOf().map((time, column) => time - (before[column] ?? 0));
    return (passed[stealColumn] ?? 0) / passed.reduce((sum, time) => sum + time, 0);
  };
}

const stealColumn = 7;

/** All processors: user, nice, system, idle, iowait, irq, softirq, steal; what follows is in user and nice already. */
function timesOf(): readonly number[] {
  const [first = ''] = readFileSync('/proc/stat', 'utf8').split('\n');
  return first.split(/\s+/).slice(1, 9).map(Number);
}

/**
 * Lets everybody else go before this process for the processor: what it does to look and to count would
 * otherwise be in what it measures. What it starts meanwhile does the same. Resolves to what takes it back.
 */
export async function stepBack(): Promise<() => Promise<void>> {
  const become = async (policy: string, sliceMs: number): Promise<void> => {
    const chrt = (asked: string): Promise<boolean> =>
      succeeds(`chrt --all-tasks ${asked} --pid 0 ${process.pid}`);
    // Slices need Linux 6.12 and chrt of util-linux 2.41.
    if (!(await chrt(`${policy} --sched-runtime ${sliceMs * 1_000_000}`))) await chrt(policy);
  };
  await become('--batch', 100);
  return () => become('--other', 0);
}

/** Runs a command without a shell, its parts without spaces. Resolves to whether it could, and ended with 0. */
export function succeeds(command: string): Promise<boolean> {
  const [program = '', ...args] = command.split(' ');
  return run(program, args).then(
    () => true,
    () => false,
  );
}
