/** What drives kamal-proxy and traefik in the swap benchmark, on a stand-in for them and the real engine. */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createControl, type ControlChoice } from '../bench/control-deployers.js';
import { drainMs, type Deployer } from '../bench/deployer.js';
import { firstAnswer } from '../bench/project.js';
import { engine } from '../support/engine.js';
import { processesOf } from '../support/processes.js';

const standIn = fileURLToPath(new URL('../support/stand-in-proxy.mjs', import.meta.url));

const prefix = `stand-in-${process.pid}-`;
const [first, second] = [`${prefix}a`, `${prefix}b`];

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pointsman-stand-in-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** Its command line names the folder, so that what is left of it can be found. */
async function program(kind: 'kamal-proxy' | 'traefik', script: string): Promise<string> {
  const file = join(folder, kind);
  await writeFile(file, script);
  await chmod(file, 0o755);
  return file;
}

function standInFor(kind: 'kamal-proxy' | 'traefik'): Promise<string> {
  const words = [process.execPath, standIn, kind].map((word) => `'${word}'`).join(' ');
  return program(kind, `#!/bin/bash\nexec -a "$0/proxy" ${words} "$@"\n`);
}

/** Versions of the benchmark's containers that run. */
async function running(): Promise<readonly string[]> {
  const versions: string[] = [];
  for (const { Id, Image } of await engine.listContainers()) {
    if (!Image.startsWith('bench-')) continue;
    const { Env } = (await engine.getContainer(Id).inspect()).Config;
    versions.push(Env.find((each) => each.startsWith('VERSION='))?.slice('VERSION='.length) ?? '');
  }
  return versions.filter((version) => version.startsWith(prefix));
}

async function withControl(
  control: ControlChoice,
  work: (deployer: Deployer) => Promise<void>,
): Promise<void> {
  const deployer = await createControl(control);
  try {
    await work(deployer);
  } finally {
    await deployer.close();
  }
  expect(await running()).toEqual([]);
  expect(await processesOf(folder)).toEqual([]);
}

const answers = ({ port, host }: Deployer, version: string): Promise<void> =>
  firstAnswer({ host: '127.0.0.1', port }, host, version);

describe('kamal-proxy', () => {
  it('gives the traffic to each new version and has stopped the old one when a deployment is done', async () => {
    await withControl({ kind: 'kamal-proxy', program: await standInFor('kamal-proxy') }, async (deployer) => {
      await deployer.deploy(first);
      await answers(deployer, first);
      await deployer.deploy(second);
      expect(await running()).toEqual([second]);
      await answers(deployer, second);
    });
  });
});

describe('traefik', () => {
  it('gives the traffic to each new version and stops the old one after the drain', async () => {
    await withControl({ kind: 'traefik', program: await standInFor('traefik') }, async (deployer) => {
      await deployer.deploy(first);
      await answers(deployer, first);
      const startedAt = performance.now();
      await deployer.deploy(second);
      const during = await running();
      // The old one drains behind the back of the deployment; a machine that took longer for all of this saw its end.
      if (performance.now() - startedAt < drainMs) expect(during.toSorted()).toEqual([first, second]);
      await answers(deployer, second);
      await deployer.rest();
      expect(await running()).toEqual([second]);
      await answers(deployer, second);
    });
  });
});

it.each(['kamal-proxy', 'traefik'] as const)(
  'says what %s said when it ends instead of serving, and leaves nothing',
  async (kind) => {
    const failing = await program(kind, '#!/bin/sh\necho "the port is taken" >&2\nexit 3\n');
    await withControl({ kind, program: failing }, async (deployer) => {
      await expect(deployer.deploy(first)).rejects.toThrow(/ended with 3\n(.*\n)*the port is taken/);
    });
  },
);
