/** `npm run bench [-- NAME...] [--short]`: runs benchmarks one after the other; status 1 when one failed. */
import { Command } from 'commander';
import type { Benchmark, Form } from './benchmark.js';
import { build } from './build.js';
import { commitToLive } from './commit-to-live.js';
import { fleet } from './fleet.js';
import { Interrupted } from './interrupt.js';
import { describeMachine, printed, writeResult } from './report.js';
import { rollback } from './rollback.js';
import { swap } from './swap.js';

const benchmarks: readonly Benchmark[] = [swap, commitToLive, rollback, fleet, build];

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Resolves to whether it worked and every count that must be zero is zero. */
async function runOne(benchmark: Benchmark, form: Form): Promise<boolean> {
  say(`\n${benchmark.name}: ${benchmark.shows}`);
  const machine = await describeMachine();
  const startedAt = performance.now();
  try {
    const result = await benchmark.run(form, (line) => say(`  ${line}`));
    say(printed(result));
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    say(`${await writeResult(benchmark, form, machine, result)} (${form} form, ${seconds} s)`);
    const wrong = result.mustBeZero.filter((name) => result.counts[name] !== 0);
    for (const name of wrong) say(`FAILED: ${name} is ${result.counts[name] ?? 'not counted'}, not 0`);
    return wrong.length === 0;
  } catch (error) {
    if (error instanceof Interrupted) throw error;
    say(`FAILED: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    return false;
  }
}

async function main(names: readonly string[], form: Form): Promise<void> {
  const unknown = names.filter((name) => !benchmarks.some((each) => each.name === name));
  if (unknown.length > 0) {
    const known = benchmarks.map(({ name }) => name).join(', ');
    say(`no benchmark ${unknown.join(', ')}; there are: ${known}`);
    process.exitCode = 2;
    return;
  }
  const { cores, cpu, memoryMiB, versions, commit } = await describeMachine();
  const all = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  say(`${cores} × ${cpu}, ${memoryMiB} MiB; ${all.join(', ')}; Pointsman ${commit ?? 'of no checkout'}`);
  try {
    for (const benchmark of benchmarks) {
      if (names.length > 0 && !names.includes(benchmark.name)) continue;
      if (!(await runOne(benchmark, form))) process.exitCode = 1;
    }
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    say(error.message);
    // What was under way may still wait for something.
    process.exit(130);
  }
}

await new Command('bench')
  .argument('[names...]', `any of ${benchmarks.map(({ name }) => name).join(', ')}; all without one`)
  .option('--short', 'check only that it works and loses nothing')
  .action(async (names: readonly string[], { short }: { readonly short?: boolean }) =>
    main(names, short === true ? 'short' : 'full'),
  )
  .parseAsync();
