import fc from 'fast-check';
import type { Project } from '../../src/manifest/project.js';

const label = fc.stringMatching(/^[a-z]([a-z0-9-]{0,10}[a-z0-9])?$/);
const variable = fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,12}$/).filter((name) => name !== 'PORT');
/** Anything that YAML can hold in quotes. */
const text = fc
  .string({ unit: 'grapheme', maxLength: 30 })
  .filter((value) => !/\0|\p{Surrogate}/u.test(value));
const path = fc.array(fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._ -]{0,8}$/), { minLength: 1, maxLength: 3 });
const folder = path.map((segments) => segments.join('/'));
const table = fc.dictionary(variable, text, { maxKeys: 4, noNullPrototype: true });
const orNull = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null });
const command = fc
  .tuple(
    text.filter((program) => program !== ''),
    fc.array(text, { maxLength: 3 }),
  )
  .map(([program, rest]) => [program, ...rest]);
const timeMs = (minimum: number, maximum: number) => fc.integer({ min: minimum, max: maximum });

const gitSource = fc.record({
  kind: fc.constant('git' as const),
  repo: fc.constantFrom(
    'https://git.example.com/acme/shop.git',
    'git@git.example.com:acme/shop.git',
    '/srv/git/a b.git',
  ),
  ref: orNull(fc.constantFrom('main', 'release/2.x', '1.0')),
  commit: orNull(fc.stringMatching(/^[0-9a-f]{40}$/)),
  path: fc.oneof(fc.constant('.'), folder),
  build: fc.record({
    dockerfile: folder,
    target: orNull(fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,8}$/)),
    args: table,
    timeoutMs: timeMs(1_000, 21_600_000),
  }),
});

const imageSource = fc.record({
  kind: fc.constant('image' as const),
  image: fc.constantFrom('nginx', 'nginx:1.27', `ghcr.io/acme/shop@sha256:${'a'.repeat(64)}`),
});

const run = fc
  .record({
    port: fc.integer({ min: 1, max: 65535 }),
    command: orNull(command),
    env: table,
    secrets: fc.uniqueArray(variable, { maxLength: 3 }).map((names) => [...names].sort()),
    volumes: fc.uniqueArray(fc.record({ name: label, path: folder.map((inner) => `/${inner}`) }), {
      maxLength: 3,
      comparator: (a, b) => a.name === b.name || a.path === b.path,
    }),
    memoryBytes: orNull(fc.integer({ min: 6 * 1024, max: 1024 ** 2 }).map((kibibytes) => kibibytes * 1024)),
    cpus: orNull(fc.integer({ min: 1, max: 6400 }).map((cents) => cents / 100)),
    pids: fc.integer({ min: 1, max: 32768 }),
    user: orNull(fc.constantFrom('node', '1000', '1000:1000')),
    readOnly: fc.boolean(),
    stopTimeoutMs: timeMs(0, 600_000),
  })
  .map((spec) => ({ ...spec, secrets: spec.secrets.filter((name) => !Object.hasOwn(spec.env, name)) }));

const health = fc.record({
  path: orNull(fc.constantFrom('/', '/healthz?full=1')),
  status: fc
    .tuple(fc.integer({ min: 100, max: 599 }), fc.integer({ min: 100, max: 599 }))
    .map(([a, b]) => ({ from: Math.min(a, b), to: Math.max(a, b) })),
  intervalMs: orNull(timeMs(100, 60_000)),
  timeoutMs: timeMs(10, 60_000),
  successes: fc.integer({ min: 1, max: 100 }),
  withinMs: timeMs(1_000, 3_600_000),
  bakeMs: timeMs(0, 3_600_000),
  failures: fc.integer({ min: 1, max: 100 }),
});

/** Any project that a manifest can declare, with at least one domain. */
export const anyProject: fc.Arbitrary<Project> = fc.record({
  name: label,
  suspend: fc.boolean(),
  source: fc.oneof(gitSource, imageSource),
  run,
  release: orNull(fc.record({ command, timeoutMs: timeMs(1_000, 86_400_000) })),
  health,
  route: fc.record({
    domains: fc.uniqueArray(
      label.map((name) => `${name}.example.com`),
      { minLength: 1, maxLength: 3 },
    ),
    maxBodyBytes: fc.integer({ min: 1, max: 1024 ** 2 }).map((kibibytes) => kibibytes * 1024),
    readTimeoutMs: timeMs(1_000, 86_400_000),
  }),
  rollout: fc.record({ drainMs: timeMs(0, 3_600_000), keepPreviousMs: timeMs(0, 604_800_000) }),
});
