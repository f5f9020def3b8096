import type { Logger } from 'pino';
import type { Readable } from 'node:stream';
import type { Clock } from '../clock.js';
import { isAbort, messageOf, PointsmanError } from '../errors.js';
import type { Settings } from '../settings/settings.js';
import { planContext, streamContext } from './context.js';
import { credentialFor } from './credentials.js';
import { FollowedRepository } from './followed-repository.js';
import { parseLocation } from './location.js';
import type { MirrorStore } from './mirror-store.js';
import type { GitSource, ResolvedSource, SourceRepository } from './port.js';
import { RefWatch } from './ref-watch.js';

export interface SourceRepositoryDeps {
  readonly settings: Pick<Settings, 'configRepo' | 'credentials' | 'policy'>;
  readonly mirrors: MirrorStore;
  readonly log: Logger;
  readonly clock: Clock;
}

/** Application sources, mirrored: one mirror and one listing for all projects of a repository. */
export class GitSourceRepository implements SourceRepository {
  readonly #deps: SourceRepositoryDeps;
  /** By location key. */
  readonly #followed = new Map<string, FollowedRepository>();
  readonly #watches = new Map<string, RefWatch>();

  constructor(deps: SourceRepositoryDeps) {
    this.#deps = deps;
  }

  async refresh(sources: readonly GitSource[], signal: AbortSignal): Promise<readonly GitSource[]> {
    const groups = new Map<FollowedRepository, GitSource[]>();
    for (const source of sources) {
      if (source.commit !== null) continue;
      const followed = this.#tryOpen(source.repo);
      if (followed !== null) groups.set(followed, [...(groups.get(followed) ?? []), source]);
    }
    const moved = await Promise.all(
      [...groups].map(([followed, group]) => this.#refreshOne(followed, group, signal)),
    );
    signal.throwIfAborted();
    return moved.flat();
  }

  async resolve(source: GitSource, signal: AbortSignal): Promise<ResolvedSource> {
    return this.#open(source.repo).resolve(source, signal);
  }

  async context(
    source: GitSource,
    resolved: ResolvedSource,
    onLeftOut: (line: string) => void,
    signal: AbortSignal,
  ): Promise<Readable> {
    const followed = this.#open(source.repo);
    const { mirror } = followed;
    const request = {
      mirror,
      tree: resolved.tree,
      dockerfile: source.build.dockerfile,
      args: source.build.args,
      policy: this.#deps.settings.policy,
      onLeftOut,
      signal,
    };
    return followed.guarded(signal, async () => {
      followed.use(resolved.commit);
      const lines: string[] = [];
      // A second try says everything again.
      const gathering = { ...request, onLeftOut: (line: string) => void lines.push(line) };
      const plan = await mirror.read(resolved.commit, followed.refOf(source), signal, async () => {
        lines.length = 0;
        return planContext(gathering);
      });
      for (const line of lines) onLeftOut(line);
      return streamContext(request, plan, () => mirror.distrust());
    });
  }

  async watch(repositories: readonly string[], onChange: (repo: string) => void): Promise<void> {
    const wanted = new Map<string, string>();
    for (const repo of repositories) {
      const location = this.#tryOpen(repo)?.mirror.location;
      if (location?.transport === 'local') wanted.set(location.url, repo);
    }
    for (const [path, watch] of this.#watches) {
      if (wanted.has(path)) continue;
      this.#watches.delete(path);
      watch.close();
    }
    for (const [path, repo] of wanted) {
      const watch = this.#watches.get(path) ?? new RefWatch(path, () => undefined);
      this.#watches.set(path, watch);
      watch.onChange = () => onChange(repo);
      await watch.refresh();
    }
  }

  async collect(repositories: readonly string[], signal: AbortSignal): Promise<void> {
    const config = parseLocation(this.#deps.settings.configRepo.url).key;
    const addresses = [this.#deps.settings.configRepo.url];
    const kept = new Set<string>();
    for (const repo of repositories) {
      const followed = this.#tryOpen(repo);
      if (followed === null) continue;
      kept.add(followed.mirror.location.key);
      addresses.push(repo);
    }
    await this.#deps.mirrors.collect(addresses, signal);
    for (const [key, followed] of this.#followed) {
      if (!kept.has(key)) this.#followed.delete(key);
      else await followed.collect(key === config, signal);
    }
  }

  async close(): Promise<void> {
    for (const watch of this.#watches.values()) watch.close();
    this.#watches.clear();
  }

  /** What fails for one repository never keeps the others from being listed. */
  async #refreshOne(
    followed: FollowedRepository,
    sources: readonly GitSource[],
    signal: AbortSignal,
  ): Promise<readonly GitSource[]> {
    try {
      return await followed.refresh(sources, signal);
    } catch (error) {
      if (isAbort(error, signal) || !(error instanceof PointsmanError)) throw error;
      const { code } = error;
      this.#deps.log.warn(
        { repo: followed.mirror.location.display, code, error: messageOf(error) },
        'source cannot be refreshed',
      );
      return [];
    }
  }

  /** Null for an address that cannot be used: that is for `resolve` to report. */
  #tryOpen(repo: string): FollowedRepository | null {
    try {
      return this.#open(repo);
    } catch (error) {
      if (error instanceof PointsmanError && error.code === 'UnsupportedRepository') return null;
      throw error;
    }
  }

  /** @throws PointsmanError UnsupportedRepository */
  #open(repo: string): FollowedRepository {
    const { key } = parseLocation(repo);
    const found = this.#followed.get(key);
    if (found !== undefined) return found;
    const { mirrors, settings, clock, log } = this.#deps;
    const followed = new FollowedRepository({
      mirror: mirrors.open(repo, credentialFor(repo, settings)),
      clock,
      log,
    });
    this.#followed.set(key, followed);
    return followed;
  }
}
