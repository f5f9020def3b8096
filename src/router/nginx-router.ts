import { chmod, chown, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../clock.js';
import { PointsmanError, isAbort, messageOf } from '../errors.js';
import { makeFolder } from '../files.js';
import type { Logger } from '../log.js';
import type { Slot } from '../manifest/project.js';
import type { Settings } from '../settings/settings.js';
import { isAtLeast } from '../versions.js';
import { layoutOf } from './layout.js';
import type { Layout } from './layout.js';
import { NginxProcess } from './nginx-process.js';
import type { NginxProgram } from './nginx-process.js';
import type {
  RouteFacts,
  Router,
  RouterHealth,
  Site,
  SiteChange,
  SiteOutcome,
  SwitchRecord,
} from './port.js';
import { countConnections, networkOf } from './process-table.js';
import { RouterWatch } from './router-watch.js';
import { SiteFiles, sortOut } from './site-files.js';
import { setStraysAside } from './strays.js';
import { SwitchFiles, searchable } from './switch-files.js';
import { workerUser } from './worker-user.js';

/** At most one reload in this time (SPEC section 3). */
const reloadEveryMs = 5_000;
/** nginx's error log is cut when it is larger: it appends, so that cutting is safe. */
const longestErrorLogBytes = 16 * 1024 * 1024;
/** Established, SYN sent, and closed by the application with bytes still to forward. */
const inFlightStates = new Set(['01', '02', '08']);

export interface NginxRouterDeps {
  readonly settings: Pick<Settings, 'stateDir' | 'nginx'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Default: `nginx` on the PATH, and Debian's /etc/nginx/nginx.conf. */
  readonly program?: NginxProgram;
}

/** nginx as the reverse proxy: managed (our own) or system (the machine's). */
export class NginxRouter implements Router {
  readonly #deps: NginxRouterDeps;
  readonly #layout: Layout;
  readonly #nginx: NginxProcess;
  readonly #sites: SiteFiles;
  readonly #switches: SwitchFiles;
  #lastReload = Number.NEGATIVE_INFINITY;
  /** Changes of site files and reloads take turns. */
  #turn: Promise<unknown> = Promise.resolve();
  #watch: RouterWatch | null = null;

  constructor(deps: NginxRouterDeps) {
    const { settings, clock, log } = deps;
    const program = deps.program ?? { binary: 'nginx', mainConf: '/etc/nginx/nginx.conf' };
    const layout = layoutOf(settings);
    this.#deps = deps;
    this.#layout = layout;
    this.#nginx = new NginxProcess({ settings: settings.nginx, layout, program, clock, log });
    this.#sites = new SiteFiles({ settings: settings.nginx, layout, program, nginx: this.#nginx });
    this.#switches = new SwitchFiles(layout, settings.nginx.verify, this.#nginx);
  }

  start(signal: AbortSignal): Promise<void> {
    return this.#inTurn(async () => {
      await this.#prepareFolders();
      await this.#sites.finishBatch();
      await this.#settle(signal);
    });
  }

  async observe(project: string): Promise<RouteFacts> {
    return { ...this.#sites.read(project), switches: this.#switches.read(project) };
  }

  async projects(): Promise<readonly string[]> {
    return [...new Set([...(await this.#sites.projects()), ...(await this.#switches.projects())])];
  }

  sites(): Promise<readonly Site[]> {
    return this.#sites.sites();
  }

  applySites(changes: readonly SiteChange[], signal: AbortSignal): Promise<readonly SiteOutcome[]> {
    return this.#inTurn(async () => {
      if (changes.length === 0) return [];
      await this.#prepareFolders();
      for (const name of await setStraysAside(this.#layout.sites))
        this.#deps.log.warn({ name }, 'no site of ours, set aside');
      await this.#sites.mendDamaged();
      const { good, outcomes } = await sortOut(this.#sites, changes);
      if (good.length === 0) return outcomes;
      try {
        await this.#put(good, signal);
      } catch (error) {
        if (!(error instanceof PointsmanError) || error.code !== 'RouteRefused') throw error;
        if (good.length > 1) return await this.#putOneByOne(changes, signal);
        return outcomes.map((outcome) =>
          outcome.kind === 'applied' ? { kind: 'refused', message: error.message } : outcome,
        );
      }
      return outcomes;
    });
  }

  reloadDelay(): number {
    return Math.max(0, this.#lastReload + reloadEveryMs - this.#deps.clock.monotonic());
  }

  switchTo(record: SwitchRecord, signal: AbortSignal): Promise<void> {
    return this.#switches.switchTo(record, signal);
  }

  restoreSwitch(record: SwitchRecord): Promise<void> {
    return this.#switches.write(record);
  }

  clearSwitch(project: string): Promise<void> {
    return this.#switches.clear(project);
  }

  liveSlot(project: string): Promise<Slot | null> {
    return this.#switches.liveSlot(project);
  }

  barrier(signal: AbortSignal): Promise<void> {
    return this.#nginx.barrier(signal);
  }

  async inFlight(upstream: string): Promise<number | null> {
    const worker = (await this.#nginx.workers())[0];
    if (worker === undefined) return null;
    if ((await networkOf(worker)) !== (await networkOf('self'))) return null;
    return countConnections(upstream, inFlightStates);
  }

  repair(
    signal: AbortSignal,
  ): Promise<{ readonly health: RouterHealth; readonly repaired: readonly string[] }> {
    return this.#inTurn(async () => {
      try {
        await this.#prepareFolders();
        await this.#boundErrorLog();
        const repaired = await this.#settle(signal);
        return { health: { ok: true, message: null }, repaired };
      } catch (error) {
        if (isAbort(error, signal)) throw error;
        return { health: { ok: false, message: messageOf(error) }, repaired: [] };
      }
    });
  }

  async watch(onChange: (project: string | null) => void): Promise<() => Promise<void>> {
    const { settings, clock } = this.#deps;
    const watch = new RouterWatch({
      layout: this.#layout,
      verify: settings.nginx.verify,
      clock,
      isForeign: (path) => this.#sites.isForeign(path),
      hasMaster: async () => settings.nginx.mode === 'system' || this.#nginx.isRunning(),
      onChange,
    });
    this.#watch = watch;
    await watch.start();
    return async () => watch.close();
  }

  /** nginx's version, `1.22.1`. */
  version(): Promise<string> {
    return this.#nginx.version();
  }

  async dismantle(): Promise<void> {
    const { settings } = this.#deps;
    const signal = AbortSignal.timeout(10_000);
    if (settings.nginx.mode === 'managed') await this.#nginx.stop(signal);
    else await rm(this.#layout.shared, { force: true });
    await rm(this.#layout.root, { recursive: true, force: true });
  }

  async close(): Promise<void> {
    this.#watch?.close();
    await this.#turn.catch(() => undefined);
  }

  /** Makes files and process what they should be. Resolves to what was not. */
  async #settle(signal: AbortSignal): Promise<readonly string[]> {
    const { settings } = this.#deps;
    const repaired: string[] = [];
    await this.#checkWorkersSee();
    for (const name of await setStraysAside(this.#layout.sites))
      repaired.push(`${name} among the site files is none of ours and was set aside`);
    const onDisk = this.#sites.generation();
    let generation = onDisk;
    if (onDisk === null || !(await this.#sites.isIntact(onDisk))) {
      if (onDisk !== null) repaired.push('the main nginx files were not as written');
      generation = await this.#sites.writeSurroundings();
    }
    if (
      generation !== null &&
      (await this.#nginx.generation(signal)) === generation &&
      (await this.#nginx.master()) !== null
    )
      return repaired;
    if ((await this.#sites.test([])) !== null) {
      for (const project of await this.#sites.setDamagedAside())
        repaired.push(`the site file of ${project} was damaged`);
    }
    if ((await this.#nginx.master()) === null && settings.nginx.mode === 'managed') {
      if (onDisk !== null) repaired.push('nginx was not running');
      await this.#nginx.start(generation ?? '', signal);
    } else {
      await this.#reload(generation ?? '', signal);
      repaired.push('nginx had another configuration');
    }
    return repaired;
  }

  async #put(changes: readonly SiteChange[], signal: AbortSignal): Promise<void> {
    const { generation, undo } = await this.#sites.put(changes);
    try {
      await this.#reload(generation, signal);
    } catch (error) {
      await undo();
      const before = this.#sites.generation();
      if (before !== null) await this.#reload(before, AbortSignal.timeout(30_000)).catch(() => undefined);
      throw error;
    }
  }

  /** Together with the machine's own configuration they fail: find the offender. */
  async #putOneByOne(changes: readonly SiteChange[], signal: AbortSignal): Promise<readonly SiteOutcome[]> {
    const outcomes: SiteOutcome[] = [];
    for (const change of changes) {
      try {
        const why = await this.#sites.test([change]);
        if (why !== null) throw new PointsmanError('RouteRefused', why);
        await this.#put([change], signal);
        outcomes.push({ kind: 'applied' });
      } catch (error) {
        if (!(error instanceof PointsmanError) || error.code !== 'RouteRefused') throw error;
        outcomes.push({ kind: 'refused', message: error.message });
      }
    }
    return outcomes;
  }

  async #reload(generation: string, signal: AbortSignal): Promise<void> {
    this.#lastReload = this.#deps.clock.monotonic();
    await this.#nginx.reload(generation, signal);
    this.#lastReload = this.#deps.clock.monotonic();
    this.#deps.log.info({ generation }, 'nginx reloaded');
  }

  async #prepareFolders(): Promise<void> {
    const { root, sites, switches, staged, logs, temporary } = this.#layout;
    const version = await this.#nginx.version();
    const user = process.getuid?.() === 0 ? await workerUser() : null;
    this.#sites.setFacts({ user: user?.name ?? null, keepaliveMinTimeout: isAtLeast(version, '1.27.4') });
    for (const folder of [root, switches, temporary]) {
      await makeFolder(folder, searchable);
      await chmod(folder, searchable);
    }
    for (const folder of [sites, staged, logs]) await makeFolder(folder, 0o750);
    if (user !== null) await chown(temporary, user.uid, user.gid);
  }

  /** A folder on the way to the switch files that nginx's workers may not search makes every answer a 503. */
  async #checkWorkersSee(): Promise<void> {
    if (process.getuid?.() !== 0) return;
    const parts = this.#layout.switches.split('/');
    for (let depth = 2; depth <= parts.length; depth += 1) {
      const folder = parts.slice(0, depth).join('/');
      const { mode } = await stat(folder);
      if ((mode & 0o001) === 0) {
        throw new PointsmanError(
          'NginxUnavailable',
          `nginx's workers cannot get through ${folder} to the switch files: chmod o+x ${folder}, or choose another stateDir`,
        );
      }
    }
  }

  async #boundErrorLog(): Promise<void> {
    const path = join(this.#layout.logs, 'error.log');
    const size = await stat(path).then(
      (facts) => facts.size,
      () => 0,
    );
    if (size > longestErrorLogBytes) await truncate(path, 0);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work, work);
    this.#turn = result.catch(() => undefined);
    return result;
  }
}
