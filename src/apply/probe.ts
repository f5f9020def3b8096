import { PointsmanError } from '../errors.js';
import type { HealthSpec } from '../manifest/project.js';
import { parseSpec } from '../manifest/spec.js';
import type { ContainerFacts } from '../runtime/port.js';
import { joinSignals } from '../signals.js';
import type { PassContext } from './context.js';
import type { DeployState } from './deploy.js';
import type { Deployment } from './deployment.js';
import type { ProbeResult, ProbeTarget } from './prober.js';

/**
 * Between two probes passes what `health.interval` says. Where the manifest leaves it out: until the switch
 * a tenth of the time since the first probe, within these bounds, so that an app is found healthy at most a
 * tenth later than it is, a quick one and a slow one alike; after the switch the longest.
 */
export const pause = { share: 0.1, leastMs: 5, mostMs: 1_000 };

/** Where a container of ours is probed. @throws PointsmanError StartFailed when it has no address or spec */
export function probeTargetOf(container: ContainerFacts, health?: HealthSpec): ProbeTarget {
  const spec = parseSpec(container.labels.spec);
  if (container.address === null || spec === null) {
    throw new PointsmanError(
      'StartFailed',
      `container ${container.name} has no address in its network: remove it, it is made again`,
    );
  }
  const host = spec.route.domains[0] ?? 'localhost';
  return { address: container.address, port: spec.run.port, host, health: health ?? spec.health };
}

/** Probes the deployment's container until it has earned its traffic. */
export async function probeCandidate(
  deployment: Deployment,
  state: DeployState,
  signal: AbortSignal,
): Promise<void> {
  const { context, step } = deployment;
  await deployment.enter('probing');
  const container = await containerOf(context, state);
  const target = {
    ...probeTargetOf(container, step.target.project.health),
    host: step.target.project.route.domains[0] ?? 'localhost',
  };
  const sinceMs = state.startedAt === null ? 0 : context.clock.monotonic() - state.startedAt;
  await untilHealthy(context, container.id, target, target.health.withinMs - sinceMs, signal, (line) =>
    deployment.progressOfAttempt(line),
  );
}

export async function containerOf(context: PassContext, state: DeployState): Promise<ContainerFacts> {
  return candidateOf(
    state.container === null ? null : await context.runtime.container(state.container),
    state,
  );
}

/** `found` when it is the container that the deployment started. @throws PointsmanError ContainerExited */
export function candidateOf(found: ContainerFacts | null, state: DeployState): ContainerFacts {
  if (found !== null && found.id === state.container) return found;
  throw new PointsmanError(
    'ContainerExited',
    'the container is gone: somebody removed it while it was deployed',
  );
}

/**
 * Resolves after `health.successes` good probes in a row. The first probe goes out at once. `onProgress`
 * hears of each probe from the first that fails.
 * @throws PointsmanError ContainerExited at once when it exits, ProbeFailed after `withinMs`
 */
export async function untilHealthy(
  context: PassContext,
  container: string,
  target: ProbeTarget,
  withinMs: number,
  signal: AbortSignal,
  onProgress: (line: string) => void,
): Promise<void> {
  await whileRunning(context, container, signal, (ended) =>
    probeUntil(context, target, withinMs, ended, onProgress),
  );
}

/**
 * Probes that are given up as soon as the container exits. When they fail, a container that is down has
 * exited, also where the engine has not told of it yet. @throws PointsmanError ContainerExited
 */
export async function whileRunning(
  context: PassContext,
  container: string,
  signal: AbortSignal,
  probing: (ended: AbortSignal) => Promise<void>,
): Promise<void> {
  const ended = new AbortController();
  const either = joinSignals(signal, ended.signal);
  const exit = watchExit(context, container, either.signal);
  const probed = probing(either.signal).catch(async (error: unknown) => {
    const facts = await context.runtime.container(container);
    if (!either.signal.aborted && facts?.state === 'exited') await exit;
    throw error;
  });
  try {
    await Promise.race([exit, probed]);
  } finally {
    ended.abort();
    either.release();
    for (const left of [exit, probed]) left.catch(() => undefined);
  }
}

/** Never resolves; rejects with ContainerExited when the container stops. */
async function watchExit(context: PassContext, container: string, signal: AbortSignal): Promise<never> {
  const exitCode = await context.runtime.waitForExit(container, signal);
  const facts = await context.runtime.container(container);
  const memory = facts?.outOfMemory === true ? ', out of memory: raise run.memory' : '';
  throw new PointsmanError('ContainerExited', `the container exited with ${exitCode}${memory}`);
}

async function probeUntil(
  context: PassContext,
  target: ProbeTarget,
  withinMs: number,
  signal: AbortSignal,
  onProgress: (line: string) => void,
): Promise<void> {
  const { clock } = context;
  const startedAt = clock.monotonic();
  const deadline = startedAt + withinMs;
  const { successes } = target.health;
  let inRow = 0;
  let everFailed = false;
  for (let probes = 1; ; probes += 1) {
    const result = await context.prober.probe(target, signal);
    inRow = result.ok ? inRow + 1 : 0;
    if (inRow >= successes) return;
    everFailed ||= !result.ok;
    if (!result.ok) onProgress(result.why);
    else if (everFailed) onProgress(`healthy ${inRow} of ${successes} times in a row`);
    const now = clock.monotonic();
    const pauseMs = target.health.intervalMs ?? unwrittenPauseMs(now - startedAt);
    if (now + pauseMs > deadline) throw neverHealthy(result, probes, target);
    await clock.sleep(pauseMs, signal);
  }
}

function unwrittenPauseMs(sinceFirstMs: number): number {
  return Math.min(Math.max(pause.leastMs, pause.share * sinceFirstMs), pause.mostMs);
}

function neverHealthy(last: ProbeResult, probes: number, { health }: ProbeTarget): PointsmanError {
  const within = `not healthy within ${health.withinMs / 1000}s (${probes} probes)`;
  if (last.ok)
    return new PointsmanError(
      'ProbeFailed',
      `${within}: it answers, but not ${health.successes} times in a row; raise health.within, or lower health.successes or health.interval`,
    );
  const mend = last.hint ?? 'mend the app, or change health.path, health.status or health.within';
  return new PointsmanError('ProbeFailed', `${within}: ${last.why}; ${mend}`);
}
