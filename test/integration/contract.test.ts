import * as fs from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.js';
import { networkProber } from '../../src/apply/prober.js';
import { clockContract } from '../simulation/contract/clock-contract.js';
import { diskContract } from '../simulation/contract/disk-contract.js';
import { engineContract } from '../simulation/contract/engine-contract.js';
import { gitContract } from '../simulation/contract/git-contract.js';
import { proberContract } from '../simulation/contract/prober-contract.js';
import { routerContract } from '../simulation/contract/router-contract.js';
import { ensureBaseImage } from '../support/base-image.js';
import { cleanInstance, containerSpec, leaks, testRuntime } from '../support/engine.js';
import { openGit } from '../support/git-subject.js';
import { probeTarget } from '../support/probe-target.js';
import { createNginxWorld, siteOf, switchRecord } from '../support/nginx.js';

/** The same cases run against the simulated parts in test/simulation/contract.test.ts. */
const instance = `contract-test-${process.pid}`;

afterEach(() => cleanInstance(instance));
afterAll(async () => expect(await leaks(instance)).toEqual([]));

describe('the real engine', () => {
  it.each(engineContract)('$name', async ({ run }) => {
    const runtime = testRuntime(instance, '10.216.0.0/16');
    const image = (await runtime.image(await ensureBaseImage()))?.id ?? '';
    await run({
      runtime,
      image,
      spec: (network, change) => containerSpec(instance, network, image, ['sleep', '600'], change),
      done: (work) => work,
    });
  });
});

describe('the real nginx', () => {
  it.each(routerContract)('$name', async ({ run }) => {
    const world = await createNginxWorld();
    try {
      await world.router.start(AbortSignal.timeout(30_000));
      await run({
        router: world.router,
        site: (project, domain) => siteOf(project, { blue: '127.0.0.1:1', green: '127.0.0.1:2' }, domain),
        record: (project, slot) => ({ ...switchRecord(project, slot), revision: 'r' }),
        done: (work) => work,
      });
    } finally {
      await world.cleanup();
    }
  });
});

describe('the real disk', () => {
  it.each(diskContract)('$name', async ({ run }) => {
    const folder = await fs.mkdtemp(join(tmpdir(), 'pointsman-disk-'));
    try {
      await run({ fs, folder });
    } finally {
      await fs.rm(folder, { recursive: true, force: true });
    }
  });
});

describe('the real git', () => {
  it.each(gitContract)('$name', async ({ run }) => {
    const folder = await fs.mkdtemp(join(tmpdir(), 'pointsman-git-'));
    const subject = await openGit(folder);
    try {
      await run(subject);
    } finally {
      await subject.close();
      await fs.rm(folder, { recursive: true, force: true });
    }
  });
});

describe('the real clock', () => {
  it.each(clockContract)('$name', ({ run }) => run({ clock: systemClock, done: (work) => work }));
});

describe('the real prober', () => {
  it.each(proberContract)('$name', async ({ run }) => {
    const server = createServer((_request, response) => response.end('well'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.2', resolve));
    const { port } = server.address() as AddressInfo;
    try {
      await run({
        prober: networkProber,
        well: probeTarget('127.0.0.2', port),
        nobody: probeTarget('127.0.0.3', port),
        done: (work) => work,
      });
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });
});
