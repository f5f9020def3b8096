/**
 * The controller: triggers → work queue → passes.
 *
 *   starting   router laid out, engine found and locked, config repository read
 *   running    passes on: a new commit or source, a Docker event, a changed nginx file, a retry or
 *              retirement that is due, a full look every 5 minutes
 *   stopping   nothing new; deployments in hand stop where they are and go on at the next start
 *
 * Traffic never depends on it: whatever it does not do, nginx and the engine go on.
 */
import type { ApplyDeps, AttemptSlot } from './apply/context.js';
import { backoffMs } from './apply/failure.js';
import { recordIfPossible } from './apply/record.js';
import type { Drains } from './apply/drain.js';
import type { RouteBatcher } from './apply/route-batcher.js';
import type { Clock } from './clock.js';
import { CrashCounter } from './crash-counter.js';
import { DesiredProjects } from './desired-projects.js';
import { PointsmanError, isAbort, messageOf, reactionTo } from './errors.js';
import type { ErrorCode } from './errors.js';
import { Housekeeping, existingProjects } from './housekeeping.js';
import type { Logger } from './log.js';
import { reconcile } from './reconcile.js';
import type { PassView, ReconcileDeps } from './reconcile.js';
import type { ControlReply } from './record/control.js';
import type { Journal } from './record/port.js';
import { StatusKeeper } from './status-keeper.js';
import type { Want } from './resolve/want.js';
import type { Router } from './router/port.js';
import type { ContainerRuntime, RuntimeEvent } from './runtime/port.js';
import type { Settings } from './settings/settings.js';
import { Timers } from './timers.js';
import { WorkQueue } from './work-queue.js';
import { setMaxListeners } from 'node:events';
import PQueue from 'p-queue';

/** Projects looked at at the same time: the engine answers a filtered list in about 1 ms. */
const looksAtOnce = 8;
/** A full look besides all events (SPEC section 10). */
const fullLookMs = 5 * 60_000;
const collectMs = 24 * 3_600_000;
/** `run --once` waits for retries that are due; their timers have no event of their own. */
const settlePollMs = 50;
/** Between attempts to reach an engine or an nginx that does not answer. */
const reconnectMs = { first: 500, most: 10_000 };

export interface ControllerDeps {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly log: Logger;
  readonly runtime: ContainerRuntime;
  readonly router: Router;
  readonly journal: Journal;
  readonly desired: DesiredProjects;
  readonly status: StatusKeeper;
  /** Made by the composition, given callbacks of the controller. */
  readonly apply: (callbacks: {
    trigger(project: string): void;
    claims(): ReadonlyMap<string, string>;
  }) => ApplyDeps & {
    readonly drains: Drains;
    readonly routes: RouteBatcher;
  };
  /** Refuses a second controller of this instance on the engine. @throws PointsmanError AlreadyRunning */
  lockEngine(engineId: string): Promise<void>;
}

export class Controller {
  readonly #deps: ControllerDeps;
  readonly #reconcileDeps: ReconcileDeps;
  readonly #apply: ReturnType<ControllerDeps['apply']>;
  readonly #queue: WorkQueue;
  readonly #timers: Timers;
  readonly #looks = new PQueue({ concurrency: looksAtOnce });
  readonly #attempts = new Map<string, AttemptSlot>();
  readonly #faults = new Map<string, number>();
  readonly #exits: CrashCounter;
  readonly #housekeeping: Housekeeping;
  readonly #stopping = new AbortController();
  readonly #loops: Promise<void>[] = [];
  readonly #closers: (() => Promise<void>)[] = [];
  #fatal: Error | null = null;
  #onFatal: () => void = () => undefined;
  #engineUp = false;
  #syncing: Promise<void> | null = null;
  #syncAgain = false;

  constructor(deps: ControllerDeps) {
    this.#deps = deps;
    const { clock, log, desired } = deps;
    // Every project in hand listens to it; node warns from eleven listeners on.
    setMaxListeners(0, this.#stopping.signal);
    this.#apply = deps.apply({ trigger: (project) => this.#trigger(project), claims: () => desired.claims });
    this.#exits = new CrashCounter(clock);
    this.#timers = new Timers(clock, (project) => this.#trigger(project));
    this.#queue = new WorkQueue((project) => this.#pass(project), log);
    this.#reconcileDeps = {
      ...this.#apply,
      resolve: (project, signal) => desired.resolve(project, signal),
      sitePending: (project) => this.#apply.routes.isPending(project),
      recentExits: (project) => this.#exits.count(project),
      look: (work) => this.#looks.add(work),
    };
    this.#housekeeping = new Housekeeping({ ...this.#apply, desired });
  }

  /**
   * Everything up to the first sync. A missing engine or nginx is waited for, and status says so; with
   * `once` it is an error at once. @throws PointsmanError DockerUnavailable, NginxUnavailable, AlreadyRunning
   */
  async start(once: boolean): Promise<void> {
    const { router, runtime, desired, log } = this.#deps;
    // Before nginx: a controller that is refused must leave nothing running.
    const engine = await (once ? runtime.engine() : runtime.engine().catch(() => null));
    if (engine !== null) await this.#deps.lockEngine(engine.id);
    if (once) await router.start(this.#stopping.signal);
    if (!(await this.#startRouter())) this.#background(this.#keepRouter());
    const connected = this.#keepEngine();
    this.#background(connected.ended);
    if (once) await connected.first;
    this.#closers.push(await router.watch((project) => this.#onFilesChanged(project)));
    this.#closers.push(
      await desired.watch(
        () => void this.sync(),
        (projects) => this.#triggerDesired(projects),
      ),
    );
    this.#every(fullLookMs, () => this.#fullLook());
    this.#every(collectMs, () => this.#housekeeping.collectAll(this.#stopping.signal));
    log.debug('controller started');
  }

  /** Syncs now and from then on every interval, ±10 %. */
  async run(): Promise<void> {
    await this.sync();
    this.#background(this.#poll());
  }

  /** Looks at config repository and sources now. Calls during a sync make one more. */
  sync(): Promise<void> {
    if (this.#syncing !== null) {
      this.#syncAgain = true;
      return this.#syncing;
    }
    this.#syncing = this.#syncUntilQuiet();
    return this.#syncing;
  }

  async retry(project: string): Promise<ControlReply> {
    const { journal, desired } = this.#deps;
    if (!desired.knows(project))
      return { ok: false, message: `no project ${project} in the config repository` };
    this.#faults.delete(project);
    this.#exits.forget(project);
    if (journal.memory.project(project).failure !== null)
      await journal.append({ type: 'retry', project, detail: {} });
    this.#trigger(project);
    return { ok: true, message: `${project} is tried again` };
  }

  async prune(commit: string): Promise<ControlReply> {
    const { journal, desired } = this.#deps;
    const held = desired.heldRemovals;
    if (held === null) return { ok: false, message: 'no removals are held back' };
    if (!held.configCommit.startsWith(commit)) {
      return {
        ok: false,
        message: `removals are held back at ${held.configCommit}, not at ${commit}: look again and confirm that one`,
      };
    }
    await journal.append({
      type: 'removal',
      configCommit: held.configCommit,
      detail: { event: 'confirmed' },
    });
    await this.#lookForRemovals();
    this.#triggerDesired(held.projects);
    return { ok: true, message: `removing ${held.projects.join(', ')}` };
  }

  /** Resolves when nothing is on and nothing is due but what only time can bring (`keepPrevious`). */
  async settled(signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      await this.#queue.idle();
      if (this.#apply.drains.active > 0) await this.#apply.drains.allSettled();
      else if (this.#timers.pending('retry') > 0) await this.#deps.clock.sleep(settlePollMs, signal);
      else if (this.#queue.size === 0) return;
    }
  }

  /** Leaves what is in hand safely and ends. nginx and containers go on. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#timers.close();
    for (const close of this.#closers.splice(0)) await close();
    await this.#apply.routes.close();
    await this.#queue.close();
    await this.#apply.drains.close();
    await this.#syncing?.catch(() => undefined);
    await Promise.allSettled(this.#loops);
    await this.#deps.status.close();
  }

  /** Resolves when `signal` aborts or when something ended the controller (another one holds the engine). */
  async ended(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
      this.#onFatal = resolve;
      if (signal.aborted || this.#fatal !== null) resolve();
    });
    this.throwFatal();
  }

  /** @throws whatever ended the controller */
  throwFatal(): void {
    if (this.#fatal !== null) throw this.#fatal;
  }

  // ---------------------------------------------------------------- passes

  #trigger(project: string): void {
    if (this.#stopping.signal.aborted) return;
    this.#timers.cancel(project);
    if (this.#engineUp) this.#queue.trigger(project);
  }

  /** What is wanted of these may have changed: a deployment in hand may be superseded. */
  #triggerDesired(projects: Iterable<string>): void {
    for (const project of projects) {
      // A pass that begins only now looks after the change anyway.
      const slot = this.#attempts.get(project);
      this.#trigger(project);
      if (slot === undefined) continue;
      slot.changed = true;
      if (slot.current !== null) this.#background(this.#supersede(project));
    }
  }

  async #supersede(project: string): Promise<void> {
    const slot = this.#attempts.get(project);
    const attempt = slot?.current ?? null;
    if (attempt === null) return;
    try {
      const want = await this.#deps.desired.resolve(project, this.#stopping.signal);
      if (slot?.current === attempt && isNewer(want, attempt.revision)) attempt.supersede(want);
    } catch (error) {
      this.#stopping.signal.throwIfAborted();
      // The deployment goes on, and the pass after it looks again.
      this.#deps.log.warn({ project, error: messageOf(error) }, 'what is wanted now cannot be resolved');
    }
  }

  async #pass(project: string): Promise<void> {
    const { status, log } = this.#deps;
    const attempt = this.#attempts.get(project) ?? { current: null, changed: false };
    this.#attempts.set(project, attempt);
    try {
      const view = await reconcile(project, this.#reconcileDeps, attempt, status, this.#stopping.signal);
      await this.#passEnded(project, view);
    } catch (error) {
      if (this.#stopping.signal.aborted || isAbort(error, this.#stopping.signal)) return;
      const code: ErrorCode | 'Unexpected' = error instanceof PointsmanError ? error.code : 'Unexpected';
      if (code === 'Unexpected') log.error({ project, err: error }, 'pass failed unexpectedly');
      else log.warn({ project, code, error: messageOf(error) }, 'pass failed');
      this.#tryLater(project, code, messageOf(error));
    } finally {
      this.#attempts.delete(project);
    }
  }

  async #passEnded(project: string, view: PassView): Promise<void> {
    const { journal, status, desired } = this.#deps;
    const { want } = view.input;
    if (want.kind === 'unresolved' && reactionTo(want.code) === 'retry') {
      this.#tryLater(project, want.code, want.message);
      return;
    }
    this.#faults.delete(project);
    status.fault(project, null);
    if (view.waiting === null) this.#apply.routes.withdraw(project);
    if (view.plan.wakeAt !== null) {
      this.#timers.set(
        project,
        view.plan.wakeAt - this.#deps.clock.now(),
        view.plan.blocked === null ? 'retire' : 'retry',
      );
    }
    if (view.plan.state === 'gone') {
      if (journal.memory.projects().includes(project)) {
        await journal.append({
          type: 'removal',
          project,
          configCommit: desired.commit ?? '',
          detail: { event: 'done' },
        });
      }
      status.forget(project);
      return;
    }
    if (view.plan.state === 'live') await this.#housekeeping.collect(view.input);
  }

  /** A pass failed outside a deployment: again with backoff, without limit. */
  #tryLater(project: string, code: string, message: string): void {
    const attempts = (this.#faults.get(project) ?? 0) + 1;
    this.#faults.set(project, attempts);
    const delay = backoffMs(this.#deps.settings.retries, attempts);
    this.#deps.status.fault(project, {
      code,
      message,
      retryAt: new Date(this.#deps.clock.now() + delay).toISOString(),
    });
    this.#timers.set(project, delay, 'fault');
  }

  // ---------------------------------------------------------------- triggers

  async #syncUntilQuiet(): Promise<void> {
    do {
      this.#syncAgain = false;
      await this.#syncOnce();
    } while (this.#syncAgain && !this.#stopping.signal.aborted);
    // In the same turn as the last look at `#syncAgain`: a later call would be forgotten.
    this.#syncing = null;
  }

  async #syncOnce(): Promise<void> {
    const { desired, log } = this.#deps;
    try {
      const changed = await desired.sync(this.#stopping.signal);
      this.#deps.status.touch();
      if (changed.newCommit !== null)
        await recordIfPossible(this.#deps, { type: 'sync', ...changed.newCommit });
      // Before the look at what may go: that asks the engine for everything there is, and a deployment need not wait for it.
      this.#triggerDesired(changed.projects.filter((project) => desired.knows(project)));
      if (!desired.areRemovalsPlanned) await this.#lookForRemovals();
      this.#apply.routes.reconsider();
      // After it: a deployment of theirs that is in hand is to be cancelled before there is something to hold.
      this.#triggerDesired(changed.projects.filter((project) => !desired.knows(project)));
      this.#triggerDesired(await desired.refreshSources(this.#stopping.signal));
      for (const project of this.#deps.status.waiting()) this.#trigger(project);
    } catch (error) {
      if (isAbort(error, this.#stopping.signal)) return;
      log.error({ error: messageOf(error) }, 'sync failed');
    }
  }

  /** Projects that are there and that no manifest names any more, or not yet. */
  async #lookForRemovals(): Promise<void> {
    const { desired, log } = this.#deps;
    if (!this.#engineUp) return;
    try {
      const existing = await existingProjects(this.#apply);
      const gone = desired.planRemovals(existing);
      for (const project of gone) this.#trigger(project);
      for (const project of this.#remembered(existing)) this.#trigger(project);
      this.#deps.status.touch();
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'existing projects cannot be listed');
    }
  }

  /**
   * Projects of which the journal alone is left: they never got as far as a container, or the controller
   * died before the end of their removal was recorded.
   */
  #remembered(existing: readonly string[]): readonly string[] {
    const { desired, journal } = this.#deps;
    if (desired.commit === null) return [];
    const there = new Set(existing);
    return journal.memory.projects().filter((name) => !there.has(name) && !desired.knows(name));
  }

  async #fullLook(): Promise<void> {
    const { desired, log } = this.#deps;
    log.debug('full look');
    await this.#repairRouter();
    await this.#lookForRemovals();
    for (const project of desired.names()) this.#trigger(project);
  }

  #onFilesChanged(project: string | null): void {
    if (project !== null) this.#trigger(project);
    else this.#background(this.#repairRouter());
  }

  #onEvent(event: RuntimeEvent): void {
    if (event.project === null) return;
    if (
      event.kind === 'container' &&
      event.action === 'die' &&
      this.#deps.status.isLiveContainer(event.project, event.containerId)
    ) {
      this.#exits.add(event.project);
    }
    this.#trigger(event.project);
  }

  // ---------------------------------------------------------------- engine and nginx

  /** Keeps listening to the engine. `first` resolves when it was reached once. */
  #keepEngine(): { readonly first: Promise<void>; readonly ended: Promise<void> } {
    let reached = (): void => undefined;
    const first = new Promise<void>((resolve) => {
      reached = resolve;
    });
    return { first, ended: this.#listenToEngine(reached) };
  }

  async #listenToEngine(reached: () => void): Promise<void> {
    const { runtime, clock, status, log } = this.#deps;
    const { signal } = this.#stopping;
    let pause = reconnectMs.first;
    while (!signal.aborted) {
      try {
        const engine = await runtime.engine();
        await this.#deps.lockEngine(engine.id);
        const events = runtime.events(signal)[Symbol.asyncIterator]();
        let next = events.next();
        // It may fail while nobody waits for it yet; whoever does hears of it all the same.
        next.catch(() => undefined);
        this.#engineUp = true;
        status.component('docker', null);
        pause = reconnectMs.first;
        await this.#engineFound();
        reached();
        for (let event = await next; event.done !== true; event = await next) {
          this.#onEvent(event.value);
          next = events.next();
        }
      } catch (error) {
        if (signal.aborted || isAbort(error, signal)) return;
        if (error instanceof PointsmanError && error.code === 'AlreadyRunning') throw error;
        this.#engineUp = false;
        status.component('docker', messageOf(error));
        log.warn({ error: messageOf(error) }, 'docker does not answer');
      }
      await clock.sleep(pause, signal).catch(() => undefined);
      pause = Math.min(pause * 2, reconnectMs.most);
    }
  }

  async #engineFound(): Promise<void> {
    const { desired } = this.#deps;
    await this.#housekeeping.ensureSecretKey();
    await this.#lookForRemovals();
    for (const project of desired.names()) this.#trigger(project);
  }

  async #keepRouter(): Promise<void> {
    const { signal } = this.#stopping;
    let pause = reconnectMs.first;
    do {
      await this.#deps.clock.sleep(pause, signal);
      pause = Math.min(pause * 2, reconnectMs.most);
    } while (!(await this.#startRouter()));
    for (const project of this.#deps.desired.names()) this.#trigger(project);
  }

  async #startRouter(): Promise<boolean> {
    const { router, status, log } = this.#deps;
    try {
      await router.start(this.#stopping.signal);
      status.component('nginx', null);
      return true;
    } catch (error) {
      this.#stopping.signal.throwIfAborted();
      status.component('nginx', messageOf(error));
      log.error({ error: messageOf(error) }, 'nginx cannot be started');
      return false;
    }
  }

  async #repairRouter(): Promise<void> {
    const { router, status, log } = this.#deps;
    try {
      const { health, repaired } = await router.repair(this.#stopping.signal);
      status.component('nginx', health.ok ? null : (health.message ?? 'nginx does not answer'));
      for (const what of repaired) {
        log.warn({ what }, 'nginx repaired');
        await recordIfPossible(this.#deps, { type: 'drift', detail: { event: 'done', what } });
      }
    } catch (error) {
      if (isAbort(error, this.#stopping.signal)) return;
      status.component('nginx', messageOf(error));
      log.error({ error: messageOf(error) }, 'nginx could not be repaired');
    }
  }

  // ---------------------------------------------------------------- loops

  async #poll(): Promise<void> {
    const { clock, settings } = this.#deps;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await clock
        .sleep(settings.configRepo.intervalMs * (0.9 + 0.2 * Math.random()), signal)
        .catch(() => undefined);
      if (!signal.aborted) await this.sync();
    }
  }

  #every(ms: number, work: () => Promise<void>): void {
    const { clock } = this.#deps;
    const { signal } = this.#stopping;
    const loop = async (): Promise<void> => {
      while (!signal.aborted) {
        await clock.sleep(ms, signal).catch(() => undefined);
        if (!signal.aborted) await work();
      }
    };
    this.#background(loop());
  }

  #background(work: Promise<void>): void {
    const { log } = this.#deps;
    const guarded = work.catch((error: unknown) => {
      if (isAbort(error, this.#stopping.signal)) return;
      log.error({ error: messageOf(error) }, 'background work failed');
      this.#fatal ??= error instanceof Error ? error : new Error(String(error));
      this.#onFatal();
    });
    this.#loops.push(guarded);
    void guarded.then(() => this.#loops.splice(this.#loops.indexOf(guarded), 1));
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
