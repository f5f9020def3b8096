import { otherSlot } from '../manifest/project.js';
import { parseSpec } from '../manifest/spec.js';
import type { ContainerFacts } from '../runtime/port.js';
import { lastServing } from './plan-keeping.js';
import type { PlanInput, Step } from './plan.js';
import { drainingOf, isDrained, isPrevious } from './previous.js';

/**
 * The slot without traffic: a previous one is drained, kept warm, then retired; a rejected one is
 * drained and removed; a candidate that nobody goes on with is removed. `deploys`: a deployment is
 * due, which clears its slot itself.
 */
export function planLettingGo(
  input: PlanInput,
  options: { readonly deploys: boolean },
): { readonly steps: readonly Step[]; readonly wakeAt: number | null } {
  if (options.deploys) return { steps: [], wakeAt: null };
  const slotPlan = idleSlotPlan(input);
  return { steps: [...leftOverRelease(input), ...slotPlan.steps], wakeAt: slotPlan.wakeAt };
}

/** A release container that ended, of a deployment that nobody goes on with. A running one ends by itself. */
function leftOverRelease({ observed, memory }: PlanInput): readonly Step[] {
  const { release } = observed;
  if (
    release === null ||
    release.state === 'running' ||
    memory.open?.deployment === release.labels.deployment
  )
    return [];
  return [
    {
      kind: 'remove',
      role: 'release',
      container: release.id,
      stopTimeoutMs: 0,
      retires: null,
      why: 'its deployment ended',
    },
  ];
}

function idleSlotPlan(input: PlanInput): { readonly steps: readonly Step[]; readonly wakeAt: number | null } {
  const { observed, memory } = input;
  const { live } = observed;
  const removals = (container: ContainerFacts, why: string, retires: string | null): Step => ({
    kind: 'remove',
    role: container.labels.role,
    container: container.id,
    stopTimeoutMs: parseSpec(container.labels.spec)?.run.stopTimeoutMs ?? 10_000,
    retires,
    why,
  });
  // Its switch file comes back first: with it, what is left over is told from what serves.
  if (lastServing(input) !== null) return { steps: [], wakeAt: null };
  if (live === null) {
    const leftOver = [observed.containers.blue, observed.containers.green].filter((c) => c !== null);
    return {
      steps: leftOver.map((container) =>
        removals(container, 'its deployment ended before it got traffic', null),
      ),
      wakeAt: null,
    };
  }
  const slot = otherSlot(live.slot);
  const container = observed.containers[slot];
  if (container === null) return { steps: [], wakeAt: null };
  const { revision } = container.labels;
  const drained = isDrained(memory, container);
  if (!isPrevious(input, container)) {
    const why = 'its deployment ended before it got traffic';
    // A switch that was taken back, or whose record is lost, let requests in.
    const mayServe = !drained && drainingOf(container, drainMsOf(input)) !== null;
    return { steps: mayServe ? drainStep(input, container) : [removals(container, why, null)], wakeAt: null };
  }
  if (!drained) return { steps: drainStep(input, container), wakeAt: null };
  if (!live.routed || memory.open !== null) return { steps: [], wakeAt: null };
  const rejected = memory.failure?.rejected === true && memory.failure.revision === revision;
  if (rejected)
    return { steps: [removals(container, 'its revision failed its bake', revision)], wakeAt: null };
  const warmUntil = warmUntilOf(input);
  if (warmUntil <= input.now)
    return { steps: [removals(container, 'it was kept long enough', revision)], wakeAt: null };
  return { steps: [], wakeAt: warmUntil };
}

/** Of a container that is not drained yet. */
function drainStep(input: PlanInput, container: ContainerFacts): readonly Step[] {
  const draining = drainingOf(container, drainMsOf(input));
  if (draining === null || input.observed.live?.routed !== true) return [];
  return [{ kind: 'drain', ...draining, why: 'it lost its traffic' }];
}

function rolloutOf(input: PlanInput): { readonly drainMs: number; readonly keepPreviousMs: number } {
  if (input.want.kind === 'resolved' || input.want.kind === 'unresolved' || input.want.kind === 'unpulled') {
    return input.want.project.rollout;
  }
  return input.observed.live?.identity?.spec.rollout ?? { drainMs: 30_000, keepPreviousMs: 600_000 };
}

export function drainMsOf(input: PlanInput): number {
  return rolloutOf(input).drainMs;
}

/**
 * Milliseconds since the epoch until which the previous slot is kept running. At most `keepPrevious`
 * counts from now as well: a switch that lies in the future shows that the clock was set back, maybe by years.
 */
export function warmUntilOf(input: PlanInput): number {
  const since = input.observed.live?.record?.since ?? input.memory.switched?.at;
  const at = since === undefined ? Number.NaN : Date.parse(since);
  const { keepPreviousMs } = rolloutOf(input);
  if (Number.isNaN(at)) return input.now + keepPreviousMs;
  return at > input.now + keepPreviousMs ? input.now : at + keepPreviousMs;
}
