import type { BuildSpec, GitSource, HealthSpec, Project, RouteSpec, RunSpec } from './project.js';

/**
 * The default of every optional field, in normalised form. The schema's `default`s say the same to
 * people and editors; a test holds the two together. The content keys leave out what equals this table,
 * so a new field with a default here changes no key.
 */
export const defaults = {
  suspend: false,
  source: { ref: null, commit: null, path: '.' },
  build: { dockerfile: 'Dockerfile', target: null, args: {}, timeoutMs: 600_000 },
  run: {
    port: 3000,
    command: null,
    env: {},
    secrets: [],
    volumes: [],
    memoryBytes: null,
    cpus: null,
    pids: 512,
    user: null,
    readOnly: false,
    stopTimeoutMs: 10_000,
  },
  release: { timeoutMs: 600_000 },
  health: {
    path: null,
    status: { from: 200, to: 399 },
    intervalMs: null,
    timeoutMs: 2_000,
    successes: 2,
    withinMs: 60_000,
    bakeMs: 10_000,
    failures: 3,
  },
  route: { maxBodyBytes: 10 * 1024 ** 2, readTimeoutMs: 60_000 },
  rollout: { drainMs: 30_000, keepPreviousMs: 600_000 },
} as const satisfies {
  readonly suspend: boolean;
  readonly source: Omit<GitSource, 'kind' | 'repo' | 'build'>;
  readonly build: BuildSpec;
  readonly run: RunSpec;
  readonly release: Omit<NonNullable<Project['release']>, 'command'>;
  readonly health: HealthSpec;
  /** `domains` has none: it depends on the name and on `nginx.baseDomain`. */
  readonly route: Omit<RouteSpec, 'domains'>;
  readonly rollout: Project['rollout'];
};
