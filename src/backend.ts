/** What commands ask of the controller's parts without a running controller. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configRepository, liveClaims, makeAdapters, makeStateDir, runController } from './compose.js';
import type {
  CommandBackend,
  ContainerLogOptions,
  PlanOptions,
  PlanReport,
  PlannedProject,
} from './cli/backend.js';
import { readManifestFolder } from './cli/validate.js';
import { DesiredProjects } from './desired-projects.js';
import { PointsmanError } from './errors.js';
import { silentLogger } from './log.js';
import { assembleDesired } from './manifest/assemble.js';
import type { DesiredState } from './manifest/project.js';
import { observeProject } from './observe/observe-project.js';
import { explainStep } from './plan/explain.js';
import { lookAndPlan } from './reconcile.js';
import { Memory } from './record/memory.js';
import { readJournal } from './record/journal.js';
import type { JournalMemory } from './record/port.js';
import { existingProjects } from './controller/housekeeping.js';
import type { Router } from './router/port.js';
import type { LogChunk } from './runtime/port.js';
import type { Settings } from './settings/settings.js';
import { MirrorStore } from './source/mirror-store.js';
import type { ConfigRepository } from './source/port.js';

export const commandBackend: CommandBackend = {
  run: runController,
  plan: planAll,
  logs: containerLogs,
  async configTip(settings, signal) {
    // What the git program needs for a call is made there, and nothing in the state directory.
    const folder = await mkdtemp(join(tmpdir(), 'pointsman-'));
    try {
      const mirrors = new MirrorStore({ stateDir: folder });
      return await configRepository(settings, noSites, mirrors, silentLogger).tip(signal);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};

const noSites: Pick<Router, 'sites'> = { sites: async () => [] };

/** Observes everything and plans every project once. Changes nothing but the mirrors. */
async function planAll(settings: Settings, options: PlanOptions): Promise<PlanReport> {
  const adapters = makeAdapters(settings, options.log);
  try {
    const memory = new Memory();
    for await (const record of readJournal(settings.stateDir)) memory.apply(record);
    const state = await desiredState(settings, adapters.router, options);
    const journal = { memory: memory as JournalMemory };
    const desired = new DesiredProjects({
      ...adapters,
      settings,
      journal,
      // Problems and held removals are in the report.
      log: silentLogger,
      policy: settings.policy,
      config: fixed(state),
    });
    await desired.sync(options.signal);
    desired.planRemovals(await existingProjects(adapters));
    const projects: PlannedProject[] = [];
    for (const project of [...new Set(desired.names())].sort()) {
      const deps = {
        ...adapters,
        settings,
        journal,
        resolve: (name: string, signal: AbortSignal) => desired.resolve(name, signal),
        observe: (name: string) => observeProject(name, adapters),
        sitePending: () => false,
        recentExits: () => 0,
      };
      const { plan } = await lookAndPlan(project, deps, options.signal);
      projects.push({
        project,
        state: plan.state,
        steps: plan.steps.flatMap(explainStep),
        blocked: plan.blocked,
      });
    }
    const held = desired.heldRemovals;
    return {
      commit: options.from.kind === 'folder' ? null : state.commit,
      projects,
      problems: state.problems,
      removals: projects.filter(({ state: planned }) => planned === 'removing').map(({ project }) => project),
      removalsHeldBecause: held?.why ?? null,
    };
  } finally {
    await adapters.close();
  }
}

async function desiredState(
  settings: Settings,
  router: Router,
  { from, signal }: PlanOptions,
): Promise<DesiredState> {
  if (from.kind === 'folder') {
    return assembleDesired('', await readManifestFolder(from.folder), {
      baseDomain: settings.nginx.baseDomain,
      live: await liveClaims(router),
    });
  }
  await makeStateDir(settings.stateDir);
  // What it would warn of is in the report, or is the error that ends the plan.
  const config = configRepository(settings, router, new MirrorStore(settings), silentLogger);
  try {
    if (from.kind === 'commit') return await config.readAt(from.commit, signal);
    const { desired, error } = await config.sync(signal);
    if (error !== null) throw new PointsmanError('SourceUnreachable', error.message);
    if (desired === null)
      throw new PointsmanError('SourceUnreachable', `${settings.configRepo.url} has nothing to read`);
    return desired;
  } finally {
    await config.close();
  }
}

/** A config repository that stands still. */
function fixed(desired: DesiredState): ConfigRepository {
  return {
    sync: async () => ({ desired, error: null }),
    readAt: async () => desired,
    watch: async () => async () => undefined,
  };
}

/** @throws PointsmanError NotRunning when the project has no such container */
async function* containerLogs(settings: Settings, options: ContainerLogOptions): AsyncIterable<LogChunk> {
  const adapters = makeAdapters(settings, silentLogger);
  try {
    const observed = await observeProject(options.project, adapters);
    const slot = options.slot ?? observed.live?.slot ?? null;
    const container = slot === null ? null : observed.containers[slot];
    if (container === null) {
      const { project } = options;
      const which = slot === null ? 'nothing is live' : `there is no container in ${slot}`;
      throw new PointsmanError(
        'NotRunning',
        `${project}: ${which}; "pointsman status ${project}" says why, "pointsman logs ${project} --build" what its newest deployment wrote`,
      );
    }
    yield* adapters.runtime.logs(
      container.id,
      { follow: options.follow, tail: options.tail },
      options.signal,
    );
  } finally {
    await adapters.close();
  }
}
