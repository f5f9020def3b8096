/**
 * Puts the parts together and takes them apart in reverse order. The only place that constructs
 * adapters.
 */
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import type { ApplyDeps } from './apply/context.js';
import { DeploymentLogs } from './apply/deployment-log.js';
import type { LogStore } from './apply/deployment-log.js';
import { Drains } from './apply/drain.js';
import { Lanes } from './apply/lanes.js';
import { networkProber } from './apply/prober.js';
import type { Prober } from './apply/prober.js';
import { RouteBatcher } from './apply/route-batcher.js';
import { systemClock } from './clock.js';
import type { Clock } from './clock.js';
import { Controller } from './controller/controller.js';
import { DesiredProjects } from './desired-projects.js';
import { PointsmanError, isAbort, messageOf } from './errors.js';
import { NoFolder, dropTemporaries, makeFolder, missingFolders } from './files.js';
import type { Logger } from './log.js';
import { assembleChanges, assembleDesired, type Assembled } from './manifest/assemble.js';
import type { LiveClaims } from './manifest/assemble.js';
import type { ParsedFile } from './manifest/parse.js';
import { parseManifests, unreadableFile } from './manifest/parse.js';
import { serveControl } from './record/control.js';
import { openJournal } from './record/journal.js';
import { acquireLock, engineLockName, stateLockName } from './record/lock.js';
import type { Lock } from './record/lock.js';
import type { Journal } from './record/port.js';
import { SecretFiles } from './resolve/secrets.js';
import { NginxRouter } from './router/nginx-router.js';
import type { Router } from './router/port.js';
import { DockerRuntime } from './runtime/docker-runtime.js';
import type { ContainerRuntime } from './runtime/port.js';
import { checkSocket } from './settings/load.js';
import type { Settings } from './settings/settings.js';
import { GitConfigRepository } from './source/config-repository.js';
import { MirrorStore } from './source/mirror-store.js';
import type { ConfigRepository, SourceRepository } from './source/port.js';
import { GitSourceRepository } from './source/source-repository.js';
import { StatusKeeper } from './status-keeper.js';
import type { ProgressEvent } from './status-keeper.js';

export interface Adapters {
  readonly clock: Clock;
  readonly runtime: ContainerRuntime;
  readonly router: Router;
  readonly config: ConfigRepository;
  readonly sources: SourceRepository;
  readonly secrets: SecretFiles;
  readonly prober: Prober;
  readonly deploymentLogs: LogStore;
  /** Held until released, or until the process ends. @throws PointsmanError AlreadyRunning */
  lock(name: string): Promise<Lock>;
  close(): Promise<void>;
}

/** Makes the state directory: searchable by nginx's workers, everything private in it is not. */
export async function prepareStateDir(stateDir: string): Promise<void> {
  await makeStateDir(stateDir);
  await chmod(stateDir, 0o711);
  for (const folder of ['repos', 'logs']) await makeFolder(join(stateDir, folder), 0o700);
}

/**
 * Before anything below it is made, which would leave it closed to nginx's workers.
 * @throws PointsmanError SettingsInvalid when there can be no folder
 */
export async function makeStateDir(stateDir: string): Promise<void> {
  await makeFolder(stateDir, 0o711).catch((error: unknown) => {
    throw stateDirError(stateDir, error);
  });
}

function stateDirError(stateDir: string, error: unknown): unknown {
  if (!(error instanceof NoFolder)) return error;
  return new PointsmanError(
    'SettingsInvalid',
    `stateDir ${stateDir} cannot be made: ${error.message}; set stateDir to a folder that is there or can be made by this user`,
    { cause: error },
  );
}

/** What no part could work with is said before anything is made. @throws PointsmanError SettingsInvalid */
function checkUsable({ stateDir, docker }: Pick<Settings, 'stateDir' | 'docker'>): void {
  checkSocket(docker.socket);
  try {
    missingFolders(stateDir);
  } catch (error) {
    throw stateDirError(stateDir, error);
  }
}

/** Half-written files of a controller that was killed. Only its successor, which holds the lock, may do this. */
export async function dropLeftOvers(
  { stateDir, secrets }: Pick<Settings, 'stateDir' | 'secrets'>,
  log: Logger,
): Promise<void> {
  const own = ['.', 'repos/.git-client', 'nginx', 'nginx/sites', 'nginx/switch', 'nginx/staged'];
  for (const folder of [...own.map((name) => join(stateDir, name)), secrets.dir]) {
    try {
      await dropTemporaries(folder);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        log.warn({ folder, error: messageOf(error) }, 'left-over files cannot be removed');
    }
  }
}

/** The real world: Docker, nginx, Git and the clock. Nothing is contacted yet. @throws PointsmanError SettingsInvalid */
export function makeAdapters(settings: Settings, log: Logger): Adapters {
  checkUsable(settings);
  const clock = systemClock;
  const runtime = new DockerRuntime({ settings, log, clock });
  const router = new NginxRouter({ settings, clock, log });
  const mirrors = new MirrorStore(settings);
  const config = configRepository(settings, router, mirrors, log);
  const sources = new GitSourceRepository({ settings, mirrors, clock, log });
  return {
    clock,
    runtime,
    router,
    config,
    sources,
    secrets: new SecretFiles(settings.secrets.dir),
    prober: networkProber,
    deploymentLogs: new DeploymentLogs(settings.stateDir),
    lock: (name) => acquireLock(name, settings.stateDir),
    async close() {
      await config.close();
      await sources.close();
      await router.close();
    },
  };
}

/** The config repository over Git mirrors; what is live keeps its domains. Nothing is contacted yet. */
export function configRepository(
  settings: Pick<Settings, 'configRepo' | 'nginx'>,
  router: Pick<Router, 'sites'>,
  mirrors: MirrorStore,
  log: Logger,
): GitConfigRepository<ParsedFile> {
  let before: Assembled | null = null;
  return new GitConfigRepository({
    settings,
    mirrors,
    log,
    parse: parseManifests,
    async assemble(commit, readable, extraProblems) {
      const files = [...readable, ...extraProblems.map(({ file, message }) => unreadableFile(file, message))];
      const { baseDomain } = settings.nginx;
      let desired = before === null ? null : assembleChanges(before, commit, files, baseDomain);
      desired ??= assembleDesired(commit, files, { baseDomain, live: nothingLive });
      if (desired.invalid.size > 0)
        desired = assembleDesired(commit, files, { baseDomain, live: await liveClaims(router) });
      before = { files, desired };
      return desired;
    },
  });
}

const nothingLive: LiveClaims = { names: new Map(), domains: new Map() };

/** Who serves which domain now, for "the one already live keeps it". */
export async function liveClaims(router: Pick<Router, 'sites'>): Promise<LiveClaims> {
  const sites = await router.sites();
  return {
    names: new Map(sites.map(({ project }) => [project, null] as const)),
    domains: new Map(
      sites.flatMap(({ project, route }) => route.domains.map((domain) => [domain, project] as const)),
    ),
  };
}

export interface RunOptions {
  readonly once: boolean;
  readonly log: Logger;
  readonly onProgress: (event: ProgressEvent) => void;
  readonly signal: AbortSignal;
  readonly version: string;
}

/** Runs the controller until `signal` aborts, or once. Resolves to the exit code. @throws PointsmanError AlreadyRunning, SettingsInvalid */
export async function runController(settings: Settings, options: RunOptions): Promise<number> {
  const releases = new Releases();
  try {
    checkUsable(settings);
    await prepareStateDir(settings.stateDir);
    const stateLock = await acquireLock(await stateLockName(settings.stateDir), settings.stateDir);
    releases.add(() => stateLock.release());
    await dropLeftOvers(settings, options.log);
    const adapters = makeAdapters(settings, options.log);
    releases.add(() => adapters.close());
    const journal = await openJournal({
      stateDir: settings.stateDir,
      clock: adapters.clock,
      log: options.log,
    });
    releases.add(() => journal.close());
    const controller = composeController(settings, adapters, journal, options, releases);
    return await runComposed(controller, journal, settings, options, releases);
  } finally {
    await releases.all();
  }
}

/** The controller over any adapters. What it locks is added to `releases`. */
export function composeController(
  settings: Settings,
  adapters: Omit<Adapters, 'close'>,
  journal: Journal,
  options: Pick<RunOptions, 'log' | 'version' | 'onProgress'>,
  releases: Pick<Releases, 'add'>,
): ComposedController {
  const { log, version, onProgress } = options;
  const { clock, runtime, router, secrets, sources, config, prober, deploymentLogs } = adapters;
  const desired = new DesiredProjects({
    settings,
    clock,
    log,
    config,
    sources,
    secrets,
    runtime,
    journal,
    policy: settings.policy,
  });
  const status = new StatusKeeper({ settings, clock, log, journal, desired, version, onProgress });
  const controller = new Controller({
    settings,
    clock,
    log,
    runtime,
    router,
    journal,
    desired,
    status,
    apply: ({ trigger, claims }) => {
      const drains = new Drains({ router, runtime, journal, clock, log }, trigger);
      status.attach(drains);
      const routes = new RouteBatcher({ router, clock, log }, claims, trigger);
      const deps: ApplyDeps = {
        settings,
        runtime,
        router,
        sources,
        secrets,
        journal,
        clock,
        log,
        routes,
        drains,
        lanes: new Lanes(settings.concurrency),
        prober,
        deploymentLogs,
      };
      return deps;
    },
    async lockEngine(engineId) {
      if (engineLocked.has(engineId)) return;
      const lock = await adapters.lock(engineLockName(engineId, settings.instance));
      engineLocked.add(engineId);
      releases.add(() => lock.release());
    },
  });
  const engineLocked = new Set<string>();
  return { controller, status };
}

export interface ComposedController {
  readonly controller: Controller;
  readonly status: StatusKeeper;
}

async function runComposed(
  { controller, status }: ComposedController,
  journal: Journal,
  settings: Settings,
  options: RunOptions,
  releases: Releases,
): Promise<number> {
  const { log, version, signal } = options;
  await journal
    .append({ type: 'controller', detail: { event: 'started', version, pid: process.pid } })
    .catch(() => undefined);
  log.info(
    { version, pid: process.pid, instance: settings.instance, stateDir: settings.stateDir },
    'controller starts',
  );
  const control = await serveControl(settings.stateDir, {
    sync: async () => {
      void controller.sync();
      return { ok: true, message: 'looking now' };
    },
    health: () => {
      const fault = status.unwritable;
      return Promise.resolve({ ok: fault === null, message: fault ?? 'status is written' });
    },
    retry: (project) => controller.retry(project),
    prune: (commit) => controller.prune(commit),
  });
  releases.add(() => control.close());
  releases.add(async () => {
    await controller.stop();
    await journal
      .append({ type: 'controller', detail: { event: 'stopped', version, pid: process.pid } })
      .catch(() => undefined);
    log.info('controller stopped');
  });
  signal.addEventListener('abort', () => controller.abort(), { once: true });
  if (signal.aborted) controller.abort();
  try {
    await controller.start(options.once);
  } catch (error) {
    if (signal.aborted && isAbort(error)) return 0;
    throw error;
  }
  await controller.run();
  if (options.once) {
    await controller.settled(signal);
    controller.throwFatal();
    for (const each of status.unwell()) logUnwell(each, signal.aborted, log);
    return status.allWell ? 0 : 1;
  }
  await controller.ended(signal);
  return 0;
}

/** What `run --once` leaves. Work that was under way when it was interrupted is no fault of the project. */
export function logUnwell(
  { project, status: { state, reason, message } }: ReturnType<StatusKeeper['unwell']>[number],
  isInterrupted: boolean,
  log: Pick<Logger, 'warn' | 'error'>,
): void {
  if (isInterrupted && (state === 'progressing' || state === 'removing'))
    log.warn({ project, state }, 'interrupted before the project was as it should be');
  else log.error({ project, state, code: reason, message }, 'project is not as it should be');
}

/** Ends what was begun, last in, first out; one that fails does not keep the others. */
class Releases {
  readonly #releases: (() => Promise<void>)[] = [];

  add(release: () => Promise<void>): void {
    this.#releases.push(release);
  }

  async all(): Promise<void> {
    const errors: unknown[] = [];
    for (const release of this.#releases.splice(0).reverse())
      await release().catch((error: unknown) => errors.push(error));
    if (errors.length > 0) throw errors[0];
  }
}
