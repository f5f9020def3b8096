import { get } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { Benchmark, Form, Result } from './benchmark.js';
import { controlsOf, createControl } from './control-deployers.js';
import type { Deployer } from './deployer.js';
import { Load } from './load-process.js';
import { kinds, type FromLoad, type LoadCounts } from './load-protocol.js';
import { percentile, timed } from './numbers.js';
import { PointsmanDeployer } from './pointsman-deployer.js';

interface Scale {
  /** By Pointsman, and by each control. */
  readonly switches: number;
  readonly controlSwitches: number;
  /** The switches come in so many rounds. Before each the same load runs without any, for so long. */
  readonly rounds: number;
  readonly quietMs: number;
  /** Before the first round: in its first 6 s the load has a p99 of 3.4 ms, later one of 1.5 ms. */
  readonly warmUpMs: number;
}

const scales: Readonly<Record<Form, Scale>> = {
  full: { switches: 200, controlSwitches: 10, rounds: 5, quietMs: 20_000, warmUpMs: 10_000 },
  short: { switches: 10, controlSwitches: 2, rounds: 2, quietMs: 3_000, warmUpMs: 2_000 },
};
/** Every so many switches a version that never ran; the others go back and forth between two. */
const newVersionEvery = 10;
/** Under the load of the new version alone, before the next switch. */
const betweenMs = 500;

/** The load during switches, and without. */
interface Measured {
  /** Whether the clients went before everything else for the processor. */
  readonly isFirst: boolean;
  readonly switchMs: readonly number[];
  /** Milliseconds of requests: without switches, during those to a version that still ran, and to one that had to be started. */
  readonly quiet: readonly number[];
  readonly kept: readonly number[];
  readonly started: readonly number[];
  readonly counts: LoadCounts;
  readonly reasons: Readonly<Record<string, number>>;
  readonly twice: number;
  readonly seen: number;
}

/** Requests lost by switches, by Pointsman and by the ways in which people deploy today. */
export const swap: Benchmark = {
  name: 'swap',
  shows: 'what a switch of versions loses under load: Pointsman, and how people deploy today',
  async run(form, say) {
    const scale = scales[form];
    const runs: [string, Measured][] = [];
    const create = (): Promise<Deployer> => PointsmanDeployer.create(versions(scale.switches));
    runs.push(await measured(create, scale.switches, scale, say));
    const { controls, missing } = await controlsOf(process.env['PATH'] ?? '');
    for (const control of controls)
      runs.push(await measured(() => createControl(control), scale.controlSwitches, scale, say));
    return judge(runs, missing);
  },
};

async function measured(
  create: () => Promise<Deployer>,
  switches: number,
  scale: Scale,
  say: (line: string) => void,
): Promise<[string, Measured]> {
  const deployer = await create();
  try {
    say(`${deployer.name}: ${switches} switches`);
    await deployer.deploy('v0');
    return [deployer.name, await underLoad(deployer, switches, scale)];
  } finally {
    await deployer.close();
  }
}

async function underLoad(deployer: Deployer, switches: number, scale: Scale): Promise<Measured> {
  const { port, host } = deployer;
  const load = await Load.start({ port, host });
  const all: FromLoad[] = [];
  const latencies = (taken: FromLoad): readonly number[] => {
    all.push(taken);
    return taken.latencies;
  };
  const switchMs: number[] = [];
  const quiet: number[] = [];
  const kept: number[] = [];
  const started: number[] = [];
  const known = new Set(['v0']);
  try {
    load.expect('v0');
    await delay(scale.warmUpMs);
    for (let round = 1; round <= scale.rounds; round += 1) {
      latencies(await load.take());
      await delay(scale.quietMs);
      quiet.push(...latencies(await load.take()));
      while (switchMs.length < Math.round((switches * round) / scale.rounds)) {
        const version = versionOf(switchMs.length + 1);
        load.expect(null);
        switchMs.push(await timed(() => deployer.deploy(version)));
        load.expect(version);
        await delay(betweenMs);
        const during = deployer.keepsPrevious && known.has(version) ? kept : started;
        during.push(...latencies(await load.take()));
        known.add(version);
      }
      // What drains is still asked for what it has in flight.
      await deployer.rest();
    }
    latencies(await load.stop());
    const counts = all.map((each) => each.counts).reduce(added);
    const reasons = all.map((each) => each.reasons).reduce(addedReasons, {});
    const { isFirst } = load;
    return { isFirst, switchMs, quiet, kept, started, counts, reasons, ...(await seenBy(deployer)) };
  } finally {
    load.kill();
  }
}

/** Back and forth between two versions; each `newVersionEvery`th time one of them is replaced by a new one. */
function versionOf(switchNumber: number): string {
  const era = Math.floor(switchNumber / newVersionEvery);
  return switchNumber % 2 === 0 ? `v${2 * era}` : `v${2 * era + 1}`;
}

/** Of all deployments: the first, and one for each switch. */
function versions(switches: number): readonly string[] {
  return Array.from({ length: switches + 1 }, (_, index) => versionOf(index));
}

/** What the application counted, over all of its containers. */
function seenBy({ port, host }: Deployer): Promise<{ readonly seen: number; readonly twice: number }> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path: '/seen', headers: { host }, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      response.once('end', () => {
        if (response.statusCode === 200) resolve(JSON.parse(body) as { seen: number; twice: number });
        else reject(new Error(`the application cannot be asked what it saw: status ${response.statusCode}`));
      });
      response.once('error', reject);
    }).once('error', reject);
  });
}

function added(a: LoadCounts, b: LoadCounts): LoadCounts {
  const sum = (kind: (typeof kinds)[number]): LoadCounts[typeof kind] => ({
    sent: a[kind].sent + b[kind].sent,
    ok: a[kind].ok + b[kind].ok,
    failed: a[kind].failed + b[kind].failed,
    reset: a[kind].reset + b[kind].reset,
    wrong: a[kind].wrong + b[kind].wrong,
    cut: a[kind].cut + b[kind].cut,
  });
  return Object.fromEntries(kinds.map((kind) => [kind, sum(kind)])) as LoadCounts;
}

function addedReasons(
  a: Readonly<Record<string, number>>,
  b: Readonly<Record<string, number>>,
): Readonly<Record<string, number>> {
  const sum: Record<string, number> = { ...a };
  for (const [reason, count] of Object.entries(b)) sum[reason] = (sum[reason] ?? 0) + count;
  return sum;
}

function judge(runs: readonly [string, Measured][], missing: readonly string[]): Result {
  const rows = runs.flatMap(([name, { counts, switchMs, twice }]) =>
    kinds.map((kind, index) => {
      const { sent, failed, reset, wrong, cut } = counts[kind];
      const first = index === 0 ? [name, switchMs.length] : ['', ''];
      return [...first, kind, sent, failed, reset, wrong, cut, index === 0 ? twice : ''];
    }),
  );
  const head = [
    'deployed by',
    'switches',
    'clients',
    'sent',
    'failed',
    'of them reset',
    'wrong',
    'cut',
    'twice',
  ];
  const counts: Record<string, number> = {};
  const samples: Record<string, readonly number[]> = {};
  const ratios: Record<string, number> = {};
  for (const [name, run] of runs) {
    for (const kind of kinds)
      for (const [what, count] of Object.entries(run.counts[kind]))
        counts[`${name}, ${kind}: ${what}`] = count;
    counts[`${name}: twice`] = run.twice;
    counts[`${name}: seen by the application`] = run.seen;
    for (const [reason, count] of Object.entries(run.reasons)) counts[`${name}, reason: ${reason}`] = count;
    samples[`${name}: switch (ms)`] = run.switchMs;
    samples[`${name}: request without switches (ms)`] = run.quiet;
    const during = { 'back and forth': run.kept, 'to a new container': run.started };
    for (const [which, latencies] of Object.entries(during)) {
      if (latencies.length === 0) continue;
      samples[`${name}: request during switches ${which} (ms)`] = latencies;
      for (const percent of [50, 99])
        ratios[`${name}: p${percent} during switches ${which} ÷ without`] =
          percentile(latencies, percent) / percentile(run.quiet, percent);
    }
  }
  // The old container outlives every short request there: what is lost is lost by the reload itself.
  const reloads = runs.find(([name]) => name === 'reload, stop after 10 s')?.[1];
  if (reloads !== undefined) {
    const lost = kinds.reduce((sum, kind) => sum + reloads.counts[kind].failed, 0);
    ratios['requests lost per nginx reload'] = lost / reloads.switchMs.length;
  }
  const mustBeZero = Object.keys(counts).filter((name) =>
    /^pointsman.*: (failed|reset|wrong|cut|twice)$/.test(name),
  );
  const p99 = 'pointsman: p99 during switches back and forth ÷ without';
  const goals = [{ name: p99, value: ratios[p99] ?? Number.NaN, atMost: 1.2 }];
  const notes = missing.map((name) => `${name} is not on the PATH: nothing was measured of it`);
  if (runs.some(([, { isFirst }]) => !isFirst))
    notes.push('the clients could not be put before everything else: their own waiting is in the latencies');
  return { samples, counts, mustBeZero, ratios, goals, tables: [{ head, rows }], notes };
}
