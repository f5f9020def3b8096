/** Runs histories for `simulate.mjs` and `planted.mjs`: every `stride`th seed from `first`, until one fails, time is up, or `last` is done. */
import { runHistory } from './history.js';
import type { HistoryResult } from './history.js';

interface Job {
  readonly first: number;
  readonly last: number;
  readonly stride: number;
  readonly steps: number;
  readonly untilMs: number;
  /** The first failure is enough: it is not made shorter. */
  readonly quick?: boolean;
}

const job = JSON.parse(process.argv[2] ?? '{}') as Job;
const totals = { histories: 0, steps: 0, faults: 0, effects: 0 };
/** Of each history, in order, where there are few. */
const digests: string[] = [];
let failure: HistoryResult | null = null;
for (
  let seed = job.first;
  seed <= job.last && failure === null && Date.now() < job.untilMs;
  seed += job.stride
) {
  const result = await runHistory(seed, job.steps);
  totals.histories += 1;
  totals.steps += result.steps;
  totals.faults += result.faults;
  totals.effects += result.effects;
  if (digests.length < 100) digests.push(result.digest);
  if (result.violations.length > 0) failure = job.quick === true ? result : await shrink(result);
}
process.stdout.write(`${JSON.stringify({ totals, digests, failure })}\n`, () => process.exit(0));

/** The shortest beginning of the history that still fails: its steps do not depend on how many follow. */
async function shrink(failed: HistoryResult): Promise<HistoryResult> {
  for (let steps = 0; steps < failed.steps; steps += 1) {
    const shorter = await runHistory(failed.seed, steps);
    if (shorter.violations.length > 0) return shorter;
  }
  return failed;
}
