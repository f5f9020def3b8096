import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { GitCredential } from '../settings/settings.js';
import { Git } from './git.js';
import { mirrorName, parseLocation } from './location.js';
import { Mirror } from './mirror.js';
import { withMirrorLock } from './mirror-lock.js';

/**
 * The mirrors of `<stateDir>/repos`: `<24 hex>.git` each, and `.git-client` with what the git program
 * itself needs. One store serves the config repository and the application sources.
 */
export class MirrorStore {
  readonly git: Git;
  readonly #folder: string;

  constructor(deps: { readonly stateDir: string }) {
    this.#folder = join(deps.stateDir, 'repos');
    this.git = new Git({ folder: join(this.#folder, '.git-client') });
  }

  /** Nothing is made or asked before the mirror is used. @throws PointsmanError UnsupportedRepository */
  open(address: string, credential: GitCredential | null): Mirror {
    return new Mirror({ git: this.git, folder: this.#folder, location: parseLocation(address), credential });
  }

  /** Removes every mirror but those of `addresses`, and what interrupted work left beside those. */
  async collect(addresses: readonly string[], signal: AbortSignal): Promise<void> {
    const kept = new Set(addresses.map((address) => `${mirrorName(parseLocation(address))}.git`));
    const found = new Map<string, string[]>();
    for (const entry of await readdir(this.#folder).catch(() => [])) {
      const base = /^([0-9a-f]{24})\.git(?:\.(?:new|old)-[0-9a-f]+)?$/.exec(entry)?.[1];
      if (base === undefined || kept.has(entry)) continue;
      found.set(base, [...(found.get(base) ?? []), join(this.#folder, entry)]);
    }
    for (const [base, paths] of found) {
      await withMirrorLock(this.#folder, base, base, signal, async () => {
        for (const path of paths) await rm(path, { recursive: true, force: true });
      });
    }
  }
}
