/** What commands ask of the controller's parts without a running controller. */
import { liveClaims, makeAdapters, makeStateDir, runController } from './compose.js';
import type { Adapters } from './compose.js';
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
import type { LogChunk } from './runtime/port.js';
import type { Settings } from './settings/settings.js';
import type { ConfigRepository } from './source/port.js';

export const commandBackend: CommandBackend = {
  run: runController,
  plan: planAll,
  logs: containerLogs,
  async configTip(settings, signal) {
    const adapters = makeAdapters(settings, silentLogger);
    try {
      return (await tip(settings, adapters, signal)).commit;
    } finally {
      await adapters.close();
    }
  },
};

/** Observes everything and plans every project once. Changes nothing but the mirrors. */
async function planAll(settings: Settings, options: PlanOptions): Promise<PlanReport> {
  const adapters = makeAdapters(settings, options.log);
  try {
    const memory = new Memory();
    for await (const record of readJournal(settings.stateDir)) memory.apply(record);
    const state = await desiredState(settings, adapters, options);
    const journal = { memory: memory as JournalMemory };
    const desired = new DesiredProjects({
      ...adapters,
      settings,
      journal,
      log: options.log,
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
  adapters: Adapters,
  { from, signal }: PlanOptions,
): Promise<DesiredState> {
  switch (from.kind) {
    case 'commit':
      return adapters.config.readAt(from.commit, signal);
    case 'folder':
      return assembleDesired('', await readManifestFolder(from.folder), {
        baseDomain: settings.nginx.baseDomain,
        live: await liveClaims(adapters.router),
      });
    case 'tip':
      return tip(settings, adapters, signal);
  }
}

async function tip(settings: Settings, adapters: Adapters, signal: AbortSignal): Promise<DesiredState> {
  await makeStateDir(settings.stateDir);
  const { desired, error } = await adapters.config.sync(signal);
  if (error !== null) throw new PointsmanError('SourceUnreachable', error.message);
  if (desired === null)
    throw new PointsmanError('SourceUnreachable', `${settings.configRepo.url} has nothing to read`);
  return desired;
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
      const which = slot === null ? 'nothing is live' : `there is no container in ${slot}`;
      throw new PointsmanError(
        'NotRunning',
        `${options.project}: ${which}; see \`pointsman status ${options.project}\``,
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
