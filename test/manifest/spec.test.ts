import { describe, expect, it } from 'vitest';
import { defaults } from '../../src/manifest/defaults.js';
import type { Project } from '../../src/manifest/project.js';
import { parseSpec, serialiseSpec } from '../../src/manifest/spec.js';
import { fullManifest } from './fixtures/spec-examples.js';
import { manifest, projectOf } from './support.js';

const full = projectOf(fullManifest);
const image: Project = { ...full, source: { kind: 'image', image: 'nginx:1.27' }, release: null };
const minimal: Project = {
  ...projectOf(manifest()),
  route: { ...defaults.route, domains: ['shop.localhost'] },
};

/** The label of `project` after `change` took effect on its parsed JSON. */
function tampered(project: Project, change: (spec: Record<string, Record<string, unknown>>) => void): string {
  const spec = JSON.parse(serialiseSpec(project)) as Record<string, Record<string, unknown>>;
  change(spec);
  return JSON.stringify(spec);
}

describe('parseSpec', () => {
  it.each([
    ['every key', full],
    ['an image', image],
    ['defaults alone', minimal],
  ])('gives back a project with %s', (_, project) => {
    expect(parseSpec(serialiseSpec(project))).toEqual(project);
    expect(serialiseSpec(project)).not.toContain('\n');
  });

  it('fills in what an older version did not know', () => {
    const text = JSON.stringify({
      version: 1,
      name: 'shop',
      source: { kind: 'git', repo: 'https://git.example.com/acme/shop.git' },
      route: { domains: ['shop.localhost'] },
      run: { port: 8080 },
    });
    expect(parseSpec(text)).toEqual({ ...minimal, run: { ...defaults.run, port: 8080 } });
  });

  it('fills in a single missing field of each part', () => {
    const text = tampered(minimal, (spec) => {
      delete spec['run']?.['pids'];
      delete spec['health']?.['failures'];
      delete spec['rollout']?.['drainMs'];
      delete spec['route']?.['maxBodyBytes'];
      delete (spec['source']?.['build'] as Record<string, unknown>)['timeoutMs'];
      delete spec['suspend'];
    });
    expect(parseSpec(text)).toEqual(minimal);
  });

  it('leaves out what a newer version added', () => {
    const text = tampered(full, (spec) => {
      Object.assign(spec, { canary: { share: 5 } });
      Object.assign(spec['run'] ?? {}, { gpus: 1 });
      Object.assign(spec['source'] ?? {}, { lfs: true });
    });
    expect(parseSpec(text)).toEqual(full);
  });

  it.each<[string, string]>([
    ['no JSON', '{'],
    ['nothing', ''],
    ['null', 'null'],
    ['a list', '[]'],
    ['another version', tampered(full, (spec) => Object.assign(spec, { version: 2 }))],
    ['no version', tampered(full, (spec) => delete spec['version'])],
    ['no name', tampered(full, (spec) => delete spec['name'])],
    ['a wrong name', tampered(full, (spec) => Object.assign(spec, { name: '../x' }))],
    ['no source', tampered(full, (spec) => delete spec['source'])],
    [
      'a source of another kind',
      tampered(full, (spec) => Object.assign(spec['source'] ?? {}, { kind: 'archive' })),
    ],
    [
      'a repository that is none',
      tampered(full, (spec) => Object.assign(spec['source'] ?? {}, { repo: '-x' })),
    ],
    ['no domain', tampered(full, (spec) => Object.assign(spec['route'] ?? {}, { domains: [] }))],
    [
      'a domain that is none',
      tampered(full, (spec) => Object.assign(spec['route'] ?? {}, { domains: ['a;b'] })),
    ],
    ['a port of text', tampered(full, (spec) => Object.assign(spec['run'] ?? {}, { port: '80' }))],
    ['run that is a list', tampered(full, (spec) => Object.assign(spec, { run: [] }))],
    [
      'an environment of numbers',
      tampered(full, (spec) => Object.assign(spec['run'] ?? {}, { env: { A: 1 } })),
    ],
    ['a negative time', tampered(full, (spec) => Object.assign(spec['rollout'] ?? {}, { drainMs: -1 }))],
    [
      'a release without a command',
      tampered(full, (spec) => Object.assign(spec, { release: { timeoutMs: 1 } })),
    ],
    [
      'a volume without a path',
      tampered(full, (spec) => Object.assign(spec['run'] ?? {}, { volumes: [{ name: 'a' }] })),
    ],
  ])('takes %s for nothing', (_, text) => {
    expect(parseSpec(text)).toBeNull();
  });
});
