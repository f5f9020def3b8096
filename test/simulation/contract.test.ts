import * as simulated from './world/disk.js';
import { describe, it } from 'vitest';
import { containerSpec } from '../support/engine.js';
import { siteOf, switchRecord } from '../support/nginx.js';
import { diskContract } from './contract/disk-contract.js';
import type { DiskSubject } from './contract/disk-contract.js';
import { engineContract } from './contract/engine-contract.js';
import { routerContract } from './contract/router-contract.js';
import { Disk, useDisk } from './world/disk.js';
import { Effects } from './world/effects.js';
import { EngineState } from './world/engine.js';
import { RouterState, SimulatedRouter } from './world/router.js';
import { SimulatedRuntime } from './world/runtime.js';
import { Life, Random } from './world/scheduler.js';

/** The same cases run against the real parts in test/integration/contract.test.ts. */
describe('the simulated engine', () => {
  it.each(engineContract)('$name', async ({ run }) => {
    const effects = new Effects(new Random(1));
    const state = new EngineState(effects);
    state.addImage('sha256:app', 'app:1', {}, 'ok');
    const world = { onStop: () => undefined, onRemoveImage: () => undefined, fate: () => [1] };
    await run({
      runtime: new SimulatedRuntime(state, new Life(1), world),
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
