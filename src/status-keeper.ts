import type { Clock } from './clock.js';
import type { Progress } from './apply/context.js';
import type { Drains } from './apply/drain.js';
import type { DesiredProjects } from './desired-projects.js';
import { messageOf, redact, withMend } from './errors.js';
import { noPlace } from './manifest/problems.js';
import type { Logger } from './log.js';
import type { PassListener, PassView } from './reconcile.js';
import type { PlanInput } from './plan/plan.js';
import type { Journal, Outcome, Phase } from './record/port.js';
import { projectStatus, summaryOf, unseenStatus } from './record/project-status.js';
import type { ProjectStatusInput } from './record/project-status.js';
import { PacedWrites } from './record/paced-writes.js';
import { parseProjectEntry, projectEntry, writeStatus } from './record/status-file.js';
import type { StatusHead } from './record/status-file.js';
import type { ProjectStatus, Status } from './record/status.generated.js';
import type { Settings } from './settings/settings.js';

/** A status older than this is written again (SPEC section 7: at least every 10 s). */
const heartbeatMs = 8_000;
const notYet = 'not looked at yet';

/** Where a project's deployment is. */
export interface ProgressEvent {
  readonly project: string;
  /** An outcome ends it; null what was no deployment, such as a way back. */
  readonly phase: Phase | Outcome | null;
  /** Milliseconds since the deployment began. */
  readonly elapsedMs: number;
  /** `[2/5] RUN npm ci` while building. */
  readonly step?: string;
}

interface Entry {
  view: PassView | null;
  phase: Phase | null;
  /** What goes on in `phase`: a build's step, what a probe was answered. */
  step: string | null;
  /** When `phase` was last null, by the monotonic clock. */
  busySince: number;
  fault: ProjectStatusInput['fault'];
  /** Its source is being waited for. */
  isFetching: boolean;
  shown: Shown | null;
}

/** A project's part of the file, and what it was made of. */
interface Shown {
  readonly project: string;
  readonly from: readonly unknown[];
  readonly state: ProjectStatus['state'];
  readonly entry: Buffer;
}

export interface StatusDeps {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly log: Logger;
  readonly journal: Pick<Journal, 'damage' | 'fault' | 'memory'>;
  readonly desired: DesiredProjects;
  readonly version: string;
  readonly onProgress: (event: ProgressEvent) => void;
}

/** What every pass last saw, and the status file made of it. Writes overlap never and coalesce always. */
export class StatusKeeper implements PassListener {
  readonly #entries = new Map<string, Entry>();
  readonly #waiting = new Set<string>();
  readonly #components = {
    docker: notYet as string | null,
    nginx: notYet as string | null,
  };
  readonly #startedAt: number;
  #drains: Drains | null = null;
  #state: 'running' | 'stopped' = 'running';
  #unwritable: string | null = null;
  /** Names of `#entries` in order; null when they have to be sorted again. */
  #names: readonly string[] | null = null;
  /** The commit whose projects are all in `#entries`. */
  #namesAt: string | null = null;
  readonly #writes: PacedWrites;
  #cancelHeartbeat: () => void = () => undefined;

  constructor(private readonly deps: StatusDeps) {
    this.#startedAt = deps.clock.now();
    this.#writes = new PacedWrites(deps.clock, () => this.#write());
    this.#beat();
  }

  /** Known once the composition is complete. */
  attach(drains: Drains): void {
    this.#drains = drains;
  }

  view(project: string, view: PassView): void {
    const entry = this.#entry(project);
    // What was held or refused is asked for again at each look: until there is an answer, it says what it said.
    const isAsked = view.plan.steps.some(({ kind }) => kind === 'site' || kind === 'unroute');
    const waiting = view.waiting ?? (isAsked ? (entry.view?.waiting ?? null) : null);
    entry.view = { ...view, waiting };
    if (waiting !== null || view.plan.blocked !== null) this.#waiting.add(project);
    else this.#waiting.delete(project);
    this.touch();
  }

  progress(project: string, progress: Progress): void {
    const entry = this.#entry(project);
    const now = this.deps.clock.monotonic();
    if (entry.phase === null) entry.busySince = now;
    const phase = progress.phase ?? progress.outcome ?? null;
    if (phase !== null || entry.phase !== null) {
      const step = progress.step === undefined ? {} : { step: progress.step };
      this.deps.onProgress({ project, phase, elapsedMs: now - entry.busySince, ...step });
    }
    const step = progress.step ?? null;
    if (entry.phase === progress.phase && entry.step === step) return;
    entry.phase = progress.phase;
    entry.step = step;
    this.touch();
  }

  fetching(project: string, isFetching: boolean): void {
    const entry = this.#entry(project);
    if (entry.isFetching === isFetching) return;
    entry.isFetching = isFetching;
    this.touch();
  }

  fault(project: string, fault: ProjectStatusInput['fault']): void {
    const entry = this.#entry(project);
    if (entry.fault === fault) return;
    entry.fault = fault;
    this.touch();
  }

  forget(project: string): void {
    this.#entries.delete(project);
    this.#waiting.delete(project);
    this.#names = null;
    this.#namesAt = null;
    this.touch();
  }

  component(name: 'docker' | 'nginx', trouble: string | null): void {
    if (this.#components[name] === trouble) return;
    this.#components[name] = trouble;
    this.touch();
  }

  /** Projects that wait for something which no event announces: looked at again at every interval. */
  waiting(): readonly string[] {
    return [...this.#waiting];
  }

  isLiveContainer(project: string, container: string | null): boolean {
    const live = this.#entries.get(project)?.view?.input.observed.live;
    return container !== null && live?.container?.id === container;
  }

  /** Whether the config repository could be read, every project is live or suspended, and there is no problem. */
  get allWell(): boolean {
    const { desired } = this.deps;
    const shown = this.#shown();
    return (
      desired.commit !== null &&
      desired.source.error === null &&
      this.#problems().length === 0 &&
      desired.names().every((name) => (this.#entries.get(name)?.shown ?? null) !== null) &&
      shown.every(({ state }) => isWell(state))
    );
  }

  /** Why the last write of the status file failed, and the mend; null when it did not. */
  get unwritable(): string | null {
    return this.#unwritable;
  }

  /** What is not as it should be, of each project. */
  unwell(): readonly { readonly project: string; readonly status: ProjectStatus }[] {
    return this.#shown()
      .filter(({ state }) => !isWell(state))
      .map(({ project, entry }) => ({ project, status: parseProjectEntry(entry) }));
  }

  /** Something changed: write soon. */
  touch(): void {
    this.#writes.ask();
  }

  async close(): Promise<void> {
    this.#cancelHeartbeat();
    this.#state = 'stopped';
    await this.#writes.last();
  }

  #entry(project: string): Entry {
    const known = this.#entries.get(project);
    if (known !== undefined) return known;
    const entry: Entry = {
      view: null,
      phase: null,
      step: null,
      busySince: 0,
      fault: null,
      isFetching: false,
      shown: null,
    };
    this.#entries.set(project, entry);
    this.#names = null;
    return entry;
  }

  async #write(): Promise<void> {
    try {
      const shown = this.#shown();
      const entries = shown.map(({ entry }) => entry);
      await writeStatus(this.deps.settings.stateDir, this.#head(shown), entries);
      this.#unwritable = null;
    } catch (error) {
      this.#unwritable = `the controller cannot write its status: ${withMend(error)}`;
      this.deps.log.error({ error: messageOf(error) }, 'status cannot be written');
    }
  }

  #beat(): void {
    this.#cancelHeartbeat = this.deps.clock.timer(heartbeatMs, () => {
      this.touch();
      this.#beat();
    });
  }

  /** What is known of each project, in the order of their names. */
  #shown(): readonly Shown[] {
    const { desired } = this.deps;
    if (this.#namesAt !== desired.commit) {
      for (const name of desired.names())
        if (!this.#entries.has(name) && desired.knows(name)) this.#entry(name);
      this.#namesAt = desired.commit;
    }
    this.#names ??= [...this.#entries.keys()].sort();
    const all: Shown[] = [];
    for (const name of this.#names) {
      const entry = this.#entries.get(name);
      if (entry === undefined) continue;
      entry.shown = this.#show(name, entry);
      if (entry.shown !== null) all.push(entry.shown);
    }
    return all;
  }

  #head(shown: readonly Shown[]): StatusHead {
    const { clock, settings, desired, version } = this.deps;
    const iso = (at: number | null): string | null => (at === null ? null : new Date(at).toISOString());
    const { error, lastAttemptAt, lastSuccessAt } = desired.source;
    return {
      version: 1,
      writtenAt: new Date(clock.now()).toISOString(),
      controller: {
        version,
        pid: process.pid,
        startedAt: new Date(this.#startedAt).toISOString(),
        state: this.#state,
      },
      source: {
        url: redact(settings.configRepo.url),
        branch: settings.configRepo.branch,
        commit: desired.commit,
        lastAttemptAt: iso(lastAttemptAt),
        lastSuccessAt: iso(lastSuccessAt),
        error,
      },
      components: {
        docker: componentStatus(this.#components.docker),
        nginx: componentStatus(this.#components.nginx),
      },
      summary: summaryOf(shown.map(({ state }) => state)),
      problems: this.#problems(),
    };
  }

  #show(name: string, { view, phase, step, isFetching, fault, shown }: Entry): Shown | null {
    const memory = this.deps.journal.memory.project(name);
    const drain = this.#drains?.state(name) ?? null;
    const { docker, nginx } = this.#components;
    const from = [view, phase, step, isFetching, fault, memory, drain?.slot, drain?.inFlight, docker, nginx];
    if (shown?.from.every((part, index) => part === from[index]) === true) return shown;
    const now = {
      phase: phase ?? (isFetching ? ('fetching' as const) : null),
      step,
      fault,
      outage: this.#outage,
    };
    const status = view === null ? this.#unseen(name, now) : this.#seen(view, memory, drain, now);
    if (status === null) return null;
    return { project: name, from, state: status.state, entry: projectEntry(name, status) };
  }

  #seen(
    { input, plan, waiting }: PassView,
    memory: PlanInput['memory'],
    drain: ProjectStatusInput['drain'],
    now: Pick<ProjectStatusInput, 'phase' | 'step' | 'fault' | 'outage'>,
  ): ProjectStatus | null {
    const publicPort = publicPortOf(this.deps.settings.nginx.listen);
    return projectStatus({ ...now, input: { ...input, memory }, plan, waiting, drain, publicPort });
  }

  /** Declared, and not looked at yet; what is not declared and was never seen is not there. */
  #unseen(name: string, now: Parameters<typeof unseenStatus>[0]): ProjectStatus | null {
    return this.deps.desired.knows(name) ? unseenStatus(now) : null;
  }

  get #outage(): ProjectStatusInput['outage'] {
    const { docker, nginx } = this.#components;
    if (nginx !== null && nginx !== notYet) return { of: 'nginx', message: nginx };
    return docker === null || docker === notYet ? null : { of: 'docker', message: docker };
  }

  #problems(): Status['problems'] {
    const { desired, journal } = this.deps;
    const held = desired.heldRemovals;
    const general = [held?.why ?? null, journal.fault, journal.damage].filter((message) => message !== null);
    return [
      ...desired.problems.map(({ file, line, column, path, message, project }) => ({
        file,
        line,
        column,
        path,
        message,
        ...(project === undefined ? {} : { project }),
      })),
      ...general.map((message) => ({ file: '', ...noPlace, path: '', message })),
    ];
  }
}

function isWell(state: ProjectStatus['state']): boolean {
  return state === 'live' || state === 'suspended';
}

function componentStatus(trouble: string | null): Status['components']['docker'] {
  return { ok: trouble === null, message: trouble };
}

/** Of the first `listen` entry; null when a browser needs no port in the address. */
function publicPortOf(listen: readonly string[]): number | null {
  const port = Number(listen[0]?.split(':').at(-1));
  return Number.isInteger(port) && port !== 80 ? port : null;
}
