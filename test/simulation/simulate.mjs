/** `npm run simulate [-- OPTIONS]`: seeded histories of the whole controller on a simulated world. */
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { wholeFrom } from '../support/arguments.mjs';
import { bundle } from './bundle.mjs';
import { run } from './run-worker.mjs';

const options = new Command('npm run simulate --')
  .description('Seeded histories of the whole controller on a simulated world, on two cores.')
  .option('--seed <n>', 'exactly this history; its trace is printed when it fails', wholeFrom(0))
  .option('--steps <n>', 'steps of a history', wholeFrom(1), 20)
  .option('--from <n>', 'the first seed', wholeFrom(0), 1)
  .option('--histories <n>', 'the last seed', wholeFrom(1), 20_000)
  .option('--minutes <n>', 'begin no history after so many', wholeFrom(1), 10)
  .parse()
  .opts();
const folder = await mkdtemp(join(fileURLToPath(new URL('.', import.meta.url)), '.build-'));
try {
  process.exitCode = await simulate(join(folder, 'worker.mjs'));
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function simulate(program) {
  await bundle('test/simulation/worker.ts', program);
  const started = Date.now();
  const { steps, seed, from, histories, minutes } = options;
  const untilMs = started + minutes * 60_000;
  const one = seed ?? null;
  const workers = one === null ? Math.min(2, availableParallelism()) : 1;
  const jobs = Array.from({ length: workers }, (_none, index) => ({
    first: one ?? from + index,
    last: one ?? histories,
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
