import { PointsmanError, isAbort, messageOf } from '../../../src/errors.js';
import type { Slot } from '../../../src/manifest/project.js';
import { otherSlot, slots } from '../../../src/manifest/project.js';
import type {
  RouteFacts,
  Router,
  RouterHealth,
  Site,
  SiteChange,
  SiteOutcome,
  SwitchRecord,
} from '../../../src/router/port.js';
import { abortable } from './effects.js';
import type { Effects } from './effects.js';
import type { Life } from './scheduler.js';

interface SiteFile {
  readonly site: Site;
  readonly intact: boolean;
}

interface Connection {
  readonly upstream: string;
  /** When it is made: the request chose its upstream before. */
  readonly from: number;
  readonly until: number;
}

/**
 * nginx and its files, which outlive every controller. Specification: a request of a project is answered
 * by the site that was on disk at the last reload, at the upstream of green when the file `<project>.green`
 * is there, else of blue when `<project>.blue` is, else by 503. Files change one at a time, durably; what
 * a crash leaves of a batch of sites is finished at the next start, before a reload. A reload takes over
 * what is on disk. When traffic leaves an upstream, requests that chose it before may
 * connect up to 30 ms later (a barrier outlasts them) and some take long.
 */
export class RouterState {
  readonly sites = new Map<string, SiteFile>();
  /** By `<project>.<slot>`; `record` null: damaged. */
  readonly switches = new Map<string, { readonly record: SwitchRecord | null }>();
  loaded = new Map<string, Site>();
  /** Site files that are being put in place together. */
  batch: readonly SiteChange[] = [];
  isRunning = false;
  /** The machine booted, and nobody has reloaded since. */
  isOfBoot = false;
  reloads = 0;
  connections: Connection[] = [];
  readonly watchers = new Set<(project: string | null) => void>();

  constructor(readonly effects: Effects) {}

  /** The slot that the switch files name. */
  slot(project: string): Slot | null {
    return (['green', 'blue'] as const).find((slot) => this.switches.has(`${project}.${slot}`)) ?? null;
  }

  /** Where a request of the project goes now; null: it is answered by nginx itself. */
  upstream(project: string): string | null {
    const slot = this.slot(project);
    const site = this.loaded.get(project);
    return !this.isRunning || slot === null || site === undefined ? null : site.upstreams[slot];
  }

  /** Requests that hold on to an upstream, those that are about to connect included. */
  holding(upstream: string): number {
    const now = this.effects.scheduler.time;
    this.connections = this.connections.filter(({ until }) => until > now);
    return this.connections.filter((connection) => connection.upstream === upstream).length;
  }

  /** Connections that can be counted. */
  connected(upstream: string): number {
    const now = this.effects.scheduler.time;
    return this.connections.filter(
      ({ from, until, upstream: to }) => to === upstream && from <= now && now < until,
    ).length;
  }

  reload(): void {
    this.loaded = new Map([...this.sites].map(([project, { site }]) => [project, site]));
    this.isRunning = true;
    this.isOfBoot = false;
    this.reloads += 1;
  }

  isCurrent(): boolean {
    return (
      this.isRunning &&
      this.loaded.size === this.sites.size &&
      [...this.sites].every(([project, { site }]) => this.loaded.get(project) === site)
    );
  }
}

/** The proxy as one life of the controller sees it. Its sequences of files follow src/router/switch-files.ts. */
export class SimulatedRouter implements Router {
  #lastReload = Number.NEGATIVE_INFINITY;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly state: RouterState,
    private readonly life: Life,
    private readonly fate: () => readonly number[],
  ) {}

  start(): Promise<void> {
    return this.#inTurn(async () => {
      for (const change of this.state.batch) await this.#put(change);
      this.state.batch = [];
      await this.#settle();
    });
  }

  observe(project: string): Promise<RouteFacts> {
    return this.#do(`observe ${project}`, false, () => {
      const file = this.state.sites.get(project);
      const at = (slot: Slot): RouteFacts['switches'][Slot] =>
        this.state.switches.get(`${project}.${slot}`) ?? null;
      return {
        site: file?.intact === false ? null : (file?.site ?? null),
        present: file !== undefined,
        intact: file?.intact ?? true,
        switches: { blue: at('blue'), green: at('green') },
      };
    });
  }

  projects(): Promise<readonly string[]> {
    return this.#do('projects', false, () => [
      ...new Set([
        ...this.state.sites.keys(),
        ...[...this.state.switches.keys()].map((key) => key.replace(/\..*$/, '')),
      ]),
    ]);
  }

  sites(): Promise<readonly Site[]> {
    return this.#do('sites', false, () =>
      [...this.state.sites.values()].filter(({ intact }) => intact).map(({ site }) => site),
    );
  }

  applySites(changes: readonly SiteChange[], signal: AbortSignal): Promise<readonly SiteOutcome[]> {
    return this.#inTurn(async () => {
      const outcomes = changes.map((change): SiteOutcome => {
        const holder = this.#conflict(change, changes);
        return holder === null
          ? { kind: 'applied' }
          : { kind: 'refused', message: `conflicting server name with ${holder}` };
      });
      const good = changes.filter((_change, index) => outcomes[index]?.kind === 'applied');
      if (good.length === 0) return outcomes;
      const before = new Map(this.state.sites);
      try {
        if (good.length > 1) await this.#do('note batch', true, () => void (this.state.batch = good));
        for (const change of good) await this.#put(change);
        if (good.length > 1) await this.#do('batch done', true, () => void (this.state.batch = []));
        await abortable(this.#reload(), signal);
      } catch (error) {
        this.state.batch = [];
        for (const { project } of good) {
          const old = before.get(project);
          await this.#do(`undo site ${project}`, true, () => {
            if (old === undefined) this.state.sites.delete(project);
            else this.state.sites.set(project, old);
          });
        }
        await this.#reload().catch(() => undefined);
        throw error;
      }
      return outcomes;
    });
  }

  reloadDelay(): number {
    return Math.max(0, this.#lastReload + 5_000 - this.state.effects.scheduler.time);
  }

  async switchTo(record: SwitchRecord, signal: AbortSignal): Promise<void> {
    const { project, slot } = record;
    const other = otherSlot(slot);
    const before = this.state.switches.get(`${project}.${other}`) ?? null;
    await this.#write(record);
    try {
      await this.barrier(signal);
      if (slot === 'blue') await this.#unlink(project, other);
      const seen = await this.liveSlot(project);
      if (seen !== slot) throw new PointsmanError('SwitchFailed', `nginx does not route to ${slot}`);
    } catch (error) {
      if (before !== null) {
        if (before.record !== null) await this.#write(before.record);
        if (before.record !== null || slot === 'green') await this.#unlink(project, slot);
      }
      throw error;
    }
    if (slot === 'green') await this.#unlink(project, other);
  }

  restoreSwitch(record: SwitchRecord): Promise<void> {
    return this.#write(record);
  }

  async clearSwitch(project: string): Promise<void> {
    for (const slot of slots) await this.#unlink(project, slot);
  }

  liveSlot(project: string): Promise<Slot | null> {
    return this.#do(`ask live ${project}`, false, () => {
      if (!this.state.isRunning) throw new PointsmanError('NginxUnavailable', 'nginx does not answer');
      return this.state.slot(project);
    });
  }

  barrier(signal: AbortSignal): Promise<void> {
    return abortable(
      this.#do('barrier', false, () => undefined, 40),
      signal,
    );
  }

  inFlight(upstream: string): Promise<number | null> {
    return this.#do(`count ${upstream}`, false, () => this.state.connected(upstream));
  }

  repair(
    signal: AbortSignal,
  ): Promise<{ readonly health: RouterHealth; readonly repaired: readonly string[] }> {
    return this.#inTurn(async () => {
      try {
        return { health: { ok: true, message: null }, repaired: await this.#settle() };
      } catch (error) {
        if (isAbort(error, signal)) throw error;
        return { health: { ok: false, message: messageOf(error) }, repaired: [] };
      }
    });
  }

  async watch(onChange: (project: string | null) => void): Promise<() => Promise<void>> {
    const listener = (project: string | null): void => {
      for (const ms of this.fate())
        this.state.effects.scheduler.after(ms, () => this.life.isAlive && onChange(project));
    };
    this.state.watchers.add(listener);
    return async () => void this.state.watchers.delete(listener);
  }

  async dismantle(): Promise<void> {
    this.state.isRunning = false;
    this.state.sites.clear();
    this.state.switches.clear();
  }

  async close(): Promise<void> {
    await this.#turn.catch(() => undefined);
  }

  #put({ project, site }: SiteChange): Promise<void> {
    return this.#do(`${site === null ? 'remove' : 'write'} site ${project}`, true, () => {
      if (site === null) this.state.sites.delete(project);
      else this.state.sites.set(project, { site, intact: true });
    });
  }

  async #settle(): Promise<readonly string[]> {
    const isCurrent = await this.#do('look at nginx', false, () => this.state.isCurrent());
    if (isCurrent) return [];
    await this.#reload();
    return ['nginx had another configuration, or was not running'];
  }

  async #reload(): Promise<void> {
    this.#lastReload = this.state.effects.scheduler.time;
    await this.#do('reload', true, () => this.state.reload(), 100);
    this.#lastReload = this.state.effects.scheduler.time;
  }

  /** Another project, not changed in the same batch, that serves one of the site's domains. */
  #conflict({ project, site }: SiteChange, changes: readonly SiteChange[]): string | null {
    if (site === null) return null;
    for (const [holder, file] of this.state.sites) {
      if (holder === project || changes.some((change) => change.project === holder)) continue;
      if (file.site.route.domains.some((domain) => site.route.domains.includes(domain))) return holder;
    }
    return null;
  }

  #write(record: SwitchRecord): Promise<void> {
    return this.#do(
      `create switch ${record.project}.${record.slot}`,
      true,
      () => void this.state.switches.set(`${record.project}.${record.slot}`, { record }),
    );
  }

  async #unlink(project: string, slot: Slot): Promise<void> {
    if (!this.state.switches.has(`${project}.${slot}`)) return;
    await this.#do(
      `unlink switch ${project}.${slot}`,
      true,
      () => void this.state.switches.delete(`${project}.${slot}`),
    );
  }

  #do<T>(name: string, mutates: boolean, apply: () => T, latencyMs = 1): Promise<T> {
    return this.state.effects.run(this.life, 'nginx', name, apply, { mutates, latencyMs });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work, work);
    this.#turn = result.catch(() => undefined);
    return result;
  }
}
