/** `npm run simulate:enumerated [-- OPTIONS]`: every scenario with every fault at every effect, and pairs of crashes. */
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { wholeFrom } from '../support/arguments.mjs';
import { bundle } from './bundle.mjs';
import { run } from './run-worker.mjs';

const options = new Command('npm run simulate:enumerated --')
  .description(
    'Every scenario with every fault at every effect, and pairs of crashes, on two cores. Leaves nothing out but for want of time.',
  )
  .option('--every <n>', 'one of so many single faults', wholeFrom(1), 1)
  .option('--pairs <n>', 'one of so many pairs', wholeFrom(1), 1)
  .option('--minutes <n>', 'begin nothing after so many', wholeFrom(1), 60)
  .parse()
  .opts();
const folder = await mkdtemp(join(fileURLToPath(new URL('.', import.meta.url)), '.build-'));
try {
  const program = join(folder, 'enumerated.mjs');
  await bundle('test/simulation/enumerated.ts', program);
  const untilMs = Date.now() + options.minutes * 60_000;
  const shares = [0, 1].map((share) => ({
    share,
    shares: 2,
    every: options.every,
    pairsEvery: options.pairs,
    untilMs,
  }));
  const results = await Promise.all(shares.map((job) => run(program, job)));
  const sum = (pick) => results.reduce((total, result) => total + pick(result), 0);
  for (const { name, violations, trace } of results.flatMap(({ failures }) => failures))
    console.error([`\n${name}`, ...trace, ...violations].join('\n'));
  const left = sum(({ totals }) => totals.leftOut);
  console.log(
    `enumerated ${results[0].totals.scenarios} scenarios: ${sum(({ totals }) => totals.singles)} single faults, ${sum(({ totals }) => totals.events)} events lost, told twice or late, ${sum(({ totals }) => totals.pairs)} pairs of crashes${left === 0 ? '' : `, ${left} left out for want of time`}`,
  );
  const failed = sum((result) => result.failed);
  console.log(`invariants broken: ${failed}`);
  process.exitCode = failed === 0 ? 0 : 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}
