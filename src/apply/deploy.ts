/**
 * One deployment, phase by phase:
 *
 *   building → releasing → (clearing) → starting → probing → switching → baking → active
 *
 * Until `switching` it can be superseded, and then leaves nothing behind. From there on it ends its
 * bake: well, or by going back. When the controller stops, the deployment stays open in the journal
 * and the next start goes on with it.
 */
import { PointsmanError, isAbort, messageOf } from '../errors.js';
import type { ErrorCode } from '../errors.js';
import { otherSlot } from '../manifest/project.js';
import { parseSpec } from '../manifest/spec.js';
import { observeProject } from '../observe/observe-project.js';
import type { DeployPhase, DeployStep } from '../plan/plan.js';
import { drainingOf, isDrained } from '../plan/previous.js';
import type { DeploymentDetail } from '../record/port.js';
import { bake } from './bake.js';
import { buildImage } from './build.js';
import { Attempt, Superseded } from './context.js';
import type { PassContext } from './context.js';
import { Deployment } from './deployment.js';
import { failureDetail } from './failure.js';
import type { Lane } from './lanes.js';
import { probeCandidate } from './probe.js';
import { runRelease } from './release.js';
import { stopAndRemove } from './remove.js';
import { startCandidate } from './start.js';
import { routeFirst, switchBack, switchTraffic } from './switch.js';

/** The deployment stays open, and goes on when the journal takes records and nginx answers again. */
const saysNothingOfRevision: ReadonlySet<ErrorCode> = new Set(['JournalUnwritable', 'NginxUnavailable']);

/** What the phases hand on to each other. */
export interface DeployState {
  /** Image id, known after the build. */
  image: string | null;
  /** Container id, known after the start. */
  container: string | null;
  /** When the candidate was started in this deployment, by the monotonic clock. */
  startedAt: number | null;
}

/** Which limit a phase counts against. Going back to a slot that still runs waits for nobody. */
function laneOf(phase: DeployPhase, step: DeployStep): Lane | null {
  if (phase === 'building') return 'builds';
  const warm = step.cause === 'rollback' && !step.phases.includes('starting');
  return warm || phase === 'clearing' || phase === 'routing' ? null : 'deployments';
}

/** Does nothing when something newer may be wanted already: the next round looks again. */
export async function deploy(step: DeployStep, context: PassContext): Promise<void> {
  if (context.attempt.changed) return;
  const attempt = new Attempt(step.target.revision, context.stopping);
  context.attempt.current = attempt;
  try {
    const deployment = await Deployment.open(step, context);
    try {
      await runPhases(deployment, attempt);
    } finally {
      await deployment.log.close();
    }
  } finally {
    context.attempt.current = null;
    attempt.end();
    context.report({ phase: null });
  }
}

async function runPhases(deployment: Deployment, attempt: Attempt): Promise<void> {
  const { step, context } = deployment;
  const state: DeployState = {
    image: step.target.image,
    container: step.phases.includes('clearing') ? null : (context.observed.containers[step.slot]?.id ?? null),
    startedAt: null,
  };
  try {
    for (const group of groupByLane(step)) {
      const signal = attempt.isSwitched ? context.stopping : attempt.signal;
      await context.lanes.run(group.lane, signal, async () => {
        for (const phase of group.phases) await runPhase(phase, deployment, attempt, state);
      });
    }
    await deployment.end('active');
  } catch (error) {
    await endBadly(error, deployment, attempt, state);
  }
}

function groupByLane(
  step: DeployStep,
): readonly { readonly lane: Lane | null; readonly phases: readonly DeployPhase[] }[] {
  const groups: { lane: Lane | null; phases: DeployPhase[] }[] = [];
  for (const phase of step.phases) {
    const lane = laneOf(phase, step);
    const last = groups.at(-1);
    if (last?.lane === lane) last.phases.push(phase);
    else groups.push({ lane, phases: [phase] });
  }
  return groups;
}

async function runPhase(
  phase: DeployPhase,
  deployment: Deployment,
  attempt: Attempt,
  state: DeployState,
): Promise<void> {
  if (phase !== 'baking' && phase !== 'routing') attempt.signal.throwIfAborted();
  switch (phase) {
    case 'building':
      state.image = await buildImage(deployment, attempt.signal);
      return;
    case 'releasing':
      await runRelease(deployment, state, attempt.signal);
      return;
    case 'clearing':
      await clearSlot(deployment, attempt.signal);
      return;
    case 'starting':
      await startCandidate(deployment, state, attempt.signal);
      return;
    case 'probing':
      await probeCandidate(deployment, state, attempt.signal);
      return;
    case 'switching':
      await switchTraffic(deployment, state, attempt);
      return;
    case 'routing':
      await routeFirst(deployment, state);
      return;
    case 'baking':
      await bake(deployment, state, attempt);
      return;
  }
}

/** Waits for the drain of whatever is in the slot, then takes it away. Holds no place meanwhile. */
async function clearSlot(deployment: Deployment, signal: AbortSignal): Promise<void> {
  const { context, step } = deployment;
  const container = context.observed.containers[step.slot];
  if (container === null) return;
  const { live } = context.observed;
  const spec = parseSpec(container.labels.spec);
  const record = live?.record ?? null;
  const wasLive = record?.previous?.deployment === container.labels.deployment;
  const memory = context.journal.memory.project(context.project);
  const draining = isDrained(memory, container)
    ? null
    : drainingOf(container, step.target.project.rollout.drainMs);
  // A candidate too: a switch that was taken back let requests in.
  if (draining !== null) {
    deployment.progress(`waiting until ${step.slot} is drained`);
    context.drains.start({ project: context.project, ...draining });
    await context.drains.settled(context.project, signal);
  }
  await stopAndRemove(context, container.id, spec?.run.stopTimeoutMs ?? 10_000);
  if (wasLive) {
    await context.journal.append({
      type: 'previous',
      project: context.project,
      revision: container.labels.revision,
      detail: { event: 'retired', slot: step.slot, inFlight: null },
    });
  }
}

async function endBadly(
  error: unknown,
  deployment: Deployment,
  attempt: Attempt,
  state: DeployState,
): Promise<void> {
  const { context, step } = deployment;
  if (context.stopping.aborted) throw error;
  if (isAbort(error, attempt.signal) || error instanceof Superseded) {
    await dropCandidate(deployment, attempt);
    await deployment.end('cancelled', { message: messageOf(error) });
    return;
  }
  if (error instanceof PointsmanError && error.code === 'BakeFailed') {
    const detail = await failureDetail(error, deployment, state);
    logTail(deployment, detail);
    await deployment.end('rolled-back', { ...detail, final: true, rejected: true });
    await switchBack(context, otherSlot(step.slot), step.target.revision);
    return;
  }
  if (!(error instanceof PointsmanError)) throw error;
  if (saysNothingOfRevision.has(error.code)) throw error;
  // Its bake is still to come, or to end: the next pass goes on with it.
  if (mayHaveSwitched(deployment, attempt) && (await servesAlready(deployment))) throw error;
  const detail = await failureDetail(error, deployment, state);
  logTail(deployment, detail);
  if (deployment.phase !== 'baking') await dropCandidate(deployment, attempt);
  await deployment.end('failed', detail);
}

/** What a container said last; the output of a build and of a release command stands in the log already. */
function logTail(deployment: Deployment, { tail }: DeploymentDetail): void {
  if (deployment.phase === 'building' || deployment.phase === 'releasing') return;
  for (const line of tail ?? []) deployment.log.line(line);
}

/** In this attempt, or in one that is gone on with. */
function mayHaveSwitched({ step }: Deployment, attempt: Attempt): boolean {
  return attempt.isSwitched || step.resumes !== null;
}

/** Whether traffic is on the slot of this deployment. */
async function servesAlready({ context, step }: Deployment): Promise<boolean> {
  const { live } = await observeProject(context.project, context);
  return live?.slot === step.slot && live.identity?.revision === step.target.revision;
}

/** Takes away what this deployment started. A slot that was live before is kept, it is the previous one. */
async function dropCandidate(deployment: Deployment, attempt: Attempt): Promise<void> {
  const { context, step } = deployment;
  const { run, rollout } = step.target.project;
  const { containers, live } = await observeProject(context.project, context);
  // A switch that could not be verified may have happened all the same.
  if (live?.slot === step.slot) return;
  const candidate = containers[step.slot];
  if (candidate?.labels.deployment !== deployment.id) return;
  // A switch that was taken back let requests in.
  if (mayHaveSwitched(deployment, attempt) && candidate.address !== null) {
    const upstream = `${candidate.address}:${run.port}`;
    await context.drains.untilEmpty([upstream], rollout.drainMs, context.stopping, () => undefined);
  }
  await stopAndRemove(context, candidate.id, run.stopTimeoutMs);
}
