/**
 * `npm run fuzz [-- TARGET...] [OPTIONS]`: feeds changed inputs. Each finding is printed in base64, to become
 * a case in `corpus.ts`; then the status is 1. The input in hand stands in `pointsman-fuzz-<pid>.bin` in the
 * folder for temporary files, for one that ends the process.
 */
import { closeSync, openSync, writeSync, ftruncateSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Argument, Command } from 'commander';
import { wholeFrom } from '../support/arguments.mjs';
import { fuzz } from './coverage-guided.js';
import { targets } from './fuzz-targets.js';

const command = new Command('npm run fuzz --')
  .description('Feeds inputs, changed by what they reach, to what reads hostile text.')
  .addArgument(new Argument('[targets...]', 'all when left out').choices(targets.map(({ name }) => name)))
  .option('--seconds <n>', 'for all of them together', wholeFrom(1), 60)
  .option('--seed <n>', 'to go the same way again; any when left out', wholeFrom(0))
  .parse();
const names = command.processedArgs[0] as readonly string[];
const options = command.opts<{ readonly seconds: number; readonly seed?: number }>();
const chosen = targets.filter(({ name }) => names.length === 0 || names.includes(name));
const seconds = options.seconds / chosen.length;
const seed = options.seed ?? Math.floor(Math.random() * 2 ** 31);
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
