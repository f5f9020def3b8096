import { PointsmanError } from '../errors.js';
import { otherSlot } from '../manifest/project.js';
import type { Slot } from '../manifest/project.js';
import type { Identity } from '../observe/observed.js';
import type { Step } from '../plan/plan.js';
import type { ContainerFacts } from '../runtime/port.js';
import type { PassContext } from './context.js';
import { identitySpec } from './container-spec.js';
import { deploy } from './deploy.js';
import { pullImage } from './pull.js';
import { recordIfPossible } from './record.js';
import { stopAndRemove } from './remove.js';
import { recordOf, switchBack, switchEntry } from './switch.js';

/** `changed`: look again. `background`: it goes on beside the pass. `waiting`: nothing more can be done in this pass. */
export type StepOutcome =
  | { readonly kind: 'changed' }
  | { readonly kind: 'background' }
  | { readonly kind: 'waiting'; readonly code: 'DomainHeld' | 'RouteRefused'; readonly message: string };

const changed: StepOutcome = { kind: 'changed' };

/** Does one step. Each is idempotent: done twice, it ends in the same state. */
export async function applyStep(step: Step, context: PassContext): Promise<StepOutcome> {
  const { project, runtime, router, journal } = context;
  switch (step.kind) {
    case 'close':
      await closeDeployment(context, step.why);
      return changed;
    case 'restore-switch':
      return drift(context, `switch file of ${step.slot}: ${step.why}`, () =>
        restoreSwitch(context, step.slot, step.identity),
      );
    case 'settle-switch':
      return drift(context, step.why, () => settleSwitch(context, step.slot));
    case 'recreate':
      return drift(context, `container of ${step.slot}: ${step.why}`, () =>
        recreate(context, step.slot, step.identity),
      );
    case 'start':
      return drift(context, `container of ${step.slot}: ${step.why}`, () => runtime.start(step.container));
    case 'set-restart-policy':
      await runtime.setRestartPolicy(step.container, step.policy);
      return changed;
    case 'site':
      return applySite(step, context);
    case 'pull':
      await pullImage(context, step.reference, step.tag);
      return changed;
    case 'deploy':
      await deploy(step, context);
      return changed;
    case 'switch-back':
      await switchBack(context, step.slot, context.observed.live?.identity?.revision ?? 'of the live slot');
      return changed;
    case 'drain':
      context.drains.start({ ...step, project });
      return { kind: 'background' };
    case 'remove':
      await remove(step, context);
      return changed;
    case 'forget-failure':
      await journal.append({ type: 'retry', project, detail: {} });
      return changed;
    case 'unroute':
      return unroute(context, step.configCommit);
    case 'empty-slots':
      await context.drains.cancel(project);
      await context.drains.untilEmpty(step.upstreams, step.drainMs, context.stopping, () => undefined);
      return changed;
    case 'clear-switch':
      await router.clearSwitch(project);
      return changed;
    case 'remove-network':
      await runtime.removeNetwork(project);
      return changed;
  }
}

/** Repairs are history too: found before the effect, done after it. Of a site file, which may be refused, see `applySite`. */
async function drift(context: PassContext, what: string, repair: () => Promise<void>): Promise<StepOutcome> {
  const { project, log } = context;
  await recordDrift(context, { event: 'found', what });
  log.warn({ project, what }, 'drift found');
  await repair();
  await recordDrift(context, { event: 'done', what });
  log.info({ project, what }, 'drift repaired');
  return changed;
}

function recordDrift(
  context: PassContext,
  detail: { readonly event: 'found' | 'done'; readonly what: string },
): Promise<void> {
  return recordIfPossible(context, { type: 'drift', project: context.project, detail });
}

async function closeDeployment(context: PassContext, why: string): Promise<void> {
  const { project, journal } = context;
  const { open } = journal.memory.project(project);
  if (open === null) return;
  const { deployment, phase, revision, configCommit, sourceCommit } = open;
  await journal.append({
    type: 'deployment',
    project,
    deployment,
    from: phase,
    to: 'cancelled',
    revision,
    configCommit,
    sourceCommit,
    detail: { message: why },
  });
}

/** The record again, from the live container or what is left of the old record. */
async function restoreSwitch(context: PassContext, slot: Slot, identity: Identity): Promise<void> {
  const { observed, journal, project, router } = context;
  const memory = journal.memory.project(project);
  const other = observed.containers[otherSlot(slot)];
  await recordIfPossible(context, switchEntry(project, identity, { from: null, to: slot, cause: 'repair' }));
  await router.restoreSwitch(
    recordOf(project, slot, identity, {
      since: memory.switched?.to === slot ? memory.switched.at : new Date(context.clock.now()).toISOString(),
      isRollback: false,
      previous:
        other !== null && mayHaveBeenLive(other, observed.containers[slot], memory.wasLive) ? other : null,
    }),
  );
}

/** By the journal; without it, whatever is older than the live container is taken for the previous one. */
function mayHaveBeenLive(
  other: ContainerFacts,
  live: ContainerFacts | null,
  wasLive: readonly string[],
): boolean {
  return wasLive.includes(other.labels.revision) || (live !== null && other.createdAt < live.createdAt);
}

async function settleSwitch(context: PassContext, slot: Slot): Promise<void> {
  const record = context.observed.route.switches[slot]?.record;
  if (record !== null && record !== undefined) await context.router.switchTo(record, context.stopping);
}

async function recreate(context: PassContext, slot: Slot, identity: Identity): Promise<void> {
  const { runtime, observed, project } = context;
  const dead = observed.containers[slot];
  if (dead !== null) await runtime.remove(dead.id);
  if ((await runtime.image(identity.image)) === null) {
    throw new PointsmanError(
      'StartFailed',
      `the live container of ${project} is gone and so is its image ${identity.image.slice(0, 19)}: commit a change, or pull or build that image again`,
    );
  }
  const id = await runtime.create(await identitySpec(context, identity, slot));
  await runtime.start(id);
}

async function applySite(step: Extract<Step, { kind: 'site' }>, context: PassContext): Promise<StepOutcome> {
  const { project, routes, log } = context;
  const outcome = await routes.request(project, step.site, context.stopping);
  if (outcome.kind === 'applied') {
    // Not before: what is refused is asked for again at each sync, and told of as what holds the project up.
    if (step.drift) {
      log.warn({ project, what: step.why }, 'drift found');
      for (const event of ['found', 'done'] as const)
        await recordDrift(context, { event, what: `site file: ${step.why}` });
    }
    log.info({ project, domains: step.site.route.domains, why: step.why }, 'site file written');
    return changed;
  }
  const code = outcome.kind === 'held' ? 'DomainHeld' : 'RouteRefused';
  return { kind: 'waiting', code, message: outcome.message };
}

async function unroute(context: PassContext, configCommit: string): Promise<StepOutcome> {
  const { project, journal } = context;
  await journal.append({
    type: 'removal',
    project,
    configCommit,
    detail: { event: 'started' },
  });
  const outcome = await context.routes.request(project, null, context.stopping);
  if (outcome.kind === 'applied') return changed;
  return {
    kind: 'waiting',
    code: outcome.kind === 'held' ? 'DomainHeld' : 'RouteRefused',
    message: outcome.message,
  };
}

async function remove(step: Extract<Step, { kind: 'remove' }>, context: PassContext): Promise<void> {
  const { project, runtime, journal, log, observed } = context;
  if (step.role === 'release' && observed.release?.state === 'running')
    await runtime.waitForExit(step.container, context.stopping);
  await stopAndRemove(context, step.container, step.stopTimeoutMs);
  log.info(
    { project, role: step.role, container: step.container.slice(0, 12), why: step.why },
    'container removed',
  );
  if (step.retires !== null && step.role !== 'release') {
    await journal.append({
      type: 'previous',
      project,
      revision: step.retires,
      detail: { event: 'retired', slot: step.role, inFlight: null },
    });
  }
}
