import type { Settings } from './settings.js';

/** The default of every optional setting, in normalised form; a test holds the schema to it. */
export const settingsDefaults = {
  instance: 'default',
  configRepo: { branch: 'main', path: 'projects', intervalMs: 60_000 },
  stateDir: '/var/lib/pointsman',
  docker: { socket: '/var/run/docker.sock', addressPool: '10.213.0.0/16' },
  nginx: {
    mode: 'managed',
    listen: ['80'],
    confDir: '/etc/nginx/conf.d',
    verify: '127.0.0.1:9180',
    baseDomain: 'localhost',
    trustedProxies: [],
  },
  concurrency: { builds: 1, deployments: 4 },
  retries: { attempts: 3, backoffMs: 5_000, maxBackoffMs: 180_000 },
  images: { keep: 5 },
  prune: { maxShare: 0.5 },
  secrets: { dir: '/etc/pointsman/secrets' },
  policy: { sources: [], images: [], frontends: ['docker.io/docker/dockerfile'] },
  log: { level: 'info' },
} as const satisfies Omit<Settings, 'configRepo' | 'credentials'> & {
  readonly configRepo: Omit<Settings['configRepo'], 'url' | 'credential'>;
};
