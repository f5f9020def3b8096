import { readFileSync } from 'node:fs';

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
