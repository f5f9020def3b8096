import * as simulated from './world/disk.js';
import { describe, it } from 'vitest';
import { containerSpec } from '../support/engine.js';
import { siteOf, switchRecord } from '../support/nginx.js';
import { probeTarget } from '../support/probe-target.js';
import { clockContract } from './contract/clock-contract.js';
import { diskContract } from './contract/disk-contract.js';
import type { DiskSubject } from './contract/disk-contract.js';
import { engineContract } from './contract/engine-contract.js';
import { gitContract } from './contract/git-contract.js';
import { proberContract } from './contract/prober-contract.js';
import { routerContract } from './contract/router-contract.js';
import { Disk, useDisk } from './world/disk.js';
import { Effects } from './world/effects.js';
import { EngineState } from './world/engine.js';
import { GitState, SimulatedConfig, SimulatedSources } from './world/repositories.js';
import { RouterState, SimulatedRouter } from './world/router.js';
import { SimulatedRuntime } from './world/runtime.js';
import { Life, LifeClock, Random } from './world/scheduler.js';

const nothing = (): void => undefined;
const unwatched = { onStop: nothing, onRemoveImage: nothing, onCreate: nothing, fate: () => [1] };
const appImage = { id: 'sha256:app', behaviour: 'ok' } as const;

/** The same cases run against the real parts in test/integration/contract.test.ts. */
describe('the simulated engine', () => {
  it.each(engineContract)('$name', async ({ run }) => {
    const effects = new Effects(new Random(1));
    const state = new EngineState(effects);
    state.addImage('sha256:app', 'app:1', {}, 'ok');
    await run({
      runtime: new SimulatedRuntime(state, new Life(1), unwatched),
      image: 'sha256:app',
      spec: (network, change) => containerSpec('sim', network, 'sha256:app', ['sleep', '600'], change),
      done: (work) => effects.scheduler.finish(work),
    });
  });
});

describe('the simulated nginx', () => {
  it.each(routerContract)('$name', async ({ run }) => {
    const effects = new Effects(new Random(1));
    const router = new SimulatedRouter(new RouterState(effects), new Life(1), () => [1]);
    await effects.scheduler.finish(router.start());
    await run({
      router,
      site: (project, domain) => siteOf(project, { blue: '127.0.0.1:1', green: '127.0.0.1:2' }, domain),
      record: (project, slot) => ({ ...switchRecord(project, slot), revision: 'r' }),
      done: (work) => effects.scheduler.finish(work),
    });
  });
});

describe('the simulated disk', () => {
  it.each(diskContract)('$name', async ({ run }) => {
    useDisk(new Disk());
    await simulated.mkdir('/work');
    await run({ fs: simulated as unknown as DiskSubject['fs'], folder: '/work' });
  });
});

describe('the simulated git', () => {
  it.each(gitContract)('$name', async ({ run }) => {
    const effects = new Effects(new Random(1));
    const state = new GitState(effects);
    const repo = '/apps/app.git';
    await run({
      async open() {
        const life = new Life(1);
        const router = new SimulatedRouter(new RouterState(effects), life, () => [1]);
        return {
          config: new SimulatedConfig(state, life, router, () => [1]),
          sources: new SimulatedSources(state, life, () => [1]),
        };
      },
      commitConfig: async (files) => state.commitConfig(new Map(Object.entries(files))),
      moveConfig: async (commit) => state.moveConfig(commit),
      repo,
      commitApp: async () => state.commitApp(repo, 'ok'),
      moveApp: async (commit) => state.moveApp(repo, commit),
      setDown: async (isDown) => void (state.isDown = isDown),
      done: (work) => effects.scheduler.finish(work),
    });
  });
});

describe('the simulated clock', () => {
  it.each(clockContract)('$name', async ({ run }) => {
    const { scheduler } = new Effects(new Random(1));
    await run({ clock: new LifeClock(scheduler, new Life(1)), done: (work) => scheduler.finish(work) });
  });
});

describe('the simulated prober', () => {
  it.each(proberContract)('$name', async ({ run }) => {
    const effects = new Effects(new Random(1));
    const state = new EngineState(effects);
    state.start(
      state.add('app', containerSpec('sim', state.ensureNetwork('app'), 'app', []).labels, appImage, {
        address: '10.213.0.2',
        restartPolicy: 'no',
      }),
    );
    await effects.scheduler.runUntil(100);
    await run({
      prober: new SimulatedRuntime(state, new Life(1), unwatched),
      well: probeTarget('10.213.0.2', 3000),
      nobody: probeTarget('10.213.0.3', 3000),
      done: (work) => effects.scheduler.finish(work),
    });
  });
});
