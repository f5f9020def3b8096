import { projectEntry, writeStatus } from '../../src/record/status-file.js';
import type { Status } from '../../src/record/status.generated.js';

type ProjectStatus = Status['projects'][string];

export const shop: ProjectStatus = {
  state: 'live',
  phase: null,
  reason: null,
  message: null,
  desired: { revision: '7d01aa55c0de', configCommit: '4f5e6d7c8b9a', sourceCommit: '0a1b2c3d4e5f' },
  live: {
    slot: 'blue',
    revision: '7d01aa55c0de',
    sourceCommit: '0a1b2c3d4e5f',
    image: 'sha256:1111',
    container: 'c0ffee',
    address: '10.213.0.2:3000',
    since: '2026-11-20T09:55:00.000Z',
    deployment: 'd-1',
    isRollback: false,
  },
  previous: {
    slot: 'green',
    revision: 'aa00bb11cc22',
    state: 'warm',
    inFlight: 0,
    warmUntil: '2026-11-20T10:05:00.000Z',
  },
  urls: ['http://shop.example.com/'],
  attempts: 0,
  nextRetryAt: null,
  lastDeployment: {
    id: 'd-1',
    outcome: 'active',
    startedAt: '2026-11-20T09:54:50.000Z',
    finishedAt: '2026-11-20T09:55:10.000Z',
    phases: { fetching: 120, building: 4_100, probing: 900 },
  },
};

export const api: ProjectStatus = {
  ...shop,
  state: 'failed',
  reason: 'BuildFailed',
  message: 'step 3 of 5, "RUN npm ci", ended with 1; see pointsman logs api --build',
  live: null,
  previous: null,
  urls: ['http://api.example.com/'],
  attempts: 1,
  lastDeployment: null,
};

export const web: ProjectStatus = {
  ...shop,
  state: 'progressing',
  phase: 'building',
  live: null,
  previous: null,
  lastDeployment: null,
};

/** A status as the controller writes it: one project live, one failed, one on its way. */
export const fullStatus: Status = {
  version: 1,
  writtenAt: '2026-11-20T10:00:00.000Z',
  controller: { version: '0.1.0', pid: 4242, startedAt: '2026-11-20T09:00:00.000Z', state: 'running' },
  source: {
    url: 'https://git.example.com/acme/deploy.git',
    branch: 'main',
    commit: '4f5e6d7c8b9a',
    lastAttemptAt: '2026-11-20T09:59:30.000Z',
    lastSuccessAt: '2026-11-20T09:59:30.000Z',
    error: null,
  },
  components: { docker: { ok: true, message: null }, nginx: { ok: true, message: null } },
  summary: { total: 3, live: 1, progressing: 1, failed: 1, suspended: 0, invalid: 0, removing: 0 },
  problems: [
    {
      file: 'projects/a.yaml',
      line: 4,
      column: 9,
      path: '/run/port',
      message: 'port 99999 is above 65535; use 1 to 65535',
    },
  ],
  projects: { shop, api, web },
};

/** The same with everything that may be null being null. */
export const bareStatus: Status = {
  ...fullStatus,
  source: { ...fullStatus.source, commit: null, lastAttemptAt: null, lastSuccessAt: null, error: 'refused' },
  summary: { total: 0, live: 0, progressing: 0, failed: 0, suspended: 0, invalid: 0, removing: 0 },
  problems: [],
  projects: {},
};

/** As the controller writes it. */
export async function writeWholeStatus(stateDir: string, { projects, ...head }: Status): Promise<void> {
  const entries = Object.entries(projects).map(([name, project]) => projectEntry(name, project));
  await writeStatus(stateDir, head, entries);
}
