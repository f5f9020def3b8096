import type { Clock } from './clock.js';
import type { Progress } from './apply/context.js';
import type { ProgressEvent } from './cli/progress.js';
import type { Drains } from './apply/drain.js';
import type { DesiredProjects } from './desired-projects.js';
import { messageOf, redact } from './errors.js';
import type { Logger } from './log.js';
import type { PassListener, PassView } from './reconcile.js';
import type { Journal, Phase } from './record/port.js';
import { projectStatus } from './record/project-status.js';
import type { ProjectStatusInput } from './record/project-status.js';
import { writeStatus } from './record/status-file.js';
import type { ProjectStatus, Status } from './record/status.generated.js';
import type { Settings } from './settings/settings.js';

/** A status older than this is written again (SPEC section 7: at least every 10 s). */
const heartbeatMs = 8_000;
/**
 * After a write, so many times as long as it took nothing is written, but at most a second: with many
 * projects, changes that follow each other share a write instead of waiting for each other's.
 */
const pacing = { times: 4, mostMs: 1_000 };

interface Entry {
  view: PassView | null;
  phase: Phase | null;
  /** When `phase` was last null, by the monotonic clock. */
  busySince: number;
  fault: ProjectStatusInput['fault'];
  /** Its part of the file, and what that was made of. */
  shown: { readonly from: readonly unknown[]; readonly status: ProjectStatus | null } | null;
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
  readonly #components = {
    docker: 'not looked at yet' as string | null,
    nginx: 'not looked at yet' as string | null,
  };
  readonly #startedAt: number;
  #drains: Drains | null = null;
  #state: 'running' | 'stopped' = 'running';
  #writing: Promise<void> | null = null;
  #dirty = false;
  /** By the monotonic clock. */
  #nextWriteAt = 0;
  #writeNow: () => void = () => undefined;
  #cancelHeartbeat: () => void = () => undefined;

  constructor(private readonly deps: StatusDeps) {
    this.#startedAt = deps.clock.now();
    this.#beat();
  }

  /** Known once the composition is complete. */
  attach(drains: Drains): void {
    this.#drains = drains;
  }

  view(project: string, view: PassView): void {
    this.#entry(project).view = view;
    this.touch();
  }

  progress(project: string, progress: Progress): void {
    const entry = this.#entry(project);
    const now = this.deps.clock.monotonic();
    if (entry.phase === null) entry.busySince = now;
    const phase = progress.phase ?? progress.outcome;
    if (phase !== undefined) {
      const step = progress.step === undefined ? {} : { step: progress.step };
      this.deps.onProgress({ project, phase, elapsedMs: now - entry.busySince, ...step });
    }
    if (entry.phase === progress.phase) return;
    entry.phase = progress.phase;
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
    this.touch();
  }

  component(name: 'docker' | 'nginx', trouble: string | null): void {
    if (this.#components[name] === trouble) return;
    this.#components[name] = trouble;
    this.touch();
  }

  /** Projects that wait for something which no event announces: looked at again at every interval. */
  waiting(): readonly string[] {
    return [...this.#entries]
      .filter(([, { view }]) => view !== null && (view.waiting !== null || view.plan.blocked !== null))
      .map(([project]) => project);
  }

  isLiveContainer(project: string, container: string | null): boolean {
    const live = this.#entries.get(project)?.view?.input.observed.live;
    return container !== null && live?.container?.id === container;
  }

  /** Whether the config repository could be read, every project is live or suspended, and there is no problem. */
  get allWell(): boolean {
    const { projects, problems, source } = this.#status();
    return (
      source.commit !== null &&
      source.error === null &&
      problems.length === 0 &&
      this.deps.desired.names().every((name) => projects[name] !== undefined) &&
      Object.values(projects).every(({ state }) => state === 'live' || state === 'suspended')
    );
  }

  /** Something changed: write soon. */
  touch(): void {
    this.#dirty = true;
    this.#writing ??= this.#write();
  }

  async close(): Promise<void> {
    this.#cancelHeartbeat();
    this.#state = 'stopped';
    this.touch();
    this.#writeNow();
    await this.#writing;
  }

  #entry(project: string): Entry {
    const entry = this.#entries.get(project) ?? {
      view: null,
      phase: null,
      busySince: 0,
      fault: null,
      shown: null,
    };
    this.#entries.set(project, entry);
    return entry;
  }

  async #write(): Promise<void> {
    while (this.#dirty) {
      await this.#turnToWrite();
      this.#dirty = false;
      const startedAt = this.deps.clock.monotonic();
      try {
        await writeStatus(this.deps.settings.stateDir, this.#status());
      } catch (error) {
        this.deps.log.error({ error: messageOf(error) }, 'status cannot be written');
      }
      const endedAt = this.deps.clock.monotonic();
      this.#nextWriteAt = endedAt + Math.min(pacing.times * (endedAt - startedAt), pacing.mostMs);
    }
    // In the same turn as the last look at `#dirty`: a later change would find nobody to write it.
    this.#writing = null;
  }

  /** Lets at least everything that changed in this turn share one write. */
  async #turnToWrite(): Promise<void> {
    const { clock } = this.deps;
    const pause = this.#state === 'stopped' ? 0 : Math.max(0, this.#nextWriteAt - clock.monotonic());
    await new Promise<void>((resolve) => {
      const cancel = clock.timer(pause, resolve);
      this.#writeNow = () => {
        cancel();
        resolve();
      };
    });
    this.#writeNow = () => undefined;
  }

  #beat(): void {
    this.#cancelHeartbeat = this.deps.clock.timer(heartbeatMs, () => {
      this.touch();
      this.#beat();
    });
  }

  #status(): Status {
    const { clock, settings, desired, version } = this.deps;
    const projects: Record<string, ProjectStatus> = {};
    for (const [name, entry] of [...this.#entries].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const status = this.#projectStatus(name, entry);
      if (status !== null) projects[name] = status;
    }
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
      summary: summaryOf(Object.values(projects)),
      problems: this.#problems(),
      projects,
    };
  }

  #projectStatus(name: string, entry: Entry): ProjectStatus | null {
    if (entry.view === null) return null;
    const { input, plan, waiting } = entry.view;
    const { phase, fault, shown } = entry;
    const memory = this.deps.journal.memory.project(name);
    const drain = this.#drains?.state(name) ?? null;
    const from = [entry.view, phase, fault, memory, drain?.slot, drain?.inFlight];
    if (shown?.from.every((part, index) => part === from[index]) === true) return shown.status;
    const publicPort = publicPortOf(this.deps.settings.nginx.listen);
    const status = projectStatus({
      input: { ...input, memory },
      plan,
      waiting,
      phase,
      drain,
      fault,
      publicPort,
    });
    entry.shown = { from, status };
    return status;
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
      ...general.map((message) => ({ file: '', line: 0, column: 0, path: '', message })),
    ];
  }
}

function componentStatus(trouble: string | null): Status['components']['docker'] {
  return { ok: trouble === null, message: trouble };
}

function summaryOf(projects: readonly ProjectStatus[]): Status['summary'] {
  const count = (state: ProjectStatus['state']): number =>
    projects.filter((project) => project.state === state).length;
  return {
    total: projects.length,
    live: count('live'),
    progressing: count('progressing'),
    failed: count('failed'),
    suspended: count('suspended'),
    invalid: count('invalid'),
    removing: count('removing'),
  };
}

/** Of the first `listen` entry; null when a browser needs no port in the address. */
function publicPortOf(listen: readonly string[]): number | null {
  const port = Number(listen[0]?.split(':').at(-1));
  return Number.isInteger(port) && port !== 80 ? port : null;
}
