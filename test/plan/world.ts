import { serialiseSpec } from '../../src/manifest/spec.js';
import type { Project, Slot } from '../../src/manifest/project.js';
import { assembleObserved } from '../../src/observe/observed.js';
import type { Observed } from '../../src/observe/observed.js';
import { parseSpec } from '../../src/manifest/spec.js';
import type { PlanInput } from '../../src/plan/plan.js';
import { noMemory } from '../../src/record/port.js';
import type { ResolvedWant } from '../../src/resolve/want.js';
import type { RouteFacts, Site, SwitchRecord } from '../../src/router/port.js';
import type { ContainerFacts, NameHolder, NetworkFacts } from '../../src/runtime/port.js';

/** Builders of planner inputs: a project `shop` with revisions named by letters. */
export const now = Date.parse('2026-01-01T12:00:00Z');

export const project: Project = {
  name: 'shop',
  suspend: false,
  source: {
    kind: 'git',
    repo: 'https://git.example.com/acme/shop.git',
    ref: null,
    commit: null,
    path: '.',
    build: { dockerfile: 'Dockerfile', target: null, args: {}, timeoutMs: 600_000 },
  },
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
  release: null,
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
  route: { domains: ['shop.example.com'], maxBodyBytes: 10_485_760, readTimeoutMs: 60_000 },
  rollout: { drainMs: 30_000, keepPreviousMs: 600_000 },
};

export const network: NetworkFacts = {
  id: 'net',
  name: 'pointsman-shop',
  project: 'shop',
  subnet: '10.213.0.0/28',
  addresses: { blue: '10.213.0.2', green: '10.213.0.3' },
};

export function want(revision: string, more: Partial<ResolvedWant> = {}): ResolvedWant {
  return {
    kind: 'resolved',
    project,
    configCommit: 'c1',
    sourceCommit: 's1',
    tree: 't1',
    imageKey: `image-${revision}`,
    tag: `pointsman/shop:image-${revision}`,
    image: `sha256:${revision}`,
    revision,
    warning: null,
    ...more,
  };
}

export function container(slot: Slot, revision: string, more: Partial<ContainerFacts> = {}): ContainerFacts {
  return {
    id: `${slot}-${revision}`,
    name: `pointsman-shop-${slot}`,
    image: `sha256:${revision}`,
    state: 'running',
    exitCode: null,
    outOfMemory: false,
    startedAt: now - 60_000,
    createdAt: now - 60_000,
    restartCount: 0,
    restartPolicy: 'no',
    address: network.addresses[slot],
    labels: {
      instance: 'default',
      project: 'shop',
      role: slot,
      revision,
      imageKey: `image-${revision}`,
      configCommit: 'c1',
      sourceCommit: 's1',
      deployment: `d-${revision}`,
      spec: serialiseSpec(project),
    },
    ...more,
  };
}

export function record(
  slot: Slot,
  revision: string,
  previous: string | null,
  since = now - 5_000,
): SwitchRecord {
  return {
    version: 1,
    project: 'shop',
    slot,
    revision,
    imageKey: `image-${revision}`,
    image: `sha256:${revision}`,
    configCommit: 'c1',
    sourceCommit: 's1',
    deployment: `d-${revision}`,
    since: new Date(since).toISOString(),
    isRollback: false,
    previous: previous === null ? null : { deployment: `d-${previous}`, revision: previous },
    spec: serialiseSpec(project),
  };
}

export const site: Site = {
  project: 'shop',
  route: project.route,
  upstreams: { blue: '10.213.0.2:3000', green: '10.213.0.3:3000' },
};

export interface World {
  readonly containers?: readonly ContainerFacts[];
  readonly route?: Partial<RouteFacts>;
  readonly strangers?: Partial<Record<Slot, NameHolder>>;
  readonly network?: NetworkFacts | null;
}

export function observe(world: World): Observed {
  return assembleObserved(
    {
      project: 'shop',
      containers: world.containers ?? [],
      network: world.network === undefined ? network : world.network,
      route: {
        site: null,
        present: false,
        intact: true,
        switches: { blue: null, green: null },
        ...world.route,
      },
      strangers: { blue: null, green: null, ...world.strangers },
    },
    parseSpec,
  );
}

/** `revision` is live in `slot`, with everything in order. */
export function served(
  slot: Slot,
  revision: string,
  previous: ContainerFacts | null = null,
  since?: number,
): World {
  const switches = {
    blue: null,
    green: null,
    [slot]: { record: record(slot, revision, previous?.labels.revision ?? null, since) },
  };
  return {
    containers: [
      container(slot, revision, { restartPolicy: 'unless-stopped' }),
      ...(previous === null ? [] : [previous]),
    ],
    route: { site, present: true, intact: true, switches },
  };
}

export function input(world: World, more: Partial<PlanInput> = {}): PlanInput {
  return {
    project: 'shop',
    want: want('A'),
    observed: observe(world),
    memory: noMemory,
    policy: { sources: [], images: [] },
    sitePending: false,
    recentExits: 0,
    now,
    ...more,
  };
}
