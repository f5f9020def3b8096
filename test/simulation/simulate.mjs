/**
 * `npm run simulate [-- --seed N --steps M] [--from F --histories H --minutes T]`: seeded histories of the
 * whole controller on a simulated world. Without a seed: seeds 1 (or F) to 20,000 (or H) or 10 minutes,
 * whichever is less, on two cores. With one: exactly that history, its trace printed when it fails.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { bundle } from './bundle.mjs';
import { run } from './run-worker.mjs';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    steps: { type: 'string', default: '20' },
    from: { type: 'string', default: '1' },
    histories: { type: 'string', default: '20000' },
    minutes: { type: 'string', default: '10' },
  },
});
const folder = await mkdtemp(join(fileURLToPath(new URL('.', import.meta.url)), '.build-'));
try {
  process.exitCode = await simulate(join(folder, 'worker.mjs'));
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function simulate(program) {
  await bundle('test/simulation/worker.ts', program);
  const started = Date.now();
  const steps = Number(values.steps);
  const untilMs = started + Number(values.minutes) * 60_000;
  const one = values.seed === undefined ? null : Number(values.seed);
  const workers = one === null ? Math.min(2, availableParallelism()) : 1;
  const jobs = Array.from({ length: workers }, (_none, index) => ({
    first: one ?? Number(values.from) + index,
    last: one ?? Number(values.histories),
    stride: workers,
    steps,
    untilMs: one === null ? untilMs : Number.MAX_SAFE_INTEGER,
  }));
  const results = await Promise.all(jobs.map((job) => run(program, job)));
  const sum = (key) => results.reduce((total, { totals }) => total + totals[key], 0);
  const seconds = ((Date.now() - started) / 1000).toFixed(0);
  console.log(
    `simulated ${sum('histories')} histories, ${sum('steps')} steps, ${sum('faults')} faults injected, ${sum('effects')} effects, in ${seconds} s`,
  );
  const failures = results.flatMap(({ failure }) => (failure === null ? [] : [failure]));
  for (const { seed, steps: fewest, violations, trace } of failures) {
    console.error(`\nseed ${seed} fails (again with: npm run simulate -- --seed ${seed} --steps ${fewest})`);
    console.error([...trace.slice(-60), ...violations].join('\n'));
  }
  console.log(`invariants broken: ${failures.length}`);
  return failures.length === 0 && sum('histories') > 0 ? 0 : 1;
}
