import { get } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { Benchmark, Form, Result } from './benchmark.js';
import { controlsOf, createControl } from './control-deployers.js';
import type { Deployer } from './deployer.js';
import { orInterrupted } from './interrupt.js';
import { Load } from './load-process.js';
import { kinds, type FromLoad, type Kind, type LoadCounts } from './load-protocol.js';
import { percentile, timed } from './numbers.js';
import { PointsmanDeployer } from './pointsman-deployer.js';
import { stepBack, stolenShare } from './processors.js';
import { rangeOfRatio } from './resample.js';

interface Scale {
  /** By Pointsman: back and forth between two versions that run, and to versions that never ran. */
  readonly backAndForth: number;
  readonly toNew: number;
  /** By each control, which starts a container for each. */
  readonly byControl: number;
  /** In each round between the two versions the same load runs without any switch first, for so long. */
  readonly quietMs: number;
  /**
   * Under the load of each of the two versions, before the first round: Node.js compiles what it finds
   * it needs. The p99 of the first half minute is 3 to 5 ms, afterwards 2.
   */
  readonly warmUpMs: number;
}

const scales: Readonly<Record<Form, Scale>> = {
  full: { backAndForth: 200, toNew: 20, byControl: 10, quietMs: 5_000, warmUpMs: 30_000 },
  short: { backAndForth: 10, toNew: 2, byControl: 2, quietMs: 3_000, warmUpMs: 2_000 },
};
/**
 * A round of which the machine's host took more of the processors' time for others does not count for the p99. While
 * it does every request waits: 1 % of a round would be all that is above its p99. Most rounds have 0.1 % at
 * most, others up to 1.3 %, and bursts of some seconds 30 to 97 %.
 */
const mostStolen = 0.002;
const first = 'v0';
const second = 'v1';
/** Under the load of the new version alone, before the next switch. */
const betweenMs = 500;

/** Milliseconds of requests: without switches, during those to a version that still ran, and to one that had to be started. */
interface Latencies {
  readonly quiet: readonly number[];
  readonly kept: readonly number[];
  readonly started: readonly number[];
}

interface Round extends Latencies {
  /** What the machine's host took of the processors' time, from 0 to 1. */
  readonly stolen: number;
}

/** The load during switches, and without. */
interface Measured {
  /** What this machine could not do as it should be, and what that means for the figures. */
  readonly notes: readonly string[];
  readonly switchMs: readonly number[];
  readonly rounds: readonly Round[];
  readonly counts: LoadCounts;
  readonly reasons: Readonly<Record<string, number>>;
  /** By kind; those without any are left out. */
  readonly twice: Readonly<Partial<Record<Kind, number>>>;
  readonly seen: number;
}

/** Versions in the order of their deployment. The first is deployed before there is any load. */
interface Plan {
  readonly first: string;
  /** Under the load, before anything is timed. Switches to these start nothing later: they still run. */
  readonly warmUp: readonly string[];
  readonly timed: readonly string[];
  /** Switches in a round. Odd, so that each of the two versions is live by turns while nothing is switched. */
  readonly perRound: number;
  /** Versions that never ran, at the end: a new one is slower for its first half minute, switches or not. */
  readonly never: readonly string[];
}

/** Requests lost by switches, by Pointsman and by the ways in which people deploy today. */
export const swap: Benchmark = {
  name: 'swap',
  shows: 'what a switch of versions loses under load: Pointsman, and how people deploy today',
  async run(form, say) {
    const scale = scales[form];
    const runs: [string, Measured][] = [];
    const ours = planOfPointsman(scale);
    const create = (): Promise<Deployer> =>
      PointsmanDeployer.create([ours.first, ...ours.warmUp, ...ours.timed, ...ours.never]);
    runs.push(await measured(create, ours, scale, say));
    const { controls, missing } = await controlsOf(process.env['PATH'] ?? '');
    const theirs = { first, warmUp: [], timed: backAndForth(scale.byControl), perRound: 1, never: [] };
    for (const control of controls)
      runs.push(await measured(() => createControl(control), theirs, scale, say));
    return judge(runs, missing);
  },
};

/** Each of the two versions was under the load for a while before switches between them are timed. */
function planOfPointsman(scale: Scale): Plan {
  const never = Array.from({ length: scale.toNew }, (_, index) => `v${index + 2}`);
  return { first, warmUp: [second, first], timed: backAndForth(scale.backAndForth), perRound: 5, never };
}

function backAndForth(switches: number): readonly string[] {
  return Array.from({ length: switches }, (_, index) => (index % 2 === 0 ? second : first));
}

async function measured(
  create: () => Promise<Deployer>,
  plan: Plan,
  scale: Scale,
  say: (line: string) => void,
): Promise<[string, Measured]> {
  const deployer = await create();
  try {
    say(`${deployer.name}: ${plan.timed.length + plan.never.length} switches`);
    await deployer.deploy(plan.first);
    return [deployer.name, await orInterrupted(underLoad(deployer, plan, scale))];
  } finally {
    await deployer.close();
  }
}

async function underLoad(deployer: Deployer, plan: Plan, scale: Scale): Promise<Measured> {
  const { port, host } = deployer;
  const load = await Load.start({ port, host, versions: [plan.first] });
  const stepForward = await stepBack();
  const all: FromLoad[] = [];
  const take = async (): Promise<readonly number[]> => {
    const taken = await load.take();
    all.push(taken);
    return taken.latencies;
  };
  let live = plan.first;
  /** Resolves to the milliseconds that it took. */
  const switchTo = async (version: string): Promise<number> => {
    load.expect(live, version);
    const ms = await timed(() => deployer.deploy(version, () => load.expect(version)));
    live = version;
    return ms;
  };
  const switchMs: number[] = [];
  const timedRound = async (versions: readonly string[], quietMs: number): Promise<Round> => {
    // What drains is still asked for what it has in flight.
    await deployer.rest();
    await take();
    const stolen = stolenShare();
    await delay(quietMs);
    const quiet = quietMs === 0 ? [] : await take();
    for (const version of versions) {
      switchMs.push(await switchTo(version));
      await delay(betweenMs);
    }
    // Once: telling of them takes the clients time, which would be in the switch that follows.
    const during = await take();
    const areKept = versions.every((version) => plan.warmUp.includes(version));
    return { quiet, kept: areKept ? during : [], started: areKept ? [] : during, stolen: stolen() };
  };
  const rounds: Round[] = [];
  try {
    await delay(scale.warmUpMs);
    for (const version of plan.warmUp) {
      await switchTo(version);
      await delay(scale.warmUpMs);
    }
    for (const versions of inParts(plan.timed, plan.perRound))
      rounds.push(await timedRound(versions, scale.quietMs));
    for (const versions of inParts(plan.never, plan.perRound)) rounds.push(await timedRound(versions, 0));
    await deployer.rest();
    all.push(await load.stop());
    const counts = all.map((each) => each.counts).reduce(added);
    const reasons = all.map((each) => each.reasons).reduce(addedReasons, {});
    const notes = [...load.notes, ...deployer.notes];
    return { notes, switchMs, rounds, counts, reasons, ...(await seenBy(deployer)) };
  } finally {
    load.kill();
    await stepForward();
  }
}

/** In the same order; the last part may be shorter. */
function inParts(versions: readonly string[], length: number): readonly (readonly string[])[] {
  const count = Math.ceil(versions.length / length);
  return Array.from({ length: count }, (_, index) => versions.slice(index * length, (index + 1) * length));
}

/** What the application counted, over all of its containers. */
function seenBy({ port, host }: Deployer): Promise<Pick<Measured, 'seen' | 'twice'>> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path: '/seen', headers: { host }, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      response.once('end', () => {
        if (response.statusCode === 200) resolve(JSON.parse(body) as Pick<Measured, 'seen' | 'twice'>);
        else reject(new Error(`the application cannot be asked what it saw: status ${response.statusCode}`));
      });
      response.once('error', reject);
    }).once('error', reject);
  });
}

function together(rounds: readonly Round[]): Latencies {
  return {
    quiet: rounds.flatMap(({ quiet }) => quiet),
    kept: rounds.flatMap(({ kept }) => kept),
    started: rounds.flatMap(({ started }) => started),
  };
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
      const named = index === 0 ? [name, switchMs.length] : ['', ''];
      return [...named, kind, sent, failed, reset, wrong, cut, twice[kind] ?? 0];
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
    let sent = 0;
    let accountedFor = 0;
    for (const kind of kinds) {
      const of = run.counts[kind];
      if (of.sent === 0) throw new Error(`${name}: no ${kind} client asked for anything`);
      for (const [what, count] of Object.entries({ ...of, twice: run.twice[kind] ?? 0 }))
        counts[`${name}, ${kind}: ${what}`] = count;
      sent += of.sent;
      accountedFor += of.ok + of.failed + of.wrong;
    }
    counts[`${name}: sent`] = sent;
    counts[`${name}: neither answered nor failed`] = sent - accountedFor;
    counts[`${name}: not seen by the application`] = sent - run.seen;
    for (const [reason, count] of Object.entries(run.reasons)) counts[`${name}, reason: ${reason}`] = count;
    samples[`${name}: switch (ms)`] = run.switchMs;
    samples[`${name}: stolen from a round (%)`] = run.rounds.map(({ stolen }) => stolen * 100);
    const calm = run.rounds.filter(({ stolen }) => stolen <= mostStolen);
    const disturbed = run.rounds.filter(({ stolen }) => stolen > mostStolen);
    counts[`${name}: rounds`] = run.rounds.length;
    counts[`${name}: rounds disturbed by the host`] = disturbed.length;
    const { quiet, kept, started } = together(calm);
    samples[`${name}: request without switches (ms)`] = quiet;
    const during = { 'back and forth': kept, 'to a new container': started };
    for (const [which, latencies] of Object.entries(during)) {
      if (latencies.length === 0) continue;
      samples[`${name}: request during switches ${which} (ms)`] = latencies;
      for (const percent of [50, 99])
        ratios[`${name}: p${percent} during switches ${which} ÷ without`] =
          percentile(latencies, percent) / percentile(quiet, percent);
    }
    const backAndForth = calm.filter(({ kept: each }) => each.length > 0);
    if (backAndForth.length > 1) {
      const rounds = backAndForth.map((round) => ({ above: round.kept, below: round.quiet }));
      const { from, to } = rangeOfRatio(rounds, 99);
      ratios[`${name}: p99 of rounds drawn at random, back and forth ÷ without: 2.5 %`] = from;
      ratios[`${name}: p99 of rounds drawn at random, back and forth ÷ without: 97.5 %`] = to;
    }
    for (const [which, latencies] of Object.entries(together(disturbed)))
      if (latencies.length > 0) samples[`${name}: request in disturbed rounds, ${which} (ms)`] = latencies;
  }
  // The old container outlives every short request there: what is lost is lost by the reload itself.
  const reloads = runs.find(([name]) => name === 'reload, stop after 10 s')?.[1];
  if (reloads !== undefined) {
    const lost = kinds.reduce((sum, kind) => sum + reloads.counts[kind].failed, 0);
    ratios['requests lost per nginx reload'] = lost / reloads.switchMs.length;
  }
  const mustBeZero = Object.keys(counts).filter((name) =>
    /^pointsman.*: (failed|reset|wrong|cut|twice|neither answered nor failed|not seen by the application)$/.test(
      name,
    ),
  );
  const p99 = 'pointsman: p99 during switches back and forth ÷ without';
  const goals = [{ name: p99, value: ratios[p99] ?? Number.NaN, atMost: 1.2 }];
  const notes = new Set(runs.flatMap(([, run]) => run.notes));
  for (const name of missing) notes.add(`${name} is not on the PATH: nothing was measured of it`);
  return { samples, counts, mustBeZero, ratios, goals, tables: [{ head, rows }], notes: [...notes] };
}
