import { expect, it } from 'vitest';
import { defaults } from '../../src/manifest/defaults.js';
import type { Project } from '../../src/manifest/project.js';
import { fullManifest, smallestManifest, spelledOutManifest } from './fixtures/spec-examples.js';
import { projectOf } from './support.js';

it('takes the smallest manifest of the contract and fills in every default', () => {
  const expected: Project = {
    name: 'shop',
    suspend: false,
    source: {
      kind: 'git',
      repo: 'https://git.example.com/acme/shop.git',
      ref: null,
      commit: null,
      path: '.',
      build: defaults.build,
    },
    run: defaults.run,
    release: null,
    health: defaults.health,
    route: { domains: [], ...defaults.route },
    rollout: defaults.rollout,
  };
  expect(projectOf(smallestManifest)).toEqual(expected);
});

it('means the same with every default of the contract spelled out', () => {
  expect(projectOf(spelledOutManifest)).toEqual(projectOf(smallestManifest));
});

it('keeps an interval of health that is spelled out apart from the one that is left out', () => {
  const { health } = projectOf(`${smallestManifest}health: { interval: 1s }\n`);
  expect(health).toEqual({ ...defaults.health, intervalMs: 1_000 });
});

it('normalises a manifest that uses every key', () => {
  expect(projectOf(fullManifest)).toEqual({
    name: 'shop',
    suspend: true,
    source: {
      kind: 'git',
      repo: 'git@git.example.com:acme/shop.git',
      ref: 'release/2.x',
      commit: '3f786850e387550fdab836ed7e6dc881de23001b',
      path: 'apps/web',
      build: {
        dockerfile: 'docker/Dockerfile',
        target: 'runtime',
        args: { NODE_ENV: 'production' },
        timeoutMs: 1_200_000,
      },
    },
    run: {
      port: 8080,
      command: ['node', 'server.js'],
      env: { LOG_LEVEL: 'info', EMPTY: '' },
      secrets: ['DATABASE_URL', 'SESSION_KEY'],
      volumes: [{ name: 'data', path: '/data' }],
      memoryBytes: 256 * 1024 ** 2,
      cpus: 0.5,
      pids: 64,
      user: '1000:1000',
      readOnly: true,
      stopTimeoutMs: 500,
    },
    release: { command: ['npm', 'run', 'migrate'], timeoutMs: 120_000 },
    health: {
      path: '/healthz?full=1',
      status: { from: 204, to: 204 },
      intervalMs: 100,
      timeoutMs: 250,
      successes: 1,
      withinMs: 300_000,
      bakeMs: 0,
      failures: 1,
    },
    route: {
      domains: ['shop.example.com', 'www.shop.example.com'],
      maxBodyBytes: 1024 ** 3,
      readTimeoutMs: 3_600_000,
    },
    rollout: { drainMs: 5_000, keepPreviousMs: 0 },
  } satisfies Project);
});
