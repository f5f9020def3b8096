import PQueue from 'p-queue';
import { messageOf } from './errors.js';
import type { Logger } from './log.js';
import { placeOf } from './manifest/problems.js';
import type { DeclaredProject, DesiredState, GitSource, Problem, Project } from './manifest/project.js';
import { serialiseSpec } from './manifest/spec.js';
import { planRemovals } from './plan/plan-removals.js';
import type { Removals } from './plan/plan-removals.js';
import type { Journal, JournalEntry } from './record/port.js';
import { resolveProject } from './resolve/resolve-project.js';
import type { ResolveDeps } from './resolve/resolve-project.js';
import type { Want } from './resolve/want.js';
import type { Settings } from './settings/settings.js';
import type { ConfigRepository, SourceRepository } from './source/port.js';
import type { Clock } from './clock.js';

export interface DesiredDeps extends ResolveDeps {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly log: Logger;
  readonly config: ConfigRepository;
  readonly sources: SourceRepository;
  readonly journal: Pick<Journal, 'memory'>;
}

export interface SyncResult {
  /** For the journal, when the tip moved. */
  readonly newCommit: Pick<Extract<JournalEntry, { type: 'sync' }>, 'configCommit' | 'detail'> | null;
  /** Whose manifest came, went or changed. */
  readonly projects: readonly string[];
}

/** The engine is asked for so many images at the same time. */
const imagesAtOnce = 8;

/** The config repository's side: what is wanted, and what may go. */
export class DesiredProjects {
  #state: DesiredState | null = null;
  // Null until somebody asks: no deployment waits for what it takes to find them among thousands.
  #claims: ReadonlyMap<string, string> | null = null;
  #unannounced: Unannounced | null = null;
  #removals: Removals = { gone: [], heldBecause: null };
  #removalsKnown = false;
  #secretHashes = new Map<string, string>();
  #error: string | null = null;
  /** Looks at the config repository in a row that failed. */
  #failures = 0;
  #lastAttemptAt: number | null = null;
  #lastSuccessAt: number | null = null;

  readonly #resolveDeps: ResolveDeps;

  constructor(private readonly deps: DesiredDeps) {
    const images = new PQueue({ concurrency: imagesAtOnce });
    const image: ResolveDeps['runtime']['image'] = (name) => images.add(() => deps.runtime.image(name));
    this.#resolveDeps = { ...deps, runtime: { image } };
  }

  get commit(): string | null {
    return this.#state?.commit ?? null;
  }

  /** Domain → project that the manifests give it to. */
  get claims(): ReadonlyMap<string, string> {
    return (this.#claims ??= claimsOf(this.#state));
  }

  get problems(): readonly Problem[] {
    return this.#state?.problems ?? [];
  }

  get source(): {
    readonly error: string | null;
    /** Looks in a row that failed. */
    readonly failures: number;
    readonly lastAttemptAt: number | null;
    readonly lastSuccessAt: number | null;
  } {
    return {
      error: this.#error,
      failures: this.#failures,
      lastAttemptAt: this.#lastAttemptAt,
      lastSuccessAt: this.#lastSuccessAt,
    };
  }

  get heldRemovals(): {
    readonly configCommit: string;
    readonly projects: readonly string[];
    readonly why: string;
  } | null {
    const { gone, heldBecause } = this.#removals;
    return heldBecause === null || this.#state === null
      ? null
      : { configCommit: this.#state.commit, projects: gone, why: heldBecause };
  }

  knows(project: string): boolean {
    return this.#state?.projects.has(project) === true || this.#state?.invalid.has(project) === true;
  }

  /** Whether `planRemovals` has seen what is wanted now. */
  get areRemovalsPlanned(): boolean {
    return this.#removalsKnown;
  }

  /**
   * Something of the project is there. Where no manifest names it and no look saw it, removals have to be
   * planned anew: true then.
   */
  noticed(project: string): boolean {
    if (this.#state === null || this.knows(project) || this.#removals.gone.includes(project)) return false;
    this.#removalsKnown = false;
    return true;
  }

  /** Every project that a manifest names or that is about to go. */
  names(): readonly string[] {
    return [
      ...(this.#state?.projects.keys() ?? []),
      ...(this.#state?.invalid.keys() ?? []),
      ...this.#removals.gone,
    ];
  }

  /** Application repositories that manifests name. */
  repositories(): readonly string[] {
    const sources = [...(this.#state?.projects.values() ?? [])].map(({ project }) => project.source);
    return [...new Set(sources.flatMap((source) => (source.kind === 'git' ? [source.repo] : [])))];
  }

  /** Reads the newest commit. */
  async sync(signal: AbortSignal): Promise<SyncResult> {
    const { config, clock, log } = this.deps;
    this.#lastAttemptAt = clock.now();
    const snapshot = await config.sync(signal);
    this.#error = snapshot.error?.message ?? null;
    this.#failures = snapshot.error === null ? 0 : this.#failures + 1;
    // Who read it has logged why it could not.
    if (snapshot.error === null) this.#lastSuccessAt = clock.now();
    const { desired } = snapshot;
    if (desired === null || desired === this.#state) return { newCommit: null, projects: [] };
    const before = this.#state;
    this.#state = desired;
    // Where nobody was gone, nobody is as long as no name is given up: a look at all that is there can be spared.
    const isNobodyGone = this.#removalsKnown && this.#removals.gone.length === 0;
    this.#removalsKnown = isNobodyGone && before !== null && keepsNames(before, desired);
    this.#claims = null;
    this.#unannounced = null;
    if (before?.commit === desired.commit)
      return { newCommit: null, projects: changedProjects(before, desired) };
    const facts = {
      projects: desired.projects.size,
      problems: desired.problems.length,
      previous: before?.commit ?? null,
    };
    for (const problem of desired.problems) log.warn({ ...problem }, 'manifest problem');
    return {
      newCommit: { configCommit: desired.commit, detail: facts },
      projects: changedProjects(before, desired),
    };
  }

  /**
   * Lists the refs of all followed sources, and looks at secret values. `onChanged` hears of the projects
   * of each repository as soon as that has answered.
   */
  async refreshSources(onChanged: (projects: readonly string[]) => void, signal: AbortSignal): Promise<void> {
    const { secretive, followers } = (this.#unannounced ??= unannounced(this.#state));
    for (const { name, run } of secretive)
      if (await this.#secretsChanged(name, run.secrets)) onChanged([name]);
    await this.deps.sources.watch([...followers.keys()], this.#onSource);
    await Promise.all(
      [...followers.values()].map(async (projects) => {
        const moved = new Set(
          await this.deps.sources.refresh(
            projects.map(({ source }) => source as GitSource),
            signal,
          ),
        );
        onChanged(projects.filter(({ source }) => moved.has(source as GitSource)).map(({ name }) => name));
      }),
    );
  }

  #onSource: (repo: string) => void = () => undefined;

  async #secretsChanged(project: string, names: readonly string[]): Promise<boolean> {
    const hash = await this.deps.secrets.read(project, names).then(
      (secrets) => secrets.hash ?? '',
      (error: unknown) => messageOf(error),
    );
    const before = this.#secretHashes.get(project);
    this.#secretHashes.set(project, hash);
    return before !== undefined && before !== hash;
  }

  /** Calls `onCommit` when a local config repository moves, `onSources` with the projects of a local source that moved. */
  async watch(
    onCommit: () => void,
    onSources: (projects: readonly string[]) => void,
  ): Promise<() => Promise<void>> {
    const { sources, log } = this.deps;
    this.#onSource = (repo) => {
      const follow = [...(this.#state?.projects.values() ?? [])].filter(
        ({ project: { source } }) => source.kind === 'git' && source.repo === repo,
      );
      const signal = AbortSignal.timeout(60_000);
      sources
        .refresh(
          follow.map(({ project }) => project.source as GitSource),
          signal,
        )
        .then(
          () => onSources(follow.map(({ project }) => project.name)),
          (error: unknown) => log.warn({ repo, error: messageOf(error) }, 'source cannot be listed'),
        );
    };
    const stopConfig = await this.deps.config.watch(onCommit);
    return async () => {
      await stopConfig();
      await sources.watch([], () => undefined);
    };
  }

  /** What the project should be now. @throws PointsmanError DockerUnavailable */
  async resolve(project: string, signal: AbortSignal): Promise<Want> {
    const state = this.#state;
    if (state === null) return { kind: 'unknown', message: 'the config repository has not been read yet' };
    const declared = state.projects.get(project);
    if (declared !== undefined) return resolveProject(declared, state.commit, this.#resolveDeps, signal);
    const problems = state.invalid.get(project);
    if (problems !== undefined) return { kind: 'invalid', message: describeProblem(problems[0]) };
    return { kind: 'absent', configCommit: state.commit, heldBecause: this.#whyNotRemoved(project) };
  }

  #whyNotRemoved(project: string): string | null {
    // One that came to be after that look is looked at with the next one.
    if (!this.#removalsKnown || !this.#removals.gone.includes(project))
      return 'its removal has not been looked at yet';
    return this.#removals.heldBecause;
  }

  /** Decides which of the projects that are there may go. Resolves to those that no manifest names. */
  planRemovals(existing: readonly string[]): readonly string[] {
    const { settings, journal, log } = this.deps;
    const state = this.#state;
    if (state === null) return existing;
    const before = this.#removals.heldBecause;
    this.#removals = planRemovals({
      configCommit: state.commit === '' ? null : state.commit,
      existing,
      declared: new Set([...state.projects.keys(), ...state.invalid.keys()]),
      heldBecause: state.removalsHeldBecause,
      maxShare: settings.prune.maxShare,
      confirmed: journal.memory.isConfirmed(state.commit),
    });
    this.#removalsKnown = true;
    if (this.#removals.heldBecause !== null && this.#removals.heldBecause !== before) {
      log.warn({ configCommit: state.commit, projects: this.#removals.gone }, this.#removals.heldBecause);
    }
    return this.#removals.gone;
  }
}

export function describeProblem(problem: Problem | undefined): string {
  if (problem === undefined) return 'its manifest is not valid';
  const { file, line, column, path, message } = problem;
  return `${placeOf({ file, line, column })} ${path === '' ? '' : `${path}: `}${message}`;
}

function claimsOf(desired: DesiredState | null): ReadonlyMap<string, string> {
  const claims = new Map<string, string>();
  for (const { project } of desired?.projects.values() ?? [])
    for (const domain of project.route.domains) claims.set(domain, project.name);
  return claims;
}

/** What changes without a new commit. */
interface Unannounced {
  /** Projects with secrets. */
  readonly secretive: readonly Project[];
  /** Repository → projects that follow a ref of it. */
  readonly followers: ReadonlyMap<string, readonly Project[]>;
}

function unannounced(desired: DesiredState | null): Unannounced {
  const projects = Array.from(desired?.projects.values() ?? [], ({ project }) => project);
  const followers = new Map<string, Project[]>();
  for (const project of projects) {
    const { source } = project;
    if (source.kind !== 'git' || source.commit !== null) continue;
    const others = followers.get(source.repo);
    if (others === undefined) followers.set(source.repo, [project]);
    else others.push(project);
  }
  return { secretive: projects.filter(({ run }) => run.secrets.length > 0), followers };
}

/** Whether every project that was declared still is. */
function keepsNames(before: DesiredState, after: DesiredState): boolean {
  if (after.changes?.since === before.commit) return true;
  return [before.projects, before.invalid].every((declared) => {
    for (const name of declared.keys())
      if (!after.projects.has(name) && !after.invalid.has(name)) return false;
    return true;
  });
}

/** By content: a manifest that was only reformatted or moved is not a change. What is not valid always counts as one. */
function changedProjects(before: DesiredState | null, after: DesiredState): readonly string[] {
  const isSame = (name: string): boolean =>
    sameDeclaration(before?.projects.get(name), after.projects.get(name));
  if (after.changes !== undefined && after.changes.since === before?.commit)
    return after.changes.projects.filter((name) => !isSame(name));
  const changed = new Set<string>();
  for (const name of after.projects.keys()) if (!isSame(name)) changed.add(name);
  for (const declared of [before?.projects, before?.invalid])
    for (const name of declared?.keys() ?? []) if (!after.projects.has(name)) changed.add(name);
  for (const name of after.invalid.keys()) changed.add(name);
  return [...changed];
}

function sameDeclaration(a: DeclaredProject | undefined, b: DeclaredProject | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  return a === b || a.project === b.project || serialiseSpec(a.project) === serialiseSpec(b.project);
}
