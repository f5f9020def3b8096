/**
 * Every scenario × every effect in it × every fault that can strike there, and every event lost, told twice
 * or late; then pairs, the second crash during the recovery. After each: run to rest, the invariants at every step, and the end state that the
 * undisturbed run has. Runs one share of the work: `{ share, shares, every, pairsEvery }`.
 */
import { checkRest, desiredOf, endState, isSound, runToRest } from './rest.js';
import { Stage, scenarios } from './scenarios.js';
import type { Scenario } from './scenarios.js';
import type { Effect, FaultKind } from './world/effects.js';
import { Random } from './world/scheduler.js';
import { World } from './world/world.js';

interface Strike {
  /** Of the effects after the scenario begins. */
  readonly at: number;
  readonly fault: FaultKind;
}

/** What becomes of one event on its way, of those after the scenario begins. */
interface Mishap {
  readonly at: number;
  readonly what: string;
  /** Milliseconds after which it comes, each time that it does. */
  readonly comes: readonly number[];
}

const mishaps: readonly Omit<Mishap, 'at'>[] = [
  { what: 'lost', comes: [] },
  { what: 'told twice', comes: [1, 400] },
  { what: 'late', comes: [20_000] },
];

interface Outcome {
  readonly effects: readonly Effect[];
  readonly events: number;
  readonly end: string;
  readonly violations: readonly string[];
  readonly trace: readonly string[];
}

async function play(
  scenario: Scenario,
  strikes: readonly Strike[],
  mishap: Mishap | null = null,
): Promise<Outcome> {
  const world = new World(new Random(7));
  Math.random = new Random(11).next.bind(new Random(11));
  const stage = new Stage(world);
  const seen: Effect[] = [];
  let events = 0;
  const onUnhandled = (error: unknown): void =>
    world.effects.violate(`unhandled rejection: ${String(error)}`);
  process.on('unhandledRejection', onUnhandled);
  try {
    scenario.before(stage);
    world.begin();
    await runToRest(world);
    world.effects.decide = (effect) => {
      if (effect.name.includes('status.json')) return null;
      seen.push(effect);
      return strikes.find(({ at }) => at === seen.length - 1)?.fault ?? null;
    };
    world.fate = () => {
      events += 1;
      return mishap !== null && mishap.at === events - 1 ? mishap.comes : [1];
    };
    await scenario.act(stage);
    await runToRest(world);
    const count = seen.length;
    world.effects.decide = () => null;
    await retryWhatIsSound(world);
    if (world.effects.violations.length === 0) checkRest(world);
    return {
      effects: seen.slice(0, count),
      events,
      end: endState(world),
      violations: world.effects.violations,
      trace: world.effects.trace,
    };
  } finally {
    process.off('unhandledRejection', onUnhandled);
  }
}

/** A person answers a failure that only the injected fault has caused. */
async function retryWhatIsSound(world: World): Promise<void> {
  for (const { project } of desiredOf(world).projects.values()) {
    const stand = world.status?.projects[project.name];
    if (stand?.state === 'failed' && isSound(world, project) && world.controller !== null)
      await world.scheduler.finish(world.controller.retry(project.name));
  }
  await runToRest(world);
}

function faultsAt({ port, mutates, name }: Effect): readonly FaultKind[] {
  if (port === 'probe') return ['crash-before', 'error'];
  if (mutates) return ['crash-before', 'crash-after', 'error', 'timeout', 'power-after'];
  return /^(list|network|image|projects)\b/.test(name) ? ['error', 'stale'] : ['error'];
}

interface Share {
  readonly share: number;
  readonly shares: number;
  /** Every how many of the single faults, and of the pairs, are tried; 1: all. */
  readonly every: number;
  readonly pairsEvery: number;
  readonly untilMs: number;
  /** Name of the only scenario that is tried; all when left out. */
  readonly only?: string;
}

const share = JSON.parse(process.argv[2] ?? '{}') as Share;
const totals = { scenarios: 0, singles: 0, events: 0, pairs: 0, leftOut: 0 };
const failures: { name: string; violations: readonly string[]; trace: readonly string[] }[] = [];
let turn = 0;

async function tryStrikes(
  scenario: Scenario,
  calm: Outcome,
  strikes: readonly Strike[],
  mishap: Mishap | null = null,
): Promise<void> {
  const { violations, end, trace } = await play(scenario, strikes, mishap);
  const broken =
    violations.length > 0
      ? violations
      : end === calm.end
        ? []
        : [`Q2 another end state:\n${end}\ninstead of\n${calm.end}`];
  if (broken.length === 0) return;
  const struck = strikes.map(({ at, fault }) => `${fault} at ${at} ${calm.effects[at]?.name ?? ''}`);
  if (mishap !== null) struck.push(`event ${mishap.at} ${mishap.what}`);
  const name = `${scenario.name}: ${struck.join(', ')}`;
  failures.push({ name, violations: broken, trace: trace.slice(-50) });
}

function isMine(every: number): boolean {
  turn += 1;
  const mine = turn % (every * share.shares) === share.share * every;
  if (mine && Date.now() > share.untilMs) totals.leftOut += 1;
  return mine && Date.now() <= share.untilMs;
}

for (const scenario of scenarios) {
  if (share.only !== undefined && scenario.name !== share.only) continue;
  const calm = await play(scenario, []);
  totals.scenarios += 1;
  if (calm.violations.length > 0) failures.push({ name: `${scenario.name}, undisturbed`, ...calm });
  for (let at = 0; at < calm.events; at += 1)
    for (const mishap of mishaps) {
      if (!isMine(share.every)) continue;
      totals.events += 1;
      await tryStrikes(scenario, calm, [], { at, ...mishap });
    }
  for (const [at, effect] of calm.effects.entries()) {
    for (const fault of faultsAt(effect)) {
      if (!isMine(share.every)) continue;
      totals.singles += 1;
      await tryStrikes(scenario, calm, [{ at, fault }]);
    }
    if (!effect.mutates || effect.port === 'disk') continue;
    for (let later = 1; later < 60; later += 1) {
      if (!isMine(share.pairsEvery)) continue;
      totals.pairs += 1;
      await tryStrikes(scenario, calm, [
        { at, fault: 'crash-after' },
        { at: at + later, fault: 'crash-after' },
      ]);
    }
  }
}
process.stdout.write(
  `${JSON.stringify({ totals, failures: failures.slice(0, 20), failed: failures.length })}\n`,
  () => process.exit(0),
);
