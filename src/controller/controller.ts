/**
 * The controller: triggers → passes.
 *
 *   starting   router laid out, engine found and locked, config repository read
 *   running    passes on: a new commit or source, a Docker event, a changed nginx file, a retry or
 *              retirement that is due, a full look every 5 minutes
 *   stopping   nothing new; deployments in hand stop where they are and go on at the next start
 *
 * Traffic never depends on it: whatever it does not do, nginx and the engine go on.
 */
import { setMaxListeners } from 'node:events';
import type { ApplyDeps } from '../apply/context.js';
import { backoffMs } from '../apply/failure.js';
import { recordIfPossible } from '../apply/record.js';
import type { Clock } from '../clock.js';
import { describeProblem } from '../desired-projects.js';
import type { DesiredProjects, SyncResult } from '../desired-projects.js';
import { isAbort, messageOf } from '../errors.js';
import type { Logger } from '../log.js';
import type { ControlReply } from '../record/control.js';
import type { Journal } from '../record/port.js';
import type { Router } from '../router/port.js';
import type { ContainerRuntime, RuntimeEvent } from '../runtime/port.js';
import type { Settings } from '../settings/settings.js';
import type { StatusKeeper } from '../status-keeper.js';
import { Background } from './background.js';
import { EngineWatch } from './engine-watch.js';
import { Housekeeping, existingProjects } from './housekeeping.js';
import { Passes } from './passes.js';
import { RouterWatch } from './router-watch.js';

/** A full look besides all events (SPEC section 10). */
const fullLookMs = 5 * 60_000;
/** The first time soon after the start: a controller that is started every day collects too. */
const collectMs = { first: 10 * 60_000, then: 24 * 3_600_000 };

/** Problems of one commit that are recorded; status has all of them. */
const mostProblems = 20;

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
  }) => ApplyDeps;
  /** Refuses a second controller of this instance on the engine. @throws PointsmanError AlreadyRunning */
  lockEngine(engineId: string): Promise<void>;
}

export class Controller {
  readonly #deps: ControllerDeps;
  readonly #apply: ApplyDeps;
  readonly #passes: Passes;
  readonly #engine: EngineWatch;
  readonly #router: RouterWatch;
  readonly #housekeeping: Housekeeping;
  readonly #background: Background;
  readonly #stopping = new AbortController();
  readonly #closers: (() => Promise<void>)[] = [];
  #syncing: Promise<void> | null = null;
  #syncAgain = false;
  #refreshing: Promise<void> | null = null;
  #refreshAgain = false;

  constructor(deps: ControllerDeps) {
    this.#deps = deps;
    const { desired } = deps;
    const stopping = this.#stopping.signal;
    // Every project in hand listens to it; node warns from eleven listeners on.
    setMaxListeners(0, stopping);
    this.#apply = deps.apply({
      trigger: (project) => this.#passes.trigger(project),
      claims: () => desired.claims,
    });
    this.#background = new Background({ ...deps, stopping });
    this.#housekeeping = new Housekeeping({ ...this.#apply, desired });
    this.#router = new RouterWatch({ ...deps, stopping });
    this.#engine = new EngineWatch({
      ...deps,
      stopping,
      lock: deps.lockEngine,
      onFound: () => this.#onEngineFound(),
      onEvent: (event) => this.#onEvent(event),
    });
    this.#passes = new Passes({
      ...deps,
      stopping,
      apply: this.#apply,
      housekeeping: this.#housekeeping,
      background: this.#background,
      isEngineUp: () => this.#engine.isUp,
    });
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
    if (!(await this.#router.start())) this.#background.add(this.#keepStartingRouter());
    const reached = new Promise<void>((resolve) => this.#background.add(this.#engine.run(resolve)));
    if (once) await Promise.race([reached, this.#background.failed(), aborted(this.#stopping.signal)]);
    this.#stopping.signal.throwIfAborted();
    this.throwFatal();
    this.#closers.push(await router.watch((project) => this.#onFilesChanged(project)));
    this.#closers.push(
      await desired.watch(
        () => void this.sync(),
        (projects) => this.#passes.triggerDesired(projects),
      ),
    );
    this.#background.repeat(
      () => fullLookMs,
      () => this.#fullLook(),
    );
    this.#background.repeat(
      (time) => (time === 1 ? collectMs.first : collectMs.then),
      () => this.#housekeeping.collectAll(this.#stopping.signal),
    );
    log.debug('controller started');
  }

  /** Syncs now and from then on every interval, ±10 %; with backoff, where that is less, after a failure. */
  async run(): Promise<void> {
    await this.sync();
    const { settings, desired } = this.#deps;
    const pauseMs = (): number => {
      const intervalMs = settings.configRepo.intervalMs * (0.9 + 0.2 * Math.random());
      const { failures } = desired.source;
      return failures === 0 ? intervalMs : Math.min(intervalMs, backoffMs(settings.retries, failures));
    };
    this.#background.repeat(pauseMs, () => this.sync());
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
    const { journal, desired, status } = this.#deps;
    if (!desired.knows(project))
      return {
        ok: false,
        message: `no project ${project} in the config repository; "pointsman status" lists them`,
      };
    const hasFailed = journal.memory.project(project).failure !== null;
    // What is held up outside of a deployment, by a missing secret or a source, is in status alone.
    const isUnwell = status.unwell().some((each) => each.project === project);
    const hadFaults = this.#passes.forgive(project);
    if (!hasFailed && !isUnwell && !hadFaults)
      return { ok: false, message: `nothing of ${project} has failed` };
    if (hasFailed) await journal.append({ type: 'retry', project, detail: {} });
    this.#passes.trigger(project);
    return { ok: true, message: `${project} is tried again` };
  }

  async prune(commit: string): Promise<ControlReply> {
    const { journal, desired } = this.#deps;
    const held = desired.heldRemovals;
    if (held === null) return { ok: false, message: 'no removals are held back' };
    const { configCommit, projects } = held;
    if (!configCommit.startsWith(commit)) {
      return {
        ok: false,
        message: `removals are held back at ${configCommit}, not at ${commit}: look again and confirm that one`,
      };
    }
    await journal.append({ type: 'removal', configCommit, detail: { event: 'confirmed' } });
    await this.#lookForRemovals();
    this.#passes.triggerDesired(projects);
    return { ok: true, message: `removing ${projects.join(', ')}` };
  }

  /** Resolves when nothing is on and nothing is due but what only time can bring (`keepPrevious`). */
  async settled(signal: AbortSignal): Promise<void> {
    do {
      await this.#refreshing?.catch(() => undefined);
      await this.#passes.settled(signal);
    } while (this.#refreshing !== null);
  }

  /** Begins to stop: whatever waits for something stops waiting, `start` and `run` too. */
  abort(): void {
    this.#stopping.abort();
  }

  /** Leaves what is in hand safely and ends. nginx and containers go on. */
  async stop(): Promise<void> {
    this.abort();
    for (const close of this.#closers.splice(0)) await close();
    await this.#apply.routes.close();
    await this.#passes.close();
    await this.#apply.drains.close();
    await this.#syncing?.catch(() => undefined);
    await this.#background.settled();
    await this.#deps.status.close();
  }

  /** Resolves when `signal` aborts. @throws what ended the controller before (another one holds the engine) */
  async ended(signal: AbortSignal): Promise<void> {
    await Promise.race([aborted(signal), this.#background.failed()]);
    this.throwFatal();
  }

  /** @throws whatever ended the controller */
  throwFatal(): void {
    this.#background.throwFailure();
  }

  async #syncUntilQuiet(): Promise<void> {
    do {
      this.#syncAgain = false;
      await this.#syncOnce();
    } while (this.#syncAgain && !this.#stopping.signal.aborted);
    // In the same turn as the last look at `#syncAgain`: a later call would be forgotten.
    this.#syncing = null;
  }

  async #syncOnce(): Promise<void> {
    const { desired, status, log } = this.#deps;
    const { signal } = this.#stopping;
    try {
      const changed = await desired.sync(signal);
      status.touch();
      // Asked for before any deployment, so it stands before them in the journal; none waits for it.
      const recorded = changed.newCommit === null ? null : this.#recordCommit(changed.newCommit);
      // Before the look at what may go: that asks the engine for everything there is, and a deployment need not wait for it.
      this.#passes.triggerDesired(changed.projects.filter((project) => desired.knows(project)));
      await recorded;
      if (!desired.areRemovalsPlanned) await this.#lookForRemovals();
      this.#apply.routes.reconsider();
      // After it: a deployment of theirs that is in hand is to be cancelled before there is something to hold.
      this.#passes.triggerDesired(changed.projects.filter((project) => !desired.knows(project)));
      this.#refreshSources();
      for (const project of status.waiting()) this.#passes.trigger(project);
    } catch (error) {
      if (isAbort(error, signal)) return;
      log.error({ error: messageOf(error) }, 'sync failed');
    }
  }

  /** With what is wrong in it and no project's own: that comes from the project's pass. */
  async #recordCommit(commit: NonNullable<SyncResult['newCommit']>): Promise<void> {
    await recordIfPossible(this.#deps, { type: 'sync', ...commit });
    const nobodys = this.#deps.desired.problems.filter(({ project }) => project === undefined);
    for (const problem of nobodys.slice(0, mostProblems)) {
      const detail = { code: 'ManifestInvalid', message: describeProblem(problem) };
      await recordIfPossible(this.#deps, { type: 'problem', detail });
    }
  }

  /** Not waited for: a server that hangs must not keep the next commit from being seen. */
  #refreshSources(): void {
    if (this.#refreshing !== null) {
      this.#refreshAgain = true;
      return;
    }
    this.#refreshAgain = false;
    const { desired, log } = this.#deps;
    this.#refreshing = desired
      .refreshSources((projects) => this.#passes.triggerDesired(projects), this.#stopping.signal)
      .catch((error: unknown) => {
        this.#stopping.signal.throwIfAborted();
        log.error({ error: messageOf(error) }, 'sources cannot be looked at');
      })
      .finally(() => {
        this.#refreshing = null;
        if (this.#refreshAgain) this.#refreshSources();
      });
    this.#background.add(this.#refreshing);
  }

  /** Projects that are there and that no manifest names any more, or not yet. */
  async #lookForRemovals(): Promise<void> {
    const { desired, status, log } = this.#deps;
    if (!this.#engine.isUp) return;
    try {
      const existing = await existingProjects(this.#apply);
      for (const project of desired.planRemovals(existing)) this.#passes.trigger(project);
      for (const project of this.#remembered(existing)) this.#passes.trigger(project);
      status.touch();
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
    this.#deps.log.debug('full look');
    await this.#repairRouter();
    await this.#lookForRemovals();
    this.#triggerAll();
  }

  #triggerAll(): void {
    for (const project of this.#deps.desired.names()) this.#passes.trigger(project);
  }

  #onFilesChanged(project: string | null): void {
    if (project !== null) this.#noticed(project);
    else this.#background.add(this.#repairRouter());
  }

  #onEvent({ project, kind, action, containerId }: RuntimeEvent): void {
    if (project === null) return;
    const isExit = kind === 'container' && action === 'die' && containerId !== null;
    if (isExit && this.#deps.status.isLiveContainer(project, containerId))
      this.#passes.exited(project, containerId);
    this.#noticed(project);
  }

  /** Something of the project changed: what nobody declared may have to go. */
  #noticed(project: string): void {
    this.#passes.trigger(project);
    if (this.#deps.desired.noticed(project)) void this.sync();
  }

  async #onEngineFound(): Promise<void> {
    await this.#housekeeping.ensureSecretKey();
    await this.#lookForRemovals();
    this.#triggerAll();
  }

  /** Deployments wait for an nginx that does not answer, and need not wait any longer than that. */
  async #repairRouter(): Promise<void> {
    if (await this.#router.repair()) this.#triggerAll();
  }

  async #keepStartingRouter(): Promise<void> {
    await this.#router.keepStarting();
    this.#triggerAll();
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
