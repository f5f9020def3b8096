/**
 * The deployment that is due, if any.
 *
 *   live revision is the wanted one                    nothing, or the bake that a crash cut short
 *   live revision was rejected by its bake             switch back to the previous slot
 *   wanted revision failed for good, or waits          blocked, with the reason
 *   idle slot holds the wanted revision, live before   start if dead → probe → switch → bake   (rollback)
 *   idle slot holds our open attempt                   go on where it stopped
 *   otherwise                                          build → release → clear → start → probe → switch → bake
 */
import { reactionTo } from '../errors.js';
import { parseSpec } from '../manifest/spec.js';
import { otherSlot } from '../manifest/project.js';
import { identityOf, idleSlot } from '../observe/observed.js';
import type { Identity } from '../observe/observed.js';
import type { ContainerFacts } from '../runtime/port.js';
import type { ResolvedWant } from '../resolve/want.js';
import { imageIsGone, lastServing } from './plan-keeping.js';
import type { DeployPhase, DeployStep, DeployTarget, Plan, PlanInput, Step } from './plan.js';
import { isPrevious } from './previous.js';

export interface DeploymentPlan {
  /** Closes an open deployment that nobody goes on with. */
  readonly close: readonly Step[];
  readonly step: DeployStep | null;
  /** `step` and a switch back, in order. */
  readonly steps: readonly Step[];
  readonly blocked: Plan['blocked'];
  readonly wakeAt: number | null;
}

/** `onlyFinish`: start nothing, but end a bake that was on. */
export function planDeployment(input: PlanInput, options: { readonly onlyFinish: boolean }): DeploymentPlan {
  const { memory } = input;
  if (lastServing(input) !== null) return nothing;
  const finish = finishOpen(input);
  if (finish !== null) return { close: [], step: finish, steps: [finish], blocked: null, wakeAt: null };
  const due = options.onlyFinish || input.want.kind !== 'resolved' ? nothing : planDue(input, input.want);
  const goesOn = due.step?.resumes?.deployment === memory.open?.deployment;
  const back = switchBack(input);
  // Where what was live before is no good either, the commit that mends it is still tried.
  if (back !== null)
    return {
      close: goesOn ? [] : close(input, 'its revision was rejected'),
      step: due.step,
      steps: [...back.steps, ...due.steps],
      blocked: due.step === null ? back.blocked : null,
      wakeAt: due.wakeAt,
    };
  return { ...due, close: goesOn || isUndecided(input) ? [] : close(input, 'it was superseded') };
}

/** Whether an open deployment goes on can be told only when its manifest or source can be read again. */
export function isUndecided({ want }: PlanInput): boolean {
  return want.kind === 'unknown' || (want.kind === 'unresolved' && reactionTo(want.code) === 'retry');
}

const nothing = {
  close: [],
  step: null,
  steps: [],
  blocked: null,
  wakeAt: null,
} as const satisfies DeploymentPlan;

function close({ memory }: PlanInput, why: string): readonly Step[] {
  return memory.open === null ? [] : [{ kind: 'close', deployment: memory.open.deployment, why }];
}

/** The switch happened and the controller died before the outcome: the bake runs again in full. */
function finishOpen(input: PlanInput): DeployStep | null {
  const { memory, observed, want } = input;
  const { open } = memory;
  const { live } = observed;
  if (open === null || live === null || live.identity === null) return null;
  if (open.phase !== 'switching' && open.phase !== 'baking') return null;
  if (live.slot !== open.slot || live.identity.revision !== open.revision) {
    return null;
  }
  if ((live.record ?? live.identity).deployment !== open.deployment) return null;
  const previous = observed.containers[otherSlot(live.slot)];
  if (
    want.kind === 'resolved' &&
    want.revision !== open.revision &&
    want.revision === previous?.labels.revision
  )
    return null;
  // Without its record: an update has the version before it in the other slot.
  const first = live.record === null ? previous === null : live.record.previous === null;
  const target = targetOf(live.identity);
  return {
    kind: 'deploy',
    slot: live.slot,
    target,
    phases: first
      ? observed.route.present
        ? []
        : ['routing']
      : target.project.health.bakeMs === 0
        ? []
        : ['baking'],
    cause: 'deploy',
    isRollback: open.isRollback,
    attempt: open.attempt,
    resumes: { deployment: open.deployment, phase: open.phase },
    why: 'it was switched to, and its bake did not end',
  };
}

function targetOf(identity: Identity): DeployTarget {
  const { spec, revision, imageKey, image, configCommit, sourceCommit } = identity;
  return { project: spec, revision, imageKey, tag: '', image, tree: null, configCommit, sourceCommit };
}

function switchBack(
  input: PlanInput,
): { readonly steps: readonly Step[]; readonly blocked: Plan['blocked'] } | null {
  const { observed, memory } = input;
  const { live } = observed;
  if (
    live === null ||
    memory.failure?.rejected !== true ||
    live.identity?.revision !== memory.failure.revision
  )
    return null;
  const slot = otherSlot(live.slot);
  const container = observed.containers[slot];
  const identity = identityOf(container, parseSpec);
  const blocked = { code: 'BakeFailed' as const, message: memory.failure.message };
  if (container === null || identity === null) {
    return {
      steps: [],
      blocked: {
        ...blocked,
        message: `${blocked.message}; the previous slot is gone, so it keeps serving: revert the commit`,
      },
    };
  }
  const why = `revision ${memory.failure.revision} failed its bake`;
  return { steps: [{ kind: 'switch-back', slot, identity, container: container.id, why }], blocked };
}

function planDue(input: PlanInput, want: ResolvedWant): DeploymentPlan {
  const { observed, memory, now } = input;
  if (
    observed.live?.identity?.revision === want.revision &&
    !(observed.live.container === null && imageIsGone(input))
  ) {
    return nothing;
  }
  const failure = memory.failure?.revision === want.revision ? memory.failure : null;
  if (failure !== null) {
    const blocked = { code: failure.reason, message: failure.message };
    if (failure.final || failure.rejected) return { ...nothing, blocked };
    const retryAt = retryAtOf(failure.nextRetryAt, memory.last?.finishedAt, now);
    if (retryAt > now) return { ...nothing, blocked, wakeAt: retryAt };
  }
  const slot = idleSlot(observed);
  const stranger = observed.strangers[slot];
  if (stranger !== null) {
    const name = `pointsman-${input.project}-${slot}`;
    const message =
      stranger.instance === null
        ? `container name ${name} is held by container ${stranger.id.slice(0, 12)}, which is not ours: rename or remove it`
        : `container name ${name} belongs to the instance ${JSON.stringify(stranger.instance)}: the instances of one engine share the names of projects, so rename this project or that one`;
    return { ...nothing, blocked: { code: 'NameTaken', message } };
  }
  const step = deployStep(input, want);
  return { ...nothing, step, steps: [step] };
}

/** At once when the attempt before ended in the future: the clock was set back, maybe by years. */
function retryAtOf(nextRetryAt: string | null, finishedAt: string | undefined, now: number): number {
  const isFromFuture = finishedAt !== undefined && Date.parse(finishedAt) > now;
  return nextRetryAt === null || isFromFuture ? now : Date.parse(nextRetryAt);
}

function deployStep(input: PlanInput, want: ResolvedWant): DeployStep {
  const { observed, memory } = input;
  const slot = idleSlot(observed);
  const container = observed.containers[slot];
  const holds = container?.labels.revision === want.revision ? container : null;
  const warm = holds !== null && isPrevious(input, holds);
  const open = memory.open?.revision === want.revision ? memory.open : null;
  const adopted = !warm && holds !== null && open !== null && holds.labels.deployment === open.deployment;
  const isRollback = warm || memory.wasLive.includes(want.revision);
  return {
    kind: 'deploy',
    slot,
    target: want,
    phases: phasesOf(input, want, { warm, adopted: adopted ? holds : null, isRollback }),
    cause: isRollback ? 'rollback' : 'deploy',
    isRollback,
    attempt: open?.attempt ?? (memory.failure?.revision === want.revision ? memory.failure.attempts : 0) + 1,
    resumes: open === null ? null : { deployment: open.deployment, phase: open.phase },
    why: whyDeploy(input, want, warm),
  };
}

function phasesOf(
  input: PlanInput,
  want: ResolvedWant,
  how: { readonly warm: boolean; readonly adopted: ContainerFacts | null; readonly isRollback: boolean },
): readonly DeployPhase[] {
  const { observed, memory } = input;
  const slot = idleSlot(observed);
  const bake: readonly DeployPhase[] =
    observed.live === null || want.project.health.bakeMs === 0 ? [] : ['baking'];
  const route: readonly DeployPhase[] = observed.live === null && !observed.route.present ? ['routing'] : [];
  const end: readonly DeployPhase[] = ['probing', 'switching', ...route, ...bake];
  if (how.warm) return observed.containers[slot]?.state === 'running' ? end : ['starting', ...end];
  if (how.adopted !== null) return how.adopted.state === 'created' ? ['starting', ...end] : end;
  const released =
    want.project.release === null ||
    how.isRollback ||
    (memory.open?.revision === want.revision &&
      ['starting', 'probing', 'switching'].includes(memory.open.phase));
  return [
    ...(want.image === null ? (['building'] as const) : []),
    ...(released ? [] : (['releasing'] as const)),
    ...(observed.containers[slot] === null ? [] : (['clearing'] as const)),
    'starting',
    ...end,
  ];
}

function whyDeploy({ observed, memory }: PlanInput, want: ResolvedWant, warm: boolean): string {
  const live = observed.live?.identity ?? null;
  if (live === null) return 'nothing is live yet';
  if (live.revision === want.revision) return 'the live container and its image are gone';
  const back = warm
    ? ', which still runs in the other slot'
    : memory.wasLive.includes(want.revision)
      ? ', which was live before'
      : '';
  const what = live.imageKey === want.imageKey ? 'its settings changed' : 'its image changed';
  return `${what}: from revision ${live.revision} to ${want.revision}${back}`;
}
