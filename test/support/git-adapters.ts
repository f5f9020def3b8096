/** The real Git adapters with the real manifest parser, on any repositories. */
import { PassThrough, type Readable } from 'node:stream';
import { extract } from 'tar-stream';
import { systemClock } from '../../src/clock.js';
import { silentLogger } from '../../src/log.js';
import { assembleDesired } from '../../src/manifest/assemble.js';
import { parseManifests, unreadableFile } from '../../src/manifest/parse.js';
import type { GitSource } from '../../src/manifest/project.js';
import type { GitCredential } from '../../src/settings/settings.js';
import { GitConfigRepository } from '../../src/source/config-repository.js';
import { MirrorStore } from '../../src/source/mirror-store.js';
import { GitSourceRepository } from '../../src/source/source-repository.js';

export interface AdapterOptions {
  readonly stateDir: string;
  readonly url: string;
  readonly branch?: string;
  readonly path?: string;
  readonly credential?: GitCredential | null;
}

export function openAdapters({
  stateDir,
  url,
  branch = 'main',
  path = 'projects',
  credential = null,
}: AdapterOptions): {
  readonly config: GitConfigRepository<ReturnType<typeof parseManifests>>;
  readonly sources: GitSourceRepository;
  close(): Promise<void>;
} {
  const settings = {
    configRepo: { url, branch, path, intervalMs: 60_000, credential },
    credentials: [],
    policy: { sources: [], images: [], frontends: [] },
  };
  const mirrors = new MirrorStore({ stateDir });
  const config = new GitConfigRepository({
    settings,
    mirrors,
    log: silentLogger,
    parse: parseManifests,
    // As the composition does.
    assemble: (commit, readable, extra) => {
      const files = [...readable, ...extra.map(({ file, message }) => unreadableFile(file, message))];
      return assembleDesired(commit, files, {
        baseDomain: 'example.com',
        live: { names: new Map(), domains: new Map() },
      });
    },
  });
  const sources = new GitSourceRepository({ settings, mirrors, log: silentLogger, clock: systemClock });
  return {
    config,
    sources,
    async close() {
      await config.close();
      await sources.close();
    },
  };
}

/** HEAD of a repository, built from its root. */
export function sourceOf(repo: string, part: Partial<GitSource> = {}): GitSource {
  const build = { dockerfile: 'Dockerfile', target: null, args: {}, timeoutMs: 60_000 };
  return { kind: 'git', repo, ref: null, commit: null, path: '.', build, ...part };
}

export interface ContextEntry {
  readonly name: string;
  readonly type: string | null | undefined;
  readonly link: string | null;
  readonly body: string;
}

/** Entries of a build context, in order. */
export async function entriesOf(stream: Readable): Promise<readonly ContextEntry[]> {
  const found: ContextEntry[] = [];
  const reader = extract();
  stream.once('error', (error) => reader.destroy(error));
  stream.pipe(new PassThrough()).pipe(reader);
  for await (const entry of reader) {
    const chunks: Buffer[] = [];
    for await (const chunk of entry) chunks.push(chunk as Buffer);
    const { name, type, linkname } = entry.header;
    found.push({ name, type, link: linkname ?? null, body: Buffer.concat(chunks).toString('latin1') });
  }
  return found;
}
