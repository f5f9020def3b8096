import { join } from 'node:path';
import { systemClock } from '../../../src/clock.js';
import { silentLogger } from '../../../src/log.js';
import type { GitSource } from '../../../src/manifest/project.js';
import { MirrorStore } from '../../../src/source/mirror-store.js';
import { GitSourceRepository } from '../../../src/source/source-repository.js';
import { plainBuild } from '../../support/engine.js';

/** A source that follows `repo`, and what reads it into mirrors below `folder`. */
export function sourceOf(
  folder: string,
  repo: string,
): { readonly source: GitSource; open(): GitSourceRepository } {
  const mirrors = new MirrorStore({ stateDir: join(folder, 'state') });
  const configRepo = { url: repo, branch: 'main', path: '.', intervalMs: 60_000, credential: null };
  const settings = { configRepo, credentials: [], policy: { sources: [], images: [], frontends: [] } };
  return {
    source: { kind: 'git', repo, ref: null, commit: null, path: '.', build: plainBuild },
    open: () => new GitSourceRepository({ settings, mirrors, clock: systemClock, log: silentLogger }),
  };
}
