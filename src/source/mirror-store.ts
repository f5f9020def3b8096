import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import PQueue from 'p-queue';
import type { GitCredential } from '../settings/settings.js';
import { Git } from './git.js';
import { mirrorName, parseLocation } from './location.js';
import { Mirror } from './mirror.js';
import { withMirrorLock } from './mirror-lock.js';

/** Calls to one server at the same time: one that hangs holds up its own repositories and nobody else's. */
const callsPerServer = 4;

/**
 * The mirrors of `<stateDir>/repos`: `<24 hex>.git` each, and `.git-client` with what the git program
 * itself needs. One store serves the config repository and the application sources.
 */
export class MirrorStore {
  readonly git: Git;
  readonly #folder: string;
  readonly #queues = new Map<string, PQueue>();

  constructor(deps: { readonly stateDir: string }) {
    this.#folder = join(deps.stateDir, 'repos');
    this.git = new Git({ folder: join(this.#folder, '.git-client') });
  }

  /** Nothing is made or asked before the mirror is used. @throws PointsmanError UnsupportedRepository */
  open(address: string, credential: GitCredential | null): Mirror {
    const location = parseLocation(address);
    const { scheme, host, port } = location.address;
    const server = `${scheme} ${host} ${port}`;
    const queue = this.#queues.get(server) ?? new PQueue({ concurrency: callsPerServer });
    this.#queues.set(server, queue);
    return new Mirror({ git: this.git, folder: this.#folder, location, credential, queue });
  }

  /** The same for a repository that waits for no other one of its server: the config repository. */
  openFirst(address: string, credential: GitCredential | null): Mirror {
    const location = parseLocation(address);
    const queue = new PQueue();
    return new Mirror({ git: this.git, folder: this.#folder, location, credential, queue });
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
