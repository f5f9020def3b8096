/**
 * `npm run fuzz [-- TARGET] [--seconds N] [--seed N]`: feeds changed inputs, `--seconds` in all (60). Each
 * finding is printed in base64, to become a case in `corpus.ts`; then the status is 1. The input in hand
 * stands in `pointsman-fuzz-<pid>.bin` in the folder for temporary files, for one that ends the process.
 */
import { closeSync, openSync, writeSync, ftruncateSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { fuzz } from './coverage-guided.js';
import { targets } from './fuzz-targets.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string', default: '60' }, seed: { type: 'string' } },
});
const chosen = targets.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
const seconds = Number(values.seconds) / chosen.length;
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
if (chosen.length === 0 || !(seconds > 0) || !Number.isSafeInteger(seed)) {
  process.stderr.write(
    `targets: ${targets.map(({ name }) => name).join(', ')}; --seconds and --seed are numbers\n`,
  );
  process.exit(2);
}
const inHand = join(tmpdir(), `pointsman-fuzz-${process.pid}.bin`);
const file = openSync(inHand, 'wx', 0o600);
const keep = (input: Buffer): void => {
  ftruncateSync(file, 0);
  writeSync(file, input, 0, input.length, 0);
};
let findings = 0;
for (const target of chosen) {
  const result = await fuzz(target, { seconds, seed, keep });
  findings += result.findings.length;
  process.stdout.write(
    `${target.name}: ${result.executions} executions, ${result.reached} ranges reached, ${result.corpus} inputs kept, ${result.findings.length} findings (seed ${seed})\n`,
  );
  for (const { input, error } of result.findings)
    process.stdout.write(
      `  ${input.toString('base64').slice(0, 4_000)}\n  ${error.split('\n').slice(0, 6).join('\n  ')}\n`,
    );
}
closeSync(file);
rmSync(inHand);
process.exitCode = findings > 0 ? 1 : 0;
