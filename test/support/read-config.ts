import { silentLogger } from '../../src/log.js';
import type { DesiredState } from '../../src/manifest/project.js';
import { GitConfigRepository } from '../../src/source/config-repository.js';
import { MirrorStore } from '../../src/source/mirror-store.js';

/** Prints what the manifests of a config repository hold at a commit, in a process of its own: `<stateDir> <url> <commit>`. */
const [stateDir = '', url = '', commit = ''] = process.argv.slice(2);
const config = new GitConfigRepository<string>({
  settings: { configRepo: { url, branch: 'main', path: 'projects', intervalMs: 1000, credential: null } },
  mirrors: new MirrorStore({ stateDir }),
  log: silentLogger,
  parse: (_file, bytes) => Buffer.from(bytes).toString('utf8'),
  assemble: (at, files, problems) =>
    ({
      commit: at,
      projects: new Map(files.map((file) => [file, null])),
      invalid: new Map(),
      problems,
      removalsHeldBecause: null,
    }) as unknown as DesiredState,
});
const desired = await config.readAt(commit, AbortSignal.timeout(30_000));
process.stdout.write(`${[...desired.projects.keys()].join(' ')}\n`);
