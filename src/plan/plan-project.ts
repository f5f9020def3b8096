/**
 * What to do about one project, from what is wanted and what is there. Pure and total: no I/O, clock,
 * randomness, logger or async; whatever cannot be done is `blocked` with a reason, never an exception.
 *
 * In this order, so that what serves comes first and what is new comes after it:
 *
 *   close      an open deployment that nobody goes on with
 *   keep       live container, switch and site files, restart policies, as the live slot's identity says
 *   go back    a live revision that failed its bake
 *   deploy     idle slot → build → release → start → probe → switch → bake
 *   let go     the slot that lost its traffic: drain, keep warm, retire; left-over candidates at once
 */
import { slots } from '../manifest/project.js';
import type { Project } from '../manifest/project.js';
import { isUndecided, planDeployment } from './plan-deployment.js';
import type { DeploymentPlan } from './plan-deployment.js';
import { planLettingGo } from './plan-letting-go.js';
import { planKeeping } from './plan-keeping.js';
import { withoutForbidden } from './plan-policy.js';
import { planRemoval } from './plan-removal.js';
import type { Plan, PlanInput, PlanState, Step } from './plan.js';
import { crashLoopExits } from './plan.js';

export function planProject(input: PlanInput): Plan {
  return withoutForbidden(planAny(input), input);
}

function planAny(input: PlanInput): Plan {
  const { want } = input;
  switch (want.kind) {
    case 'unknown':
      return keepOnly(input, isServed(input) ? 'live' : 'progressing', null);
    case 'absent':
      // What removes nothing needs no leave: the record of a project that never got as far as a container.
      return want.heldBecause === null || isNothing(input)
        ? planRemoval(input)
        : keepOnly(input, 'removing', { code: 'RemovalHeld', message: want.heldBecause });
    case 'invalid':
      return keepOnly(input, 'invalid', { code: 'ManifestInvalid', message: want.message });
    case 'unresolved':
      return want.project.suspend
        ? planSuspended(input)
        : keepOnly(input, 'failed', { code: want.code, message: want.message });
    case 'unpulled':
      return want.project.suspend ? planSuspended(input) : planPull(input, want.project, want.tag);
    case 'resolved':
      return want.project.suspend ? planSuspended(input) : planWanted(input);
  }
}

function isNothing({ observed }: PlanInput): boolean {
  const { containers, release, network, route } = observed;
  const slotsAreEmpty = slots.every((slot) => containers[slot] === null && route.switches[slot] === null);
  return slotsAreEmpty && release === null && network === null && !route.present;
}

/** What runs goes on running, and is kept so; nothing new starts. */
function keepOnly(input: PlanInput, state: PlanState, blocked: Plan['blocked']): Plan {
  const deployment = planDeployment(input, { onlyFinish: true });
  const lettingGo = planLettingGo(input, { deploys: deployment.step !== null || isUndecided(input) });
  return {
    project: input.project,
    steps: [...deployment.close, ...keeping(input, deployment), ...deployment.steps, ...lettingGo.steps],
    state,
    blocked,
    wakeAt: lettingGo.wakeAt,
  };
}

/** A first route comes with its deployment, which probes before it. */
function keeping(input: PlanInput, { step }: DeploymentPlan): readonly Step[] {
  const routes = step?.phases.includes('routing') ?? false;
  return planKeeping(input).filter(({ kind }) => !routes || kind !== 'site');
}

/** Nothing but nginx's own files is repaired; a bake that is on ends. */
function planSuspended(input: PlanInput): Plan {
  const deployment = planDeployment(input, { onlyFinish: true });
  const files = keeping(input, deployment).filter(
    (step) => step.kind === 'restore-switch' || step.kind === 'settle-switch' || step.kind === 'site',
  );
  return {
    project: input.project,
    steps: [...deployment.close, ...files, ...deployment.steps],
    state: 'suspended',
    blocked: null,
    wakeAt: null,
  };
}

function planPull(input: PlanInput, project: Project, tag: string): Plan {
  const reference = project.source.kind === 'image' ? project.source.image : tag;
  const kept = keepOnly(input, 'progressing', null);
  const pull: Step = { kind: 'pull', reference, tag, why: `${reference} is not resolved yet` };
  return {
    ...kept,
    steps: [...kept.steps.filter((step) => step.kind !== 'drain' && step.kind !== 'remove'), pull],
  };
}

function planWanted(input: PlanInput): Plan {
  const deployment = planDeployment(input, { onlyFinish: false });
  const lettingGo = planLettingGo(input, { deploys: deployment.step !== null });
  const steps = [
    ...deployment.close,
    ...keeping(input, deployment),
    ...deployment.steps,
    ...lettingGo.steps,
    ...forget(input),
  ];
  const crash = crashLoop(input);
  const blocked = deployment.blocked ?? crash;
  const isDone = deployment.step === null && isServed(input) && !steps.some(isRouteChange);
  return {
    project: input.project,
    steps,
    state: blocked !== null ? 'failed' : isDone ? 'live' : 'progressing',
    blocked,
    wakeAt: earliest(deployment.wakeAt, lettingGo.wakeAt),
  };
}

/** What the manifest asks for is not reachable before its route is. */
function isRouteChange(step: Step): boolean {
  return step.kind === 'site' && !step.drift;
}

/** Another revision is wanted by now: should the failed one be wanted again, it gets a fresh start. */
function forget({ want, memory, observed }: PlanInput): readonly Step[] {
  const { failure } = memory;
  if (failure === null || want.kind !== 'resolved' || want.revision === failure.revision) return [];
  if (observed.live?.identity?.revision !== want.revision) return [];
  return [{ kind: 'forget-failure', why: `revision ${failure.revision} is no longer wanted` }];
}

function isServed(input: PlanInput): boolean {
  const { live } = input.observed;
  return live !== null && live.routed && live.container?.state === 'running';
}

function crashLoop(input: PlanInput): Plan['blocked'] {
  const { live, containers } = input.observed;
  if (live === null || input.recentExits < crashLoopExits) return null;
  const before = slots.map((slot) => (slot === live.slot ? null : containers[slot])).find((c) => c !== null);
  const hint = before
    ? `revert to its previous revision ${before.labels.revision}`
    : 'revert the commit that brought it';
  return {
    code: 'CrashLooping',
    message: `the live container exited ${input.recentExits} times, again and again within 5 minutes: read \`pointsman logs ${input.project}\`, or ${hint}`,
  };
}

export function earliest(a: number | null, b: number | null): number | null {
  if (a === null) return b;
  return b === null ? a : Math.min(a, b);
}
