import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { Benchmark, Form, Goal, Result } from './benchmark.js';
import { answerOf } from './child-answer.js';
import type { Figures, Order } from './fleet/child.js';
import { fleetSettings } from './fleet/controller.js';
import { createFleet } from './fleet/repository.js';
import { measureSites } from './fleet/sites.js';
import { orInterrupted } from './interrupt.js';
import { median, rounded } from './numbers.js';

const sizes: Readonly<Record<Form, readonly number[]>> = { full: [100, 1_000, 10_000], short: [100, 1_000] };
const idleMs: Readonly<Record<Form, number>> = { full: 60_000, short: 5_000 };
const rounds: Readonly<Record<Form, number>> = { full: 9, short: 3 };
/** For one measurement: several times what the longest takes. */
const longestMs = 600_000;

interface Measured {
  readonly size: number;
  readonly figures: Figures;
  readonly cold: readonly number[];
  readonly floor: readonly number[];
}

/** Cost against size: real Git, manifests, keys, planner, queue, status and journal; the engine in memory, the router too or a real nginx. */
export const fleet: Benchmark = {
  name: 'fleet',
  shows: 'what a pass, a poll and a change cost with 100 to 10,000 projects',
  async run(form, say) {
    await bundleChild();
    const measured: Measured[] = [];
    for (const size of sizes[form]) {
      say(`${size} projects`);
      measured.push(await measureSize(size, form));
    }
    return judge(measured, await measureSites(form, say));
  },
};

async function measureSize(size: number, form: Form): Promise<Measured> {
  const folder = await mkdtemp(join(tmpdir(), 'pointsman-fleet-'));
  try {
    return await orInterrupted(measureIn(folder, size, form));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function measureIn(folder: string, size: number, form: Form): Promise<Measured> {
  const url = await createFleet(join(folder, 'config.git'), size);
  const settings = fleetSettings(folder, url);
  const order = { settings, size, idleMs: idleMs[form], rounds: rounds[form] };
  const figures = await inChild({ ...order, kind: 'controller' });
  const cold: number[] = [];
  const floor: number[] = [];
  for (let round = 0; round < 3; round += 1) {
    floor.push(...((await inChild({ ...order, kind: 'floor' })).ms['floor'] ?? []));
    cold.push(...((await inChild({ ...order, kind: 'cold' })).ms['cold'] ?? []));
  }
  return { size, figures, cold, floor };
}

const root = fileURLToPath(new URL('../../', import.meta.url));
const bundled = join(root, 'bench-results', 'fleet-child.mjs');

/** Plain JavaScript, as the controller itself is: a loader of TypeScript would count as its memory. */
async function bundleChild(): Promise<void> {
  await build({
    entryPoints: [join(root, 'test/bench/fleet/child.ts')],
    outfile: bundled,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    define: { 'import.meta.url': JSON.stringify(`file://${root}src/any.js`) },
    logLevel: 'error',
  });
}

/** A process of its own, so that neither memory nor compiled code of another measurement counts. */
async function inChild(order: Order): Promise<Figures> {
  const child = fork(bundled, [JSON.stringify(order)], { execArgv: [] });
  const what = `the measurement "${order.kind}" of ${order.size} projects`;
  const ended = once(child, 'exit');
  const timer = setTimeout(() => child.kill('SIGKILL'), longestMs);
  try {
    return await answerOf<Figures>(child, () =>
      child.killed ? `${what} was not over after ${longestMs} ms` : `${what} died`,
    );
  } finally {
    await ended;
    clearTimeout(timer);
  }
}

function judge(measured: readonly Measured[], sites: Result): Result {
  const samples: Record<string, readonly number[]> = {};
  const counts: Record<string, number> = {};
  for (const { size, figures, cold, floor } of measured) {
    for (const [name, values] of Object.entries(figures.ms)) samples[`${name}, ${size} (ms)`] = values;
    samples[`cold start, ${size} (ms)`] = cold;
    samples[`git cat-file and YAML, ${size} (ms)`] = floor;
    samples[`resident, ${size} (MiB)`] = [figures.residentMiB];
    samples[`idle CPU without git, ${size} (% of a core)`] = [figures.idlePercent];
    counts[`effects of a fleet at rest, ${size}`] = figures.idleEffects;
  }
  const mustBeZero = [...Object.keys(counts), ...sites.mustBeZero];
  const goals = [...goalsOf(measured), ...sites.goals];
  return {
    samples: { ...samples, ...sites.samples },
    counts: { ...counts, ...sites.counts },
    mustBeZero,
    ratios: Object.fromEntries(goals.map(({ name, value }) => [name, rounded(value)])),
    goals,
    notes: [
      'cold start: a controller that starts again, its mirror at hand, until the desired state is known; memory: at the end of the idle time, engine and router simulated in the same process',
      'poll: a local repository whose branch is a loose ref; listing poll: the same one packed, which is listed as a remote one is; one ref read: `git ls-remote` of that branch',
      'event: until the pass that it causes is over; effects at rest: in all polls and events and while idling',
      'idle CPU: of the controller alone; looks at this local repository start no git, those at a remote one do, every interval',
    ],
  };
}

function goalsOf(measured: readonly Measured[]): readonly Goal[] {
  const [least] = measured;
  const most = measured.at(-1);
  if (least === undefined || most === undefined) return [];
  const middle = ({ figures }: Measured, name: string): number => median(figures.ms[name] ?? []);
  const thousand = measured.find(({ size }) => size === 1_000) ?? most;
  return [
    {
      name: `one changed manifest, ${most.size} ÷ ${least.size}`,
      value: middle(most, 'manifest') / middle(least, 'manifest'),
      atMost: 2,
    },
    ...['poll', 'listing poll'].map((kind) => ({
      name: `idle ${kind} ÷ one ref read, ${most.size}`,
      value: middle(most, kind) / middle(most, 'one ref read'),
      atMost: 1,
    })),
    { name: 'idle CPU without git, 1000 (% of a core)', value: thousand.figures.idlePercent, atMost: 0.5 },
    { name: `resident, ${most.size} (MB)`, value: most.figures.residentMiB * 1.048_576, atMost: 250 },
    {
      name: `cold start ÷ git cat-file and YAML, ${most.size}`,
      value: median(most.cold) / median(most.floor),
      atMost: 2,
    },
  ];
}
