import { isDeepStrictEqual } from 'node:util';
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { liveClaims } from '../../../src/compose.js';
import { PointsmanError, isAbort, messageOf } from '../../../src/errors.js';
import { assembleDesired } from '../../../src/manifest/assemble.js';
import { parseManifests } from '../../../src/manifest/parse.js';
import type { ParsedFile } from '../../../src/manifest/parse.js';
import type { DesiredState } from '../../../src/manifest/project.js';
import type { Router } from '../../../src/router/port.js';
import type {
  ConfigRepository,
  ConfigSnapshot,
  GitSource,
  ResolvedSource,
  SourceRepository,
} from '../../../src/source/port.js';
import { abortable } from './effects.js';
import type { Effects } from './effects.js';
import type { Behaviour } from './engine.js';
import type { SimulatedContext } from './runtime.js';
import type { Life } from './scheduler.js';

export interface AppCommit {
  readonly id: string;
  readonly tree: string;
  readonly behaviour: Behaviour;
}

/**
 * Git servers and the mirrors beside the controller. Specification: a branch is moved to any commit by
 * whoever pushes; a look sees the tip of its moment; what was resolved last is in the mirror and outlives
 * the controller; a server that is down answers nothing, and the mirror's last commit counts.
 */
export class GitState {
  /** Files of each config commit. */
  readonly commits = new Map<string, ReadonlyMap<string, string>>();
  tip: string | null = null;
  mirrored: string | null = null;
  /** By repository: the commit that was resolved last; by repository and commit: pinned ones. */
  readonly mirroredApps = new Map<string, string>();
  /** Commits whose removals a person released. */
  readonly confirmed = new Set<string>();
  /** By repository: every commit, and where the branch is. */
  readonly apps = new Map<string, { readonly commits: Map<string, AppCommit>; tip: string }>();
  readonly configWatchers = new Set<() => void>();
  readonly sourceWatchers = new Set<(repo: string) => void>();
  isDown = false;

  constructor(readonly effects: Effects) {}

  /** Whether any application has this commit. */
  hasCommit(commit: string): boolean {
    return [...this.apps.values()].some(({ commits }) => commits.has(commit));
  }

  commitConfig(files: ReadonlyMap<string, string>): string {
    const id = hash(`config ${this.commits.size}`).slice(0, 40);
    this.commits.set(id, new Map(files));
    this.moveConfig(id);
    return id;
  }

  moveConfig(commit: string): void {
    this.tip = commit;
    this.effects.remember(`== config ${commit.slice(0, 7)} (${this.commits.get(commit)?.size} files)`);
    for (const watcher of [...this.configWatchers]) watcher();
  }

  commitApp(repo: string, behaviour: Behaviour): string {
    const app = this.apps.get(repo) ?? { commits: new Map<string, AppCommit>(), tip: '' };
    const id = hash(`${repo} ${app.commits.size}`).slice(0, 40);
    app.commits.set(id, { id, tree: hash(`tree ${id}`).slice(0, 40), behaviour });
    this.apps.set(repo, app);
    this.moveApp(repo, id);
    return id;
  }

  moveApp(repo: string, commit: string): void {
    const app = this.apps.get(repo);
    if (app === undefined) return;
    app.tip = commit;
    this.effects.remember(`== ${repo} ${commit.slice(0, 7)} (${app.commits.get(commit)?.behaviour})`);
    for (const watcher of [...this.sourceWatchers]) watcher(repo);
  }
}

const parsed = new Map<string, ParsedFile>();

function parse(file: string, text: string): ParsedFile {
  const key = `${file}\n${text}`;
  const known = parsed.get(key) ?? parseManifests(file, Buffer.from(text));
  if (parsed.size > 5_000) parsed.clear();
  parsed.set(key, known);
  return known;
}

export class SimulatedConfig implements ConfigRepository {
  #desired: DesiredState | null = null;

  constructor(
    private readonly state: GitState,
    private readonly life: Life,
    private readonly router: Router,
    private readonly fate: () => readonly number[],
  ) {}

  async sync(signal: AbortSignal): Promise<ConfigSnapshot> {
    try {
      const tip = await abortable(
        this.#git('list config', () => this.state.tip),
        signal,
      );
      if (tip === null) throw new PointsmanError('RefMissing', 'there is no branch main');
      if (tip !== this.#desired?.commit) {
        this.#desired = await this.#read(tip, signal);
        this.state.mirrored = tip;
      } else if (this.#desired.invalid.size > 0) {
        const now = await this.#assemble(tip);
        if (!isDeepStrictEqual(now.problems, this.#desired.problems)) this.#desired = now;
      }
      return { desired: this.#desired, error: null };
    } catch (error) {
      if (isAbort(error, signal)) throw error;
      const { mirrored } = this.state;
      if (this.#desired === null && mirrored !== null) this.#desired = await this.#assemble(mirrored);
      const code = error instanceof PointsmanError ? error.code : 'SourceCorrupt';
      return { desired: this.#desired, error: { code, message: messageOf(error) } };
    }
  }

  readAt(commit: string, signal: AbortSignal): Promise<DesiredState> {
    return this.#read(commit, signal);
  }

  async watch(onChange: () => void): Promise<() => Promise<void>> {
    const listener = (): void => {
      for (const ms of this.fate())
        this.state.effects.scheduler.after(ms, () => this.life.isAlive && onChange());
    };
    this.state.configWatchers.add(listener);
    return async () => void this.state.configWatchers.delete(listener);
  }

  async #read(commit: string, signal: AbortSignal): Promise<DesiredState> {
    await abortable(
      this.#git('fetch config', () => undefined),
      signal,
    );
    return this.#assemble(commit);
  }

  async #assemble(commit: string): Promise<DesiredState> {
    const files = [...(this.state.commits.get(commit) ?? [])].map(([file, text]) => parse(file, text));
    const live = await liveClaims(this.router);
    const desired = assembleDesired(commit, files, { baseDomain: 'example.com', live });
    return files.length > 0 ? desired : { ...desired, removalsHeldBecause: 'the folder holds no manifest' };
  }

  #git<T>(name: string, look: () => T): Promise<T> {
    return this.state.effects.run(this.life, 'git', name, () => reachable(this.state, look), {
      latencyMs: 15,
      stale: name === 'list config',
    });
  }
}

export class SimulatedSources implements SourceRepository {
  /** Tips by repository, as last listed. */
  readonly #listed = new Map<string, string>();
  /** Why the last listing of a repository failed. */
  readonly #failed = new Map<string, string>();
  #onChange: (repo: string) => void = () => undefined;
  #watched: ReadonlySet<string> = new Set();
  readonly #listener: (repo: string) => void;

  constructor(
    private readonly state: GitState,
    private readonly life: Life,
    fate: () => readonly number[],
  ) {
    this.#listener = (repo) => {
      if (!this.#watched.has(repo)) return;
      for (const ms of fate())
        this.state.effects.scheduler.after(ms, () => this.life.isAlive && this.#onChange(repo));
    };
    state.sourceWatchers.add(this.#listener);
  }

  async refresh(sources: readonly GitSource[], signal: AbortSignal): Promise<readonly GitSource[]> {
    const moved = new Set<string>();
    const followed = sources.filter(({ commit }) => commit === null);
    for (const repo of new Set(followed.map((source) => source.repo))) {
      const before = this.#listed.get(repo);
      await this.#list(repo, signal).catch((error: unknown) => {
        if (isAbort(error, signal)) throw error;
      });
      if (this.#listed.get(repo) !== before) moved.add(repo);
    }
    return followed.filter(({ repo }) => moved.has(repo));
  }

  async resolve({ repo, commit }: GitSource, signal: AbortSignal): Promise<ResolvedSource> {
    const app = this.state.apps.get(repo);
    if (app === undefined) throw new PointsmanError('SourceUnreachable', `${repo} is not there`);
    if (commit !== null) return this.#pinned(app.commits.get(commit), repo);
    if (!this.#listed.has(repo))
      await this.#list(repo, signal).catch((error: unknown) => {
        if (isAbort(error, signal) || !this.state.mirroredApps.has(repo)) throw error;
      });
    const found = app.commits.get(this.#listed.get(repo) ?? this.state.mirroredApps.get(repo) ?? '');
    if (found === undefined) throw new PointsmanError('RefMissing', `${repo} has no branch`);
    this.state.mirroredApps.set(repo, found.id);
    return { commit: found.id, tree: found.tree, stale: this.#failed.get(repo) ?? null };
  }

  async context(
    source: GitSource,
    resolved: ResolvedSource,
    _onLeftOut: (line: string) => void,
    signal: AbortSignal,
  ): Promise<Readable> {
    const read = (): SimulatedContext & { destroy(): void } => {
      const commit = this.state.apps.get(source.repo)?.commits.get(resolved.commit);
      if (commit === undefined) throw new PointsmanError('SourceCorrupt', 'the commit is gone');
      return { tree: commit.tree, behaviour: commit.behaviour, destroy: () => undefined };
    };
    const context = this.state.effects.run(this.life, 'git', `archive ${source.repo}`, read, {
      latencyMs: 5,
    });
    return (await abortable(context, signal)) as unknown as Readable;
  }

  async watch(repositories: readonly string[], onChange: (repo: string) => void): Promise<void> {
    this.#watched = new Set(repositories);
    this.#onChange = onChange;
  }

  async collect(): Promise<void> {
    // Mirrors cost the simulation nothing.
  }

  async close(): Promise<void> {
    this.state.sourceWatchers.delete(this.#listener);
  }

  /** A pinned commit needs the server only until it is in the mirror. */
  #pinned(found: AppCommit | undefined, repo: string): ResolvedSource {
    const key = `${repo} ${found?.id}`;
    if (!this.state.mirroredApps.has(key)) reachable(this.state, () => undefined);
    if (found === undefined) throw new PointsmanError('CommitMissing', `${repo} has no such commit`);
    this.state.mirroredApps.set(key, found.id);
    return { commit: found.id, tree: found.tree, stale: null };
  }

  async #list(repo: string, signal: AbortSignal): Promise<void> {
    const look = (): string | null => reachable(this.state, () => this.state.apps.get(repo)?.tip ?? null);
    const work = this.state.effects.run(this.life, 'git', `list ${repo}`, look, {
      latencyMs: 15,
      stale: true,
    });
    try {
      const tip = await abortable(work, signal);
      if (tip !== null) this.#listed.set(repo, tip);
      this.#failed.delete(repo);
    } catch (error) {
      if (!isAbort(error, signal)) this.#failed.set(repo, messageOf(error));
      throw error;
    }
  }
}

function reachable<T>(state: GitState, look: () => T): T {
  if (state.isDown) throw new PointsmanError('SourceUnreachable', 'the server does not answer');
  return look();
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
