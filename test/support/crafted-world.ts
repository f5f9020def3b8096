/** A bare repository, the real Git adapters on it, and the promise that nothing else is written. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { ConfigSnapshot } from '../../src/source/port.js';
import { makeRepository } from './git.js';
import { openAdapters, type AdapterOptions } from './git-adapters.js';

export interface CraftedWorld {
  readonly folder: string;
  readonly repository: string;
  open(part?: Partial<AdapterOptions>): ReturnType<typeof openAdapters>;
  /** Fails when anything but mirrors was written beside the repository. */
  cleanup(): Promise<void>;
}

/** A sound manifest of a project `name`. */
export function manifest(name: string): string {
  return `apiVersion: pointsman.dev/v1\nkind: Project\nname: ${name}\nsource: { repo: https://git.example.com/a.git }\n`;
}

/** Of the projects that were read. */
export function namesOf({ desired }: ConfigSnapshot): readonly string[] {
  return [...(desired?.projects.keys() ?? [])].sort();
}

export async function createCraftedWorld(): Promise<CraftedWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'pointsman-crafted-'));
  const repository = await makeRepository(join(folder, 'repository.git'), { bare: true });
  const stateDir = join(folder, 'state');
  const opened: ReturnType<typeof openAdapters>[] = [];
  return {
    folder,
    repository,
    open(part = {}) {
      const adapters = openAdapters({ stateDir, url: repository, ...part });
      opened.push(adapters);
      return adapters;
    },
    async cleanup() {
      for (const adapters of opened) await adapters.close();
      const strangers = await strangersIn(folder);
      await rm(folder, { recursive: true, force: true });
      expect(strangers).toEqual([]);
    },
  };
}

const known: Readonly<Record<string, RegExp>> = {
  '.': /^(?:repository\.git|state)$/,
  state: /^repos$/,
  'state/repos': /^(?:\.git-client|[0-9a-f]{24}\.git)$/,
  'state/repos/.git-client': /^\.gitconfig$/,
};

/** Files and folders that are neither the repository nor part of a mirror. */
async function strangersIn(folder: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const [inside, expected] of Object.entries(known))
    for (const name of await readdir(join(folder, inside)).catch(() => []))
      if (!expected.test(name)) found.push(`${inside}/${name}`);
  return found;
}
