/** The controller as `run` composes it, over a fleet that is live already. */
import { join } from 'node:path';
import { DeploymentLogs } from '../../../src/apply/deployment-log.js';
import { systemClock } from '../../../src/clock.js';
import { composeController, configRepository, prepareStateDir } from '../../../src/compose.js';
import type { Controller } from '../../../src/controller/controller.js';
import { silentLogger } from '../../../src/log.js';
import { openJournal } from '../../../src/record/journal.js';
import { SecretFiles } from '../../../src/resolve/secrets.js';
import type { Router } from '../../../src/router/port.js';
import { settingsDefaults } from '../../../src/settings/defaults.js';
import type { Settings } from '../../../src/settings/settings.js';
import { MirrorStore } from '../../../src/source/mirror-store.js';
import { GitSourceRepository } from '../../../src/source/source-repository.js';
import type { FleetWorld } from './world.js';

const never = new AbortController().signal;

export interface Fleet {
  readonly controller: Controller;
  /** Starts the controller. Resolves when it has looked at every project. @throws Error as `rest` does */
  start(): Promise<void>;
  /** Resolves when nothing is on. @throws Error when not every project is as it should be then */
  rest(): Promise<void>;
  stop(): Promise<void>;
}

/** Puts every project of the config repository into `world`. Nothing is started. */
export async function composeFleet(
  settings: Settings,
  size: number,
  world: FleetWorld,
  router: Router = world.router,
): Promise<Fleet> {
  const [clock, log] = [systemClock, silentLogger];
  const mirrors = new MirrorStore(settings);
  const config = configRepository(settings, router, mirrors, log);
  await prepareStateDir(settings.stateDir);
  const { desired, error } = await config.sync(never);
  if (desired?.projects.size !== size) throw new Error(error?.message ?? 'not every manifest is valid');
  for (const { project } of desired.projects.values()) world.add(project, desired.commit);
  const sources = new GitSourceRepository({ settings, mirrors, clock, log });
  const journal = await openJournal({ stateDir: settings.stateDir, clock, log });
  const { controller, status } = composeController(
    settings,
    {
      clock,
      runtime: world.runtime,
      router,
      config,
      sources,
      secrets: new SecretFiles(settings.secrets.dir),
      prober: world.prober,
      deploymentLogs: new DeploymentLogs(settings.stateDir),
      lock: async () => ({ release: async () => undefined }),
    },
    journal,
    { log, version: 'bench', onProgress: () => undefined },
    { add: () => undefined },
  );
  const rest = async (): Promise<void> => {
    await controller.settled(never);
    if (!status.allWell) throw new Error('the fleet is not at rest');
  };
  return {
    controller,
    rest,
    async start() {
      await controller.start(false);
      await controller.run();
      await rest();
    },
    async stop() {
      await controller.stop();
      await journal.close();
      await config.close();
      await sources.close();
      await router.close();
    },
  };
}

/** Everything of the fleet is in `folder`. */
export function fleetSettings(folder: string, url: string): Settings {
  const stateDir = join(folder, 'state');
  return {
    ...settingsDefaults,
    instance: 'bench',
    configRepo: { url, branch: 'main', path: '.', intervalMs: 10_000, credential: null },
    credentials: [],
    stateDir,
    docker: { socket: join(folder, 'none.sock'), addressPool: '10.200.0.0/13' },
    nginx: { ...settingsDefaults.nginx, listen: ['127.0.0.1:8080'], verify: '127.0.0.1:8081' },
    secrets: { dir: join(folder, 'secrets') },
    log: { level: 'error' },
  };
}
