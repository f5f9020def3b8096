import PQueue from 'p-queue';
import type { ApplyDeps, AttemptSlot } from '../apply/context.js';
import { recordIfPossible } from '../apply/record.js';
import { backoffMs } from '../apply/failure.js';
import type { Clock } from '../clock.js';
import type { DesiredProjects } from '../desired-projects.js';
import { PointsmanError, isAbort, messageOf, reactionTo } from '../errors.js';
import type { ErrorCode } from '../errors.js';
import type { Logger } from '../log.js';
import type { Plan } from '../plan/plan.js';
import { reconcile } from '../reconcile.js';
import type { PassView, ReconcileDeps } from '../reconcile.js';
import type { Journal } from '../record/port.js';
import type { Want } from '../resolve/want.js';
import type { Settings } from '../settings/settings.js';
import type { StatusKeeper } from '../status-keeper.js';
import type { Background } from './background.js';
import { observeProject } from '../observe/observe-project.js';
import { CrashCounter } from './crash-counter.js';
import { Housekeeping } from './housekeeping.js';
import { Resolutions } from './resolutions.js';
import { Timers } from './timers.js';
import { WorkQueue } from './work-queue.js';

/** Projects looked at at the same time: the engine answers a filtered list in about 1 ms. */
const looksAtOnce = 8;
/** `run --once` waits for retries that are due; their timers have no event of their own. */
const settlePollMs = 50;

export interface PassesDeps {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly log: Logger;
  readonly journal: Journal;
  readonly desired: DesiredProjects;
  readonly status: StatusKeeper;
  readonly apply: ApplyDeps;
  readonly housekeeping: Housekeeping;
  readonly background: Background;
  readonly stopping: AbortSignal;
  /** Without an engine no pass can look at anything: it is made when the engine is found. */
  isEngineUp(): boolean;
}

/** Passes of projects: asked for by whoever saw a change, and again when a retry or retirement is due. */
export class Passes {
  readonly #queue: WorkQueue;
  readonly #timers: Timers;
  readonly #reconcileDeps: Omit<ReconcileDeps, 'looking'>;
  readonly #attempts = new Map<string, AttemptSlot>();
  /** How often passes failed in a row outside of a deployment. */
  readonly #faults = new Map<string, number>();
  readonly #exits: CrashCounter;
  /** Why projects are held up, as the log was told. */
  readonly #blocked = new Map<string, string>();
  readonly #resolutions: Resolutions;

  constructor(private readonly deps: PassesDeps) {
    const { clock, log, apply } = deps;
    const looks = new PQueue({ concurrency: looksAtOnce });
    this.#resolutions = new Resolutions({
      ...deps,
      onKnown: (project) => this.trigger(project),
    });
    this.#exits = new CrashCounter(clock);
    this.#timers = new Timers(clock, (project) => this.trigger(project));
    this.#queue = new WorkQueue((project, looking) => this.#pass(project, looking), log);
    this.#reconcileDeps = {
      ...apply,
      resolve: (project) => this.#resolutions.resolve(project),
      observe: (project) => looks.add(() => observeProject(project, apply)),
      sitePending: (project) => apply.routes.isPending(project),
      recentExits: (project, container) => this.#exits.count(project, container),
    };
  }

  trigger(project: string): void {
    const { stopping, isEngineUp } = this.deps;
    if (stopping.aborted) return;
    this.#timers.cancel(project);
    if (isEngineUp()) this.#queue.trigger(project);
  }

  /** What is wanted of these may have changed: a deployment in hand may be superseded. */
  triggerDesired(projects: Iterable<string>): void {
    for (const project of projects) {
      this.#resolutions.forget(project);
      // A pass that begins only now looks after the change anyway.
      const slot = this.#attempts.get(project);
      this.trigger(project);
      if (slot === undefined) continue;
      slot.changed = true;
      if (slot.current !== null) this.deps.background.add(this.#supersede(project));
    }
  }

  /** Forgets how often it failed and crashed. False when it did not. */
  forgive(project: string): boolean {
    const hadFaults = this.#faults.delete(project);
    return this.#exits.forget(project) || hadFaults;
  }

  /** Its live container exited. */
  exited(project: string, container: string): void {
    this.#exits.add(project, container);
  }

  /** Resolves when nothing is on and nothing is due but what only time can bring (`keepPrevious`). */
  async settled(signal: AbortSignal): Promise<void> {
    const { clock, apply } = this.deps;
    for (;;) {
      signal.throwIfAborted();
      await this.#queue.idle();
      if (this.#resolutions.size > 0) await this.#resolutions.known();
      if (apply.drains.active > 0) await apply.drains.allSettled();
      else if (this.#timers.pending('retry') > 0) await clock.sleep(settlePollMs, signal);
      else if (this.#queue.size === 0 && this.#resolutions.size === 0) return;
    }
  }

  /** Makes no new passes and resolves when those in hand have ended. */
  async close(): Promise<void> {
    this.#timers.close();
    await this.#queue.close();
  }

  async #supersede(project: string): Promise<void> {
    const { desired, stopping, log } = this.deps;
    const slot = this.#attempts.get(project);
    const attempt = slot?.current ?? null;
    if (attempt === null) return;
    try {
      const want = await desired.resolve(project, stopping);
      if (slot?.current === attempt && isNewer(want, attempt.revision)) attempt.supersede(want);
    } catch (error) {
      stopping.throwIfAborted();
      // The deployment goes on, and the pass after it looks again.
      log.warn({ project, error: messageOf(error) }, 'what is wanted now cannot be resolved');
    }
  }

  async #pass(project: string, looking: () => void): Promise<void> {
    const { status, log, stopping } = this.deps;
    const attempt = this.#attempts.get(project) ?? { current: null, changed: false };
    this.#attempts.set(project, attempt);
    try {
      const deps = { ...this.#reconcileDeps, looking };
      await this.#ended(project, await reconcile(project, deps, attempt, status, stopping));
    } catch (error) {
      if (stopping.aborted || isAbort(error, stopping)) return;
      const code: ErrorCode | 'Unexpected' = error instanceof PointsmanError ? error.code : 'Unexpected';
      if (code === 'Unexpected') log.error({ project, err: error }, 'pass failed unexpectedly');
      else log.warn({ project, code, error: messageOf(error) }, 'pass failed');
      if (code === 'SecretKeyMissing') await this.#ensureSecretKey();
      this.#tryLater(project, code, messageOf(error));
    } finally {
      this.#attempts.delete(project);
    }
  }

  async #ended(project: string, view: PassView): Promise<void> {
    const { status, clock, apply, housekeeping } = this.deps;
    const { plan, waiting } = view;
    const { want } = view.input;
    if (want.kind === 'unresolved' && reactionTo(want.code) === 'retry')
      return this.#tryLater(project, want.code, want.message);
    this.#faults.delete(project);
    status.fault(project, null);
    if (want.kind === 'unresolved' && want.code === 'SecretKeyMissing' && (await this.#ensureSecretKey()))
      this.trigger(project);
    await this.#tellBlocked(project, plan.blocked ?? waiting);
    if (waiting === null) apply.routes.withdraw(project);
    if (plan.wakeAt !== null)
      this.#timers.set(project, plan.wakeAt - clock.now(), plan.blocked === null ? 'retire' : 'retry');
    if (plan.state === 'gone') await this.#forget(project);
    if (plan.state === 'live') await housekeeping.collect(view.input);
  }

  /** It was made when the engine was found; what kept it from being made then may be gone, or the key is. */
  async #ensureSecretKey(): Promise<boolean> {
    const { housekeeping, stopping, log } = this.deps;
    try {
      return await housekeeping.ensureSecretKey();
    } catch (error) {
      stopping.throwIfAborted();
      log.warn({ error: messageOf(error) }, 'whether a key of secret hashes may be made cannot be told');
      return false;
    }
  }

  /** Once, when it begins and when the reason becomes another one. The end of a deployment is in the journal already. */
  async #tellBlocked(project: string, blocked: Plan['blocked']): Promise<void> {
    const code = blocked?.code ?? null;
    if (code === (this.#blocked.get(project) ?? null)) return;
    if (code === null) this.#blocked.delete(project);
    else this.#blocked.set(project, code);
    if (blocked === null) return;
    const { journal, log } = this.deps;
    const { message } = blocked;
    log.warn({ project, code, message }, 'project is held up');
    if (journal.memory.project(project).failure?.reason !== blocked.code)
      await recordIfPossible(this.deps, {
        type: 'problem',
        project,
        detail: { code: blocked.code, message },
      });
  }

  /** Nothing of it is left: its removal is done. */
  async #forget(project: string): Promise<void> {
    const { journal, desired, status, apply, clock } = this.deps;
    if (journal.memory.projects().includes(project)) {
      const configCommit = desired.commit ?? '';
      await journal.append({ type: 'removal', project, configCommit, detail: { event: 'done' } });
      await apply.deploymentLogs.retire(project, clock.now());
    }
    this.#blocked.delete(project);
    status.forget(project);
  }

  /** A pass failed outside a deployment: again with backoff, without limit. */
  #tryLater(project: string, code: string, message: string): void {
    const { settings, status, clock } = this.deps;
    const attempts = (this.#faults.get(project) ?? 0) + 1;
    this.#faults.set(project, attempts);
    const delay = backoffMs(settings.retries, attempts);
    const retryAt = new Date(clock.now() + delay).toISOString();
    status.fault(project, { code, message, retryAt });
    this.#timers.set(project, delay, 'fault');
  }
}

/** Whether a deployment of `revision` should make room for what is wanted now. */
function isNewer(want: Want, revision: string): boolean {
  switch (want.kind) {
    case 'resolved':
      return want.project.suspend || want.revision !== revision;
    case 'unpulled':
      return true;
    case 'absent':
      return want.heldBecause === null;
    case 'unresolved':
      return want.project.suspend;
    case 'invalid':
    case 'unknown':
      return false;
  }
}
