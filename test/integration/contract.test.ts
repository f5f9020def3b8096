import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { diskContract } from '../simulation/contract/disk-contract.js';
import { engineContract } from '../simulation/contract/engine-contract.js';
import { gitContract } from '../simulation/contract/git-contract.js';
import { routerContract } from '../simulation/contract/router-contract.js';
import { ensureBaseImage } from '../support/base-image.js';
import { cleanInstance, containerSpec, leaks, testRuntime } from '../support/engine.js';
import { openGit } from '../support/git-subject.js';
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
