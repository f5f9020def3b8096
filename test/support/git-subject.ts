import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../../src/clock.js';
import { silentLogger } from '../../src/log.js';
import { assembleDesired } from '../../src/manifest/assemble.js';
import { parseManifests } from '../../src/manifest/parse.js';
import { GitConfigRepository } from '../../src/source/config-repository.js';
import { MirrorStore } from '../../src/source/mirror-store.js';
import { GitSourceRepository } from '../../src/source/source-repository.js';
import type { GitAdapters, GitSubject } from '../simulation/contract/git-contract.js';
import { commitFiles, git, makeRepository } from './git.js';

/** Real repositories below `folder` and the real adapters on them, for the contract of Git. */
export async function openGit(folder: string): Promise<GitSubject & { close(): Promise<void> }> {
  const servers = join(folder, 'servers');
  const [config, repo] = [join(servers, 'config.git'), join(servers, 'app.git')];
  for (const path of [config, repo]) await makeRepository(path, { bare: true });
  let close = (): Promise<void> => Promise.resolve();
  let commits = 0;
  const commitApp = (): Promise<string> =>
    commitFiles(repo, { Dockerfile: 'FROM scratch', version: String((commits += 1)) });
  return {
    async open() {
      await close();
      const adapters = openAdapters(join(folder, 'state'), config);
      close = async () => {
        await adapters.config.close();
        await adapters.sources.close();
      };
      return adapters;
    },
    commitConfig: (files) => commitFiles(config, files, { orphan: true }),
    moveConfig: async (commit) => void (await git(config, 'update-ref', 'refs/heads/main', commit)),
    repo,
    commitApp,
    moveApp: async (commit) => void (await git(repo, 'update-ref', 'refs/heads/main', commit)),
    setDown: (isDown) => (isDown ? rename(servers, `${servers}-away`) : rename(`${servers}-away`, servers)),
    done: (work) => work,
    close: () => close(),
  };
}

function openAdapters(
  stateDir: string,
  url: string,
): GitAdapters & { readonly config: { close(): Promise<void> } } {
  const settings = {
    configRepo: { url, branch: 'main', path: 'projects', intervalMs: 60_000, credential: null },
    credentials: [],
    policy: { sources: [], images: [], frontends: [] },
  };
  const mirrors = new MirrorStore({ stateDir });
  const log = silentLogger;
  return {
    config: new GitConfigRepository({
      settings,
      mirrors,
      log,
      parse: parseManifests,
      assemble: (commit, files) =>
        assembleDesired(commit, files, {
          baseDomain: 'example.com',
          live: { names: new Map(), domains: new Map() },
        }),
    }),
    sources: new GitSourceRepository({ settings, mirrors, log, clock: systemClock }),
  };
}
