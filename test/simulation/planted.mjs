/** `npm run simulate:planted [-- NAME]`: plants bugs into the controller; the simulation has to catch every one. */
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { bundle } from './bundle.mjs';
import { plantedBugs } from './planted-bugs.mjs';
import { run } from './run-worker.mjs';

/** Histories of one bug, when not that of its `seed` catches it, and how long they may take. */
const most = 20_000;
const longestMs = 240_000;

const command = new Command('npm run simulate:planted --')
  .description('Plants bugs into the controller, one at a time, and runs seeded histories against each.')
  .argument('[name]', 'only bugs whose name has this in it', '')
  .parse();
const [only] = command.processedArgs;
const waiting = plantedBugs.filter(({ name }) => name.includes(only));
if (waiting.length === 0) command.error(`no planted bug has "${only}" in its name`);
const folder = await mkdtemp(join(fileURLToPath(new URL('.', import.meta.url)), '.build-'));
const missed = [];
let caught = 0;

async function work(lane) {
  for (let bug = waiting.shift(); bug !== undefined; bug = waiting.shift()) {
    const program = join(folder, `planted-${lane}.mjs`);
    await bundle('test/simulation/worker.ts', program, bug);
    const job = { stride: 1, steps: 20, untilMs: Date.now() + longestMs, quick: true };
    const all = { ...job, first: 1, last: most };
    const one =
      bug.seed === undefined ? null : await run(program, { ...job, first: bug.seed, last: bug.seed });
    const { failure } = one?.failure ? one : await run(program, all);
    if (failure?.violations[0]?.startsWith('the simulation failed')) throw new Error(failure.violations[0]);
    if (failure === null) missed.push(bug.name);
    else caught += 1;
    const how =
      failure === null ? 'NOT CAUGHT' : `caught in history ${failure.seed}: ${failure.violations[0]}`;
    console.log(`${bug.name}: ${how.slice(0, 160)}`);
  }
}

try {
  await Promise.all([work(1), work(2)]);
} finally {
  await rm(folder, { recursive: true, force: true });
}
console.log(`planted bugs: caught ${caught} of ${caught + missed.length}`);
process.exitCode = missed.length === 0 && caught > 0 ? 0 : 1;
