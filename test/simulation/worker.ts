import { runHistory } from './history.js';
const [first, last, steps] = process.argv.slice(2).map(Number) as [number, number, number];
for (let seed = first; seed <= last; seed += 1) {
  const result = await runHistory(seed, steps);
  if (result.violations.length > 0) { console.log(`seed ${seed}`, result.violations.slice(0, 3)); if (process.env['TRACE']) console.log(result.trace.join('\n')); }
}
