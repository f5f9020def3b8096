import { defaults } from './defaults.js';
import { normaliseAbsolutePath, normaliseRelativePath } from './paths.js';
import type {
  BuildSpec,
  GitSource,
  HealthSpec,
  ImageSource,
  Project,
  RouteSpec,
  RunSpec,
} from './project.js';
import { parseDuration, parseSize, parseStatusRange } from './quantities.js';
import type { WrittenProject } from './written.generated.js';

/**
 * The normalised form of a manifest that the schema allows. `route.domains` stays empty when none is
 * written: the default needs the settings and is filled in with the whole repository.
 */
export function normaliseProject(written: WrittenProject): Project {
  return {
    name: written.name,
    suspend: written.suspend ?? defaults.suspend,
    source: normaliseSource(written),
    run: normaliseRun(written.run ?? {}),
    release:
      written.release === undefined
        ? null
        : {
            command: written.release.command,
            timeoutMs: duration(written.release.timeout, defaults.release.timeoutMs),
          },
    health: normaliseHealth(written.health ?? {}),
    route: normaliseRoute(written.route ?? {}),
    rollout: {
      drainMs: duration(written.rollout?.drain, defaults.rollout.drainMs),
      keepPreviousMs: duration(written.rollout?.keepPrevious, defaults.rollout.keepPreviousMs),
    },
  };
}

function normaliseSource(written: WrittenProject): GitSource | ImageSource {
  if (written.source === undefined) return { kind: 'image', image: checked(written.image ?? null, 'image') };
  const { repo, ref, commit, path } = written.source;
  return {
    kind: 'git',
    repo,
    ref: ref ?? defaults.source.ref,
    commit: commit ?? defaults.source.commit,
    path: path === undefined ? defaults.source.path : checked(normaliseRelativePath(path), path),
    build: normaliseBuild(written.build ?? {}),
  };
}

function normaliseBuild(written: NonNullable<WrittenProject['build']>): BuildSpec {
  const { dockerfile } = written;
  return {
    dockerfile:
      dockerfile === undefined
        ? defaults.build.dockerfile
        : checked(normaliseRelativePath(dockerfile), dockerfile),
    target: written.target ?? defaults.build.target,
    args: { ...(written.args ?? defaults.build.args) },
    timeoutMs: duration(written.timeout, defaults.build.timeoutMs),
  };
}

function normaliseRun(written: NonNullable<WrittenProject['run']>): RunSpec {
  const { run } = defaults;
  return {
    port: written.port ?? run.port,
    command: written.command ?? run.command,
    env: { ...(written.env ?? run.env) },
    secrets: [...(written.secrets ?? run.secrets)].sort(),
    volumes: (written.volumes ?? run.volumes).map(({ name, path }) => ({
      name,
      path: checked(normaliseAbsolutePath(path), path),
    })),
    memoryBytes:
      written.memory === undefined ? run.memoryBytes : checked(parseSize(written.memory), written.memory),
    cpus: written.cpus ?? run.cpus,
    pids: written.pids ?? run.pids,
    user: written.user ?? run.user,
    readOnly: written.readOnly ?? run.readOnly,
    stopTimeoutMs: duration(written.stopTimeout, run.stopTimeoutMs),
  };
}

function normaliseHealth(written: NonNullable<WrittenProject['health']>): HealthSpec {
  const { health } = defaults;
  const { status } = written;
  return {
    path: written.path ?? health.path,
    status: status === undefined ? health.status : checked(parseStatusRange(String(status)), String(status)),
    intervalMs: written.interval === undefined ? health.intervalMs : duration(written.interval, 0),
    timeoutMs: duration(written.timeout, health.timeoutMs),
    successes: written.successes ?? health.successes,
    withinMs: duration(written.within, health.withinMs),
    bakeMs: duration(written.bake, health.bakeMs),
    failures: written.failures ?? health.failures,
  };
}

function normaliseRoute(written: NonNullable<WrittenProject['route']>): RouteSpec {
  const { maxBody } = written;
  return {
    domains: (written.domains ?? []).map((domain) => domain.toLowerCase()),
    maxBodyBytes: maxBody === undefined ? defaults.route.maxBodyBytes : checked(parseSize(maxBody), maxBody),
    readTimeoutMs: duration(written.readTimeout, defaults.route.readTimeoutMs),
  };
}

function duration(written: string | undefined, defaultMs: number): number {
  return written === undefined ? defaultMs : checked(parseDuration(written), written);
}

/** The schema has let `written` through, so that null is a fault of ours. */
function checked<T>(value: T | null, written: string): T {
  if (value === null)
    throw new TypeError(`the schema allows ${JSON.stringify(written)}, which cannot be read`);
  return value;
}
