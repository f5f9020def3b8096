/**
 * One pass of one project: resolve → observe → plan → apply, again until there is nothing to do or
 * nothing that can be done now. Level-triggered: whatever happened before, it looks and goes on.
 */
import type { ApplyDeps, AttemptSlot, PassContext, Progress } from './apply/context.js';
import { applyStep } from './apply/apply-step.js';
import type { StepOutcome } from './apply/apply-step.js';
import { messageOf } from './errors.js';
import { withRoute } from './observe/observed.js';
import type { Observed } from './observe/observed.js';
import { parseSpec } from './manifest/spec.js';
import type { Journal } from './record/port.js';
import { planProject } from './plan/plan-project.js';
import type { Plan, PlanInput, Step } from './plan/plan.js';
import type { Want } from './resolve/want.js';

/** A project settles in three or four rounds; more means that two parties fight, and the next look goes on. */
const mostRounds = 12;

export interface ReconcileDeps extends ApplyDeps {
  resolve(project: string, signal: AbortSignal): Promise<Want>;
  /** A site file was asked for and waits for its turn. */
  sitePending(project: string): boolean;
  /** How often this container, the live one, exited lately. */
  recentExits(project: string, container: string | null): number;
  /** A round begins: what was asked for until now is seen by its look. */
  looking(): void;
  /** What is there now. */
  observe(project: string): Promise<Observed>;
}

export interface PassView {
  readonly input: PlanInput;
  readonly plan: Plan;
  /** What a step could not do now, over what the plan knew. */
  readonly waiting: Plan['blocked'];
}

export interface PassListener {
  view(project: string, view: PassView): void;
  progress(project: string, progress: Progress): void;
}

/** Runs one pass. Rejects when a step failed for a reason outside a deployment; the caller tries again later. */
export async function reconcile(
  project: string,
  deps: ReconcileDeps,
  attempt: AttemptSlot,
  listener: PassListener,
  stopping: AbortSignal,
): Promise<PassView> {
  for (let round = 1; ; round += 1) {
    stopping.throwIfAborted();
    attempt.changed = false;
    deps.looking();
    const view = await lookAndPlan(project, deps, stopping);
    listener.view(project, view);
    if (view.plan.steps.length === 0 || round > mostRounds) return view;
    const context: PassContext = {
      ...deps,
      project,
      observed: view.input.observed,
      stopping,
      attempt,
      report: (progress) => listener.progress(project, progress),
      showRoute: (seen) => showRoute(view, seen, deps, listener),
    };
    const outcome = await applySteps(view.plan.steps, context);
    if (outcome.kind === 'changed') continue;
    const waiting = outcome.kind === 'waiting' ? { code: outcome.code, message: outcome.message } : null;
    const last = { ...view, waiting };
    listener.view(project, last);
    return last;
  }
}

/** Traffic moves in the middle of a deployment, and status says where it goes (SPEC section 7). */
export async function showRoute(
  view: PassView,
  seen: Observed,
  deps: Pick<ReconcileDeps, 'router' | 'journal' | 'log'>,
  listener: Pick<PassListener, 'view'>,
): Promise<void> {
  const { project } = view.input;
  try {
    const route = await deps.router.observe(project);
    const observed = withRoute(seen, route, parseSpec);
    const memory = deps.journal.memory.project(project);
    listener.view(project, { ...view, input: { ...view.input, observed, memory } });
  } catch (error) {
    deps.log.warn({ project, error: messageOf(error) }, 'status lags behind');
  }
}

export async function lookAndPlan(
  project: string,
  deps: Pick<ReconcileDeps, 'resolve' | 'observe' | 'clock' | 'recentExits' | 'sitePending' | 'settings'> & {
    readonly journal: Pick<Journal, 'memory'>;
  },
  signal: AbortSignal,
): Promise<PassView> {
  const want = await deps.resolve(project, signal);
  const observed = await deps.observe(project);
  const input: PlanInput = {
    project,
    want,
    observed,
    memory: deps.journal.memory.project(project),
    policy: deps.settings.policy,
    sitePending: deps.sitePending(project),
    recentExits: deps.recentExits(project, observed.live?.container?.id ?? null),
    now: deps.clock.now(),
  };
  return { input, plan: planProject(input), waiting: null };
}

/**
 * Steps in order. What keeps the live slot alive may fail without holding up a newer deployment; the
 * failure is thrown after it.
 */
async function applySteps(steps: readonly Step[], context: PassContext): Promise<StepOutcome> {
  let failure: Error | null = null;
  let waiting: StepOutcome | null = null;
  let anyChanged = false;
  for (const step of steps) {
    context.stopping.throwIfAborted();
    try {
      const outcome = await applyStep(step, context);
      if (outcome.kind === 'waiting') waiting = outcome;
      if (outcome.kind === 'changed') anyChanged = true;
      if (looksAgain.has(step.kind)) break;
    } catch (error) {
      context.stopping.throwIfAborted();
      // The first is thrown, and told by whoever asked for the pass.
      const level = failure === null ? 'debug' : 'warn';
      const fields = { project: context.project, step: step.kind, error: messageOf(error) };
      context.log[level](fields, 'step failed');
      failure ??= error instanceof Error ? error : new Error(String(error));
      if (!upkeep.has(step.kind)) break;
    }
  }
  if (failure !== null) throw failure;
  if (anyChanged) return { kind: 'changed' };
  return waiting ?? { kind: 'background' };
}

/**
 * A deployment and a batch of routes take long, and everything may have changed meanwhile: a container
 * that was down may serve again. A container made again is another one, and a switch file that is back
 * says again what the other slot is.
 */
const looksAgain: ReadonlySet<Step['kind']> = new Set([
  'deploy',
  'switch-back',
  'close',
  'recreate',
  'restore-switch',
  'unroute',
]);

/** `close` is a record alone: a journal that takes none must not hold up repairs and the way back. */
const upkeep: ReadonlySet<Step['kind']> = new Set([
  'close',
  'restore-switch',
  'settle-switch',
  'recreate',
  'start',
  'set-restart-policy',
  'site',
  'switch-back',
]);
