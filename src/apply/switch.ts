/**
 * Moving traffic. The intent is in the journal before the first effect; the switch itself is one file
 * created or removed (see router/). From the point of no return on it is carried through even when the
 * controller is asked to stop.
 */
import { PointsmanError } from '../errors.js';
import { policyRefusal } from '../manifest/policy.js';
import type { Slot } from '../manifest/project.js';
import { otherSlot } from '../manifest/project.js';
import { parseSpec, serialiseSpec } from '../manifest/spec.js';
import { identityOf } from '../observe/observed.js';
import type { Identity, Observed } from '../observe/observed.js';
import { observeProject } from '../observe/observe-project.js';
import { firstSite, sameSite } from '../plan/plan-keeping.js';
import { drainingOf } from '../plan/previous.js';
import type { JournalEntry, SwitchCause } from '../record/port.js';
import type { Site, SwitchRecord } from '../router/port.js';
import type { ContainerFacts } from '../runtime/port.js';
import type { Attempt, PassContext } from './context.js';
import type { DeployState } from './deploy.js';
import type { Deployment } from './deployment.js';
import { recordIfPossible } from './record.js';
import { candidateOf, containerOf, probeTargetOf, untilHealthy } from './probe.js';
import { logOutput } from './start.js';

/** A switch takes milliseconds; a stalled nginx worker may hold it up. */
const switchTimeoutMs = 60_000;
/** Output lines of a healthy start in the deployment's log; copied when traffic is there, which need not wait for it. */
const startLines = 100;

/** Makes the deployment's container the live one. */
export async function switchTraffic(
  deployment: Deployment,
  state: DeployState,
  attempt: Attempt,
): Promise<void> {
  const { context, step } = deployment;
  let observed = await observeBeforeSwitch(context);
  const container = candidateOf(observed.containers[step.slot], state);
  if (await routeToSlot(context, observed.route.site, step.slot, container, attempt.signal)) {
    const again = await context.prober.probe(
      probeTargetOf(container, step.target.project.health),
      attempt.signal,
    );
    if (!again.ok)
      throw new PointsmanError('ProbeFailed', `it was healthy, then ${again.why} before the switch`);
    observed = await observeBeforeSwitch(context);
  }
  await deployment.enter('switching');
  if (!observed.route.present) await context.router.clearSwitch(context.project);
  attempt.pointOfNoReturn();
  const { revision, imageKey, configCommit, sourceCommit, project } = step.target;
  const identity = {
    revision,
    imageKey,
    image: container.image,
    configCommit,
    sourceCommit,
    deployment: deployment.id,
    spec: project,
  };
  await moveTraffic(context, observed, container, {
    slot: step.slot,
    identity,
    cause: step.cause,
    isRollback: step.isRollback,
  });
  // A slot that ran before says nothing of this deployment; started before a restart of ours, it does.
  if (state.startedAt !== null || container.labels.deployment === deployment.id)
    await logOutput(deployment, container.id, startLines);
}

/** The first site file. Where its domains are not free yet, the deployment ends all the same and the plan asks again. */
export async function routeFirst(deployment: Deployment, state: DeployState): Promise<void> {
  const { context, step } = deployment;
  const { project, routes, runtime, log } = context;
  if (state.startedAt === null) await probeAgain(deployment, state);
  const network = await runtime.network(project);
  if (network === null) return;
  const outcome = await routes.request(project, firstSite(step.target.project, network), context.stopping);
  if (outcome.kind !== 'applied')
    log.warn({ project, code: outcome.kind, message: outcome.message }, 'site file has to wait');
}

/**
 * Of a deployment that is gone on with: its container may have been started or made again since it passed
 * its probes. When it fails them now, or is gone, the switch is taken back: without a route nothing was
 * served yet, and what is live without a deployment would get its route unprobed.
 */
async function probeAgain(deployment: Deployment, state: DeployState): Promise<void> {
  const { context, step } = deployment;
  try {
    const container = await containerOf(context, state);
    const target = probeTargetOf(container, step.target.project.health);
    const { withinMs } = target.health;
    await untilHealthy(context, container.id, target, withinMs, context.stopping, (line) =>
      deployment.progressOfAttempt(line),
    );
  } catch (error) {
    if (error instanceof PointsmanError) await takeBackFirst(context, step.slot);
    throw error;
  }
}

/**
 * Neither switch file nor restart policy says any more that the slot is live. The file goes first: a
 * container that is removed meanwhile has no policy to take away.
 */
async function takeBackFirst({ runtime, router, project }: PassContext, slot: Slot): Promise<void> {
  await router.clearSwitch(project);
  const container = (await runtime.containers(project)).find(({ labels }) => labels.role === slot);
  if (container !== undefined) await runtime.setRestartPolicy(container.id, 'no');
}

/**
 * Goes back to the slot that was live before, after its probes. When that fails traffic stays where it
 * is, and the next pass tries again.
 */
export async function switchBack(context: PassContext, slot: Slot, rejected: string): Promise<void> {
  const container = (await context.runtime.containers(context.project)).find(
    ({ labels }) => labels.role === slot,
  );
  const identity = identityOf(container ?? null, parseSpec);
  if (container === undefined || identity === null) {
    throw new PointsmanError(
      'SwitchFailed',
      `revision ${rejected} failed its bake and the previous slot ${slot} is gone, so it keeps serving: revert the commit`,
    );
  }
  try {
    await goBack(context, slot, container, identity);
  } finally {
    context.report({ phase: null });
  }
}

async function goBack(
  context: PassContext,
  slot: Slot,
  container: ContainerFacts,
  identity: Identity,
): Promise<void> {
  context.report({ phase: 'probing' });
  if (container.state !== 'running') {
    const refusal = policyRefusal(context.settings.policy, identity.spec.source);
    if (refusal !== null) throw new PointsmanError('PolicyRefused', refusal);
    await context.runtime.start(container.id);
  }
  const target = probeTargetOf(container);
  await untilHealthy(context, container.id, target, target.health.withinMs, context.stopping, (step) =>
    context.report({ phase: 'probing', step }),
  );
  const { site } = await context.router.observe(context.project);
  await routeToSlot(context, site, slot, container, context.stopping);
  const observed = await observeBeforeSwitch(context);
  context.report({ phase: 'switching' });
  await moveTraffic(context, observed, container, {
    slot,
    identity,
    cause: 'bake-failed',
    isRollback: true,
  });
}

/**
 * What is there, before the journal announces a switch; an nginx that does not answer could not make it.
 * @throws PointsmanError NginxUnavailable, DockerUnavailable
 */
async function observeBeforeSwitch(context: PassContext): Promise<Observed> {
  const { project, router } = context;
  const [observed] = await Promise.all([observeProject(project, context), router.liveSlot(project)]);
  return observed;
}

/** Puts the slot's address into the site when it is another than the site knows. Resolves to whether that took a reload. */
async function routeToSlot(
  context: PassContext,
  site: Site | null,
  slot: Slot,
  container: ContainerFacts,
  signal: AbortSignal,
): Promise<boolean> {
  const spec = parseSpec(container.labels.spec);
  if (site === null || spec === null || container.address === null) return false;
  const wanted = {
    ...site,
    upstreams: { ...site.upstreams, [slot]: `${container.address}:${spec.run.port}` },
  };
  if (sameSite(site, wanted)) return false;
  const outcome = await context.routes.request(context.project, wanted, signal);
  if (outcome.kind !== 'applied')
    throw new PointsmanError('RouteRefused', `the site cannot take the slot's address: ${outcome.message}`);
  return true;
}

/** For the journal, before traffic moves to `to` or is led there again. */
export function switchEntry(
  project: string,
  { deployment, revision, configCommit, sourceCommit, image }: Identity,
  move: { readonly from: Slot | null; readonly to: Slot; readonly cause: SwitchCause },
): JournalEntry {
  const detail = { ...move, image };
  return { type: 'switch', project, deployment, revision, configCommit, sourceCommit, detail };
}

/** `observed` a moment ago, with `container` in the slot that is to be live. */
async function moveTraffic(
  context: PassContext,
  observed: Observed,
  container: ContainerFacts,
  how: {
    readonly slot: Slot;
    readonly identity: Identity;
    readonly cause: SwitchCause;
    readonly isRollback: boolean;
  },
): Promise<void> {
  const { project, journal, clock, router, runtime } = context;
  const { slot, identity } = how;
  const { live, containers } = observed;
  const leaving = live !== null && live.slot !== slot ? live.slot : null;
  const left = containers[otherSlot(slot)];
  const { revision, deployment } = identity;
  const intent = switchEntry(project, identity, { from: leaving, to: slot, cause: how.cause });
  await (how.cause === 'bake-failed' ? recordIfPossible(context, intent) : journal.append(intent));
  await context.drains.cancel(project);
  const record = recordOf(project, slot, identity, {
    since: new Date(clock.now()).toISOString(),
    isRollback: how.isRollback,
    previous: leaving === null || left === null ? null : left,
  });
  await router.switchTo(record, AbortSignal.timeout(switchTimeoutMs));
  context.log.info(
    { project, deployment, revision, from: leaving, to: slot, cause: how.cause },
    'traffic switched',
  );
  await runtime.setRestartPolicy(container.id, 'unless-stopped');
  const draining = left === null || leaving === null ? null : drainingOf(left, identity.spec.rollout.drainMs);
  if (draining !== null) context.drains.start({ project, ...draining });
  await context.showRoute(observed);
}

export function recordOf(
  project: string,
  slot: Slot,
  identity: Identity,
  more: { readonly since: string; readonly isRollback: boolean; readonly previous: ContainerFacts | null },
): SwitchRecord {
  const { revision, imageKey, image, configCommit, sourceCommit, deployment, spec } = identity;
  const previous =
    more.previous === null
      ? null
      : { deployment: more.previous.labels.deployment, revision: more.previous.labels.revision };
  const { since, isRollback } = more;
  return {
    version: 1,
    project,
    slot,
    revision,
    imageKey,
    image,
    configCommit,
    sourceCommit,
    deployment,
    since,
    isRollback,
    previous,
    spec: serialiseSpec(spec),
  };
}
