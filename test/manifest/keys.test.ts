import { describe, expect, it } from 'vitest';
import { defaults } from '../../src/manifest/defaults.js';
import {
  canonicalJson,
  changedFields,
  imageKey,
  imageKeyOf,
  revision,
  routeKey,
} from '../../src/manifest/keys.js';
import type { GitSource, ImageSource, Project } from '../../src/manifest/project.js';
import { fullManifest, spelledOutManifest } from './fixtures/spec-examples.js';
import { manifest, projectOf } from './support.js';

const tree = '4b825dc642cb6eb9a060e54bf8d69288fbee4904';
const upstreams = { blue: '10.213.0.2:3000', green: '10.213.0.3:3000' };

interface Keys {
  readonly image: string;
  readonly revision: string;
  readonly route: string;
}

function keysOf(project: Project, secretsHash: string | null = null, at: string = tree): Keys {
  const image = project.source.kind === 'git' ? imageKey(project.source, at) : imageKeyOf(project.source);
  return {
    image,
    revision: revision({ image, run: project.run, release: project.release, secretsHash }),
    route: routeKey({ ...project.route, domains: ['shop.localhost', ...project.route.domains] }, upstreams),
  };
}

const base = keysOf(projectOf(manifest()));
const changed = (rest: string): readonly string[] => differences(keysOf(projectOf(manifest(rest))));
const withSource = (source: string): readonly string[] =>
  differences(keysOf(projectOf(manifest().replace(/source: .*/, `source: ${source}`))));

function differences(keys: Keys): readonly string[] {
  return (['image', 'revision', 'route'] as const).filter((key) => keys[key] !== base[key]);
}

describe('content keys', () => {
  it.each<[string, readonly string[]]>([
    // what is built
    ['build: { dockerfile: other }', ['image', 'revision']],
    ['build: { target: runtime }', ['image', 'revision']],
    ['build: { args: { A: "1" } }', ['image', 'revision']],
    ['build: { timeout: 20m }', []],
    ['build: { dockerfile: Dockerfile, args: {}, timeout: 10m }', []],
    ['build: { dockerfile: ./Dockerfile }', []],
    // what runs
    ['run: { port: 8080 }', ['revision']],
    ['run: { command: [node] }', ['revision']],
    ['run: { env: { A: a } }', ['revision']],
    ['run: { secrets: [A] }', ['revision']],
    ['run: { volumes: [{ name: a, path: /a }] }', ['revision']],
    ['run: { memory: 256Mi }', ['revision']],
    ['run: { cpus: 1 }', ['revision']],
    ['run: { pids: 64 }', ['revision']],
    ['run: { user: node }', ['revision']],
    ['run: { readOnly: true }', ['revision']],
    ['run: { stopTimeout: 20s }', ['revision']],
    [
      'run: { port: 3000, env: {}, secrets: [], volumes: [], pids: 512, readOnly: false, stopTimeout: 10000ms }',
      [],
    ],
    ['run: {}', []],
    ['release: { command: [migrate] }', ['revision']],
    // how it is served
    ['route: { domains: [shop.example.com] }', ['route']],
    ['route: { maxBody: 20m }', ['route']],
    ['route: { readTimeout: 61s }', ['route']],
    ['route: { maxBody: 10240k, readTimeout: 1m }', []],
    // what counts from the next pass
    [
      'health: { path: /healthz, status: 204, interval: 2s, timeout: 1s, successes: 3, within: 2m, bake: 1m, failures: 1 }',
      [],
    ],
    ['rollout: { drain: 1s, keepPrevious: 0s }', []],
    ['suspend: true', []],
  ])('%s changes %j', (rest, expected) => {
    expect(changed(rest)).toEqual(expected);
  });

  it.each<[string, readonly string[]]>([
    ['{ repo: https://git.example.com/acme/other.git }', ['image', 'revision']],
    ['{ repo: http://git.example.com/acme/shop.git }', ['image', 'revision']],
    ['{ repo: https://git.example.com:8443/acme/shop.git }', ['image', 'revision']],
    ['{ repo: https://git.example.com/acme/shop }', []],
    ['{ repo: https://GIT.example.com:443/acme/shop.git/ }', []],
    // which commit is asked for counts by its tree alone
    ['{ repo: https://git.example.com/acme/shop.git, ref: v1 }', []],
    ['{ repo: https://git.example.com/acme/shop.git, commit: 3f786850e387550fdab836ed7e6dc881de23001b }', []],
    ['{ repo: https://git.example.com/acme/shop.git, path: apps/web }', []],
  ])('the source %s changes %j', (source, expected) => {
    expect(withSource(source)).toEqual(expected);
  });

  it('another tree of the build context changes image and revision', () => {
    expect(differences(keysOf(projectOf(manifest()), null, '0'.repeat(40)))).toEqual(['image', 'revision']);
  });

  it('other secret values change the revision alone', () => {
    expect(differences(keysOf(projectOf(manifest()), 'a'))).toEqual(['revision']);
    expect(keysOf(projectOf(manifest()), 'a')).not.toEqual(keysOf(projectOf(manifest()), 'b'));
  });

  it('other slot addresses change the route key', () => {
    const { route } = projectOf(manifest());
    expect(routeKey(route, upstreams)).not.toBe(routeKey(route, { ...upstreams, green: '10.213.0.19:3000' }));
  });

  it('the release timeout counts, its default spelled out does not', () => {
    const release = (text: string) => keysOf(projectOf(manifest(`release: { command: [a]${text} }`)));
    expect(release(', timeout: 10m')).toEqual(release(''));
    expect(release(', timeout: 11m').revision).not.toBe(release('').revision);
  });

  it('spelling every default out changes nothing', () => {
    expect(keysOf(projectOf(spelledOutManifest))).toEqual(base);
  });

  it('order of keys, of volumes and of secrets changes nothing', () => {
    const one =
      'run: { env: { A: a, B: b }, secrets: [X, Y], volumes: [{ name: a, path: /a }, { name: b, path: /b }] }';
    const other =
      'run:\n  volumes:\n  - path: /b/\n    name: "b"\n  - { path: /a, name: a }\n  secrets: [Y, X]\n  env: { "B": b, A: "a" }';
    expect(keysOf(projectOf(manifest(one)))).toEqual(keysOf(projectOf(manifest(other))));
  });

  it('order of domains counts: the first one is the host of probes', () => {
    const route = (domains: string) =>
      routeKey(projectOf(manifest(`route: { domains: [${domains}] }`)).route, upstreams);
    expect(route('a.example.com, b.example.com')).not.toBe(route('b.example.com, a.example.com'));
  });

  it('an image is its text', () => {
    const key = (image: string) => imageKeyOf({ kind: 'image', image } satisfies ImageSource);
    expect(key('nginx:1.27')).toBe(key('nginx:1.27'));
    expect(key('nginx:1.27')).not.toBe(key('nginx:1.28'));
  });

  it('a new field with a default changes no key', () => {
    const { run, route } = projectOf(fullManifest);
    const grown = { ...defaults.run, sharedMemoryBytes: 64 };
    expect(changedFields({ ...run, sharedMemoryBytes: 64 }, grown)).toEqual(changedFields(run, defaults.run));
    expect(changedFields({ ...run, sharedMemoryBytes: 65 }, grown)).not.toEqual(
      changedFields(run, defaults.run),
    );
    expect(changedFields({ ...route, gzip: true }, { ...defaults.route, gzip: true })).toEqual(
      changedFields(route, defaults.route),
    );
  });

  it('a field that is undefined is none', () => {
    const run = { ...defaults.run, later: undefined };
    expect(revision({ image: 'a', run, release: null, secretsHash: null })).toBe(
      revision({ image: 'a', run: defaults.run, release: null, secretsHash: null }),
    );
  });

  it('keys are 24 hex digits and stay what they are: running containers carry them', () => {
    const source: GitSource = { ...(projectOf(manifest()).source as GitSource) };
    expect(imageKey(source, tree)).toBe('df3a22c27d041c444066133e');
    expect(imageKeyOf({ kind: 'image', image: 'nginx:1.27' })).toBe('fcad7cc07b8e477244e8b41c');
    expect(base.revision).toBe('395bfcfa8dc2b5c32682902f');
    const full = keysOf(projectOf(fullManifest), 'secret');
    expect(full).toEqual({
      image: '99cb915664d2357ff914911b',
      revision: 'cf6f3696a354d17e0688408a',
      route: '78dc8a903a2526aefa88c9b6',
    });
  });
});

describe('canonicalJson', () => {
  it('orders keys at every level and keeps the order of lists', () => {
    expect(canonicalJson({ b: [{ d: 1, c: 2 }, 3], a: undefined, A: null, __proto__x: 'é' })).toBe(
      '{"A":null,"__proto__x":"é","b":[{"c":2,"d":1},3]}',
    );
  });
});
