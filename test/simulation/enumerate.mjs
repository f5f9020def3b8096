/**
 * `npm run simulate:enumerated [-- --every N --pairs M --minutes T]`: every scenario with every fault at
 * every effect, and pairs of crashes, on two cores. `--every 1 --pairs 1` leaves nothing out.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { bundle } from './bundle.mjs';
import { run } from './run-worker.mjs';

const { values } = parseArgs({
  options: {
    every: { type: 'string', default: '1' },
    pairs: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '60' },
  },
});
const folder = await mkdtemp(join(fileURLToPath(new URL('.', import.meta.url)), '.build-'));
try {
  const program = join(folder, 'enumerated.mjs');
  await bundle('test/simulation/enumerated.ts', program);
  const untilMs = Date.now() + Number(values.minutes) * 60_000;
  const shares = [0, 1].map((share) => ({
    share,
    shares: 2,
    every: Number(values.every),
    pairsEvery: Number(values.pairs),
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
