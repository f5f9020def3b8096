import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/clock.js';
import { silentLogger } from '../../src/log.js';
import type { GitSource } from '../../src/manifest/project.js';
import { MirrorStore } from '../../src/source/mirror-store.js';
import { GitSourceRepository } from '../../src/source/source-repository.js';
import { ensureBaseImage } from '../support/base-image.js';
import { cleanInstance, engine, plainBuild, testRuntime } from '../support/engine.js';
import { commitFiles, git, makeRepository } from '../support/git.js';
import type { Benchmark, Form, Result } from './benchmark.js';
import { interleave, median, timed } from './numbers.js';

const rounds: Readonly<Record<Form, number>> = { full: 15, short: 2 };
const contextMiB: Readonly<Record<Form, number>> = { full: 500, short: 50 };
const fileMiB = 5;
const never = new AbortController().signal;

const dockerfile = `FROM node:base
ARG ROUND
COPY . /app
RUN echo "$ROUND" > /round
`;

/** From a commit in a mirror to an image, against the engine's own BuildKit given a tar of the checkout. */
export const build: Benchmark = {
  name: 'build',
  shows: 'what streaming a commit to the engine costs beside the bare engine given the same checkout',
  async run(form, say) {
    const folder = await mkdtemp(join(tmpdir(), 'pointsman-build-'));
    const name = `bench-${randomBytes(3).toString('hex')}`;
    try {
      await ensureBaseImage();
      const samples = await measureBuilds(folder, name, rounds[form], say);
      say(`a context of ${contextMiB[form]} MiB`);
      return judge(samples, await streamedMiB(folder, contextMiB[form]));
    } finally {
      await cleanInstance(name);
      for (const tag of [`pointsman/${name}:bench`, `${name}:bare`])
        await engine
          .getImage(tag)
          .remove({ force: true })
          .catch(() => undefined);
      await rm(folder, { recursive: true, force: true });
    }
  },
};

async function measureBuilds(
  folder: string,
  name: string,
  count: number,
  say: (line: string) => void,
): Promise<Readonly<Record<string, readonly number[]>>> {
  const path = await makeRepository(join(folder, 'application'));
  const files = Array.from({ length: 200 }, (_, index) => [
    `src/${index}.js`,
    `${randomBytes(4096).toString('hex')}\n`,
  ]);
  await commitFiles(path, {
    Dockerfile: dockerfile,
    ...(Object.fromEntries(files) as Record<string, string>),
  });
  await git(path, 'reset', '--quiet', '--hard');
  const { source, open } = sourceOf(folder, path);
  const sources = open();
  const runtime = testRuntime(name, '10.219.0.0/24');
  const ours = async (round: string): Promise<number> =>
    timed(async () => {
      const args = { ROUND: round };
      const context = await sources.context(
        source,
        await sources.resolve(source, never),
        () => undefined,
        never,
      );
      const tag = `pointsman/${name}:bench`;
      await runtime.build(
        { project: name, tag, labels: {}, build: { ...plainBuild, args }, context },
        () => undefined,
        never,
      );
    });
  const theirs = async (round: string): Promise<number> =>
    timed(async () => {
      const tar = spawn('tar', ['-C', path, '--exclude=.git', '-cf', '-', '.'], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const options = { t: `${name}:bare`, version: '2', buildargs: { ROUND: round } } as const;
      const stream = await engine.buildImage(tar.stdout, options);
      await new Promise<void>((resolve, reject) => {
        engine.modem.followProgress(stream, (error: Error | null, lines: readonly { error?: string }[]) => {
          const failed = error?.message ?? lines.find((line) => line.error !== undefined)?.error;
          if (failed === undefined) resolve();
          else reject(new Error(`the bare build failed: ${failed}`));
        });
      });
    });
  try {
    say(`${count} rounds`);
    await ours(`${name} first`);
    await theirs(`${name} first`);
    return await interleave(count, {
      'pointsman, a step to run (ms)': (round) => ours(`${name} ours ${round}`),
      'bare engine, a step to run (ms)': (round) => theirs(`${name} theirs ${round}`),
      'pointsman, cached (ms)': (round) => ours(`${name} ours ${round}`),
      'bare engine, cached (ms)': (round) => theirs(`${name} theirs ${round}`),
    });
  } finally {
    await sources.close();
  }
}

function sourceOf(folder: string, repo: string): { readonly source: GitSource; open(): GitSourceRepository } {
  const mirrors = new MirrorStore({ stateDir: join(folder, 'state') });
  const configRepo = { url: repo, branch: 'main', path: '.', intervalMs: 60_000, credential: null };
  const settings = { configRepo, credentials: [] };
  return {
    source: { kind: 'git', repo, ref: null, commit: null, path: '.', build: plainBuild },
    open: () => new GitSourceRepository({ settings, mirrors, clock: systemClock, log: silentLogger }),
  };
}

/** Resident memory above idle, every 20 ms while a context is read. */
async function streamedMiB(folder: string, size: number): Promise<readonly number[]> {
  const path = await makeRepository(join(folder, 'large'));
  for (let at = 0; at < size; at += fileMiB)
    await commitFiles(path, { [`data/${at}`]: randomBytes(fileMiB * 1024 * 1024) });
  await commitFiles(path, { Dockerfile: dockerfile });
  const { source, open } = sourceOf(folder, path);
  const sources = open();
  try {
    const resolved = await sources.resolve(source, never);
    const context = await sources.context(source, resolved, () => undefined, never);
    const idle = process.memoryUsage.rss();
    const above: number[] = [];
    const timer = setInterval(() => above.push((process.memoryUsage.rss() - idle) / 1024 / 1024), 20);
    let bytes = 0;
    for await (const chunk of context) bytes += (chunk as Buffer).length;
    clearInterval(timer);
    if (bytes < size * 1024 * 1024) throw new Error(`the context had ${bytes} bytes alone`);
    return above;
  } finally {
    await sources.close();
  }
}

function judge(samples: Readonly<Record<string, readonly number[]>>, above: readonly number[]): Result {
  const ratio = (kind: string): number =>
    median(samples[`pointsman, ${kind} (ms)`] ?? []) / median(samples[`bare engine, ${kind} (ms)`] ?? []);
  const ratios = { 'with a step to run': ratio('a step to run'), cached: ratio('cached') };
  return {
    samples: { ...samples, 'memory above idle while streaming (MiB)': above },
    counts: {},
    mustBeZero: [],
    ratios,
    notes: [
      'bare engine: BuildKit by the engine API with `tar` of the checkout, which `docker build` does as well; no command-line client is started',
    ],
    goals: [
      ...Object.entries(ratios).map(([kind, value]) => ({
        name: `build ÷ bare engine, ${kind}`,
        value,
        atMost: 1.25,
      })),
      {
        name: 'memory above idle while streaming (MB)',
        value: Math.max(0, ...above) * 1.048_576,
        atMost: 150,
      },
    ],
  };
}
