import { execFile, fork, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ensureBaseImage } from '../support/base-image.js';
import { instanceLabel } from '../../src/runtime/labels.js';
import { cleanInstance, engine, plainBuild, testRuntime } from '../support/engine.js';
import { commitFiles, git, makeRepository } from '../support/git.js';
import type { Benchmark, Form, Result } from './benchmark.js';
import { sourceOf } from './build/source.js';
import { interleave, median, timed } from './numbers.js';

const rounds: Readonly<Record<Form, number>> = { full: 15, short: 2 };
const contextMiB: Readonly<Record<Form, number>> = { full: 500, short: 50 };
const fileMiB = 5;
const never = new AbortController().signal;
const run = promisify(execFile);

const dockerfile = `FROM node:base
ARG ROUND
COPY . /app
RUN echo "$ROUND" > /round
`;

/** From a commit in a mirror to an image, against `docker build` and the bare engine given the same checkout. */
export const build: Benchmark = {
  name: 'build',
  shows: 'what building a commit costs beside `docker build` and the bare engine given its checkout',
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
        { project: name, tag, labels: { [instanceLabel]: name }, build: { ...plainBuild, args }, context },
        () => undefined,
        never,
      );
    });
  const theirs = async (round: string): Promise<number> =>
    timed(async () => {
      const tar = spawn('tar', ['-C', path, '--exclude=.git', '-cf', '-', '.'], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const options = {
        t: `${name}:bare`,
        version: '2',
        buildargs: { ROUND: round },
        labels: { [instanceLabel]: name },
      } as const;
      const stream = await engine.buildImage(tar.stdout, options);
      await new Promise<void>((resolve, reject) => {
        engine.modem.followProgress(stream, (error: Error | null, lines: readonly { error?: string }[]) => {
          const failed = error?.message ?? lines.find((line) => line.error !== undefined)?.error;
          if (failed === undefined) resolve();
          else reject(new Error(`the bare build failed: ${failed}`));
        });
      });
    });
  const docker = await dockerWithBuildKit(path, name);
  const dockers = (round: string): Promise<number> =>
    timed(() => dockerBuild(docker ?? '', path, name, round));
  try {
    say(`${count} rounds`);
    await ours(`${name} first`);
    await theirs(`${name} first`);
    const samples: Record<string, readonly number[]> = {};
    // The second of two builds with the same argument has nothing to do.
    for (const kind of ['a step to run', 'cached']) {
      const taken = await interleave(count, {
        [`pointsman, ${kind} (ms)`]: (round: number) => ours(`${name} ours ${round}`),
        [`bare engine, ${kind} (ms)`]: (round: number) => theirs(`${name} bare ${round}`),
        ...(docker === null
          ? {}
          : { [`docker build, ${kind} (ms)`]: (round: number) => dockers(`${name} docker ${round}`) }),
      });
      Object.assign(samples, taken);
    }
    return samples;
  } finally {
    await sources.close();
  }
}

/** Resident memory above idle of a process that reads a context of that size, every 20 ms. */
async function streamedMiB(folder: string, size: number): Promise<readonly number[]> {
  const path = await makeRepository(join(folder, 'large'));
  for (let at = 0; at < size; at += fileMiB)
    await commitFiles(path, { [`data/${at}`]: randomBytes(fileMiB * 1024 * 1024) });
  await commitFiles(path, { Dockerfile: dockerfile });
  const child = fork(fileURLToPath(new URL('build/streaming.ts', import.meta.url)), [
    folder,
    path,
    `${size}`,
  ]);
  return new Promise((resolve, reject) => {
    child.once('message', (above) => resolve(above as readonly number[]));
    child.once('exit', (code) => reject(new Error(`streaming a context ended with ${code}`)));
  });
}

/**
 * A `docker` of this machine that builds with BuildKit, which newer ones need a plugin for; null when
 * there is none.
 */
async function dockerWithBuildKit(checkout: string, name: string): Promise<string | null> {
  for (const docker of ['docker', '/usr/bin/docker']) {
    const built = await dockerBuild(docker, checkout, name, 'first').then(
      () => true,
      () => false,
    );
    if (built) return docker;
  }
  return null;
}

async function dockerBuild(docker: string, checkout: string, name: string, round: string): Promise<void> {
  const label = `${instanceLabel}=${name}`;
  const tag = `${name}:docker`;
  const args = [
    'build',
    '--quiet',
    '--tag',
    tag,
    '--label',
    label,
    '--build-arg',
    `ROUND=${round}`,
    checkout,
  ];
  await run(docker, args, { env: { ...process.env, DOCKER_BUILDKIT: '1' } });
}

function judge(samples: Readonly<Record<string, readonly number[]>>, above: readonly number[]): Result {
  const middle = (series: string): number => median(samples[series] ?? []);
  const ratios = Object.fromEntries(
    ['a step to run', 'cached'].flatMap((kind) =>
      ['docker build', 'bare engine'].flatMap((other) => {
        const value = middle(`pointsman, ${kind} (ms)`) / middle(`${other}, ${kind} (ms)`);
        return Number.isFinite(value) ? [[`pointsman ÷ ${other}, ${kind}`, value] as const] : [];
      }),
    ),
  );
  const goals = Object.entries(ratios)
    .filter(([name]) => name.includes('docker build'))
    .map(([name, value]) => ({ name, value, atMost: 1.25 }));
  const most = { name: 'memory above idle while streaming (MB)', value: Math.max(0, ...above) * 1.048_576 };
  return {
    samples: { ...samples, 'memory above idle while streaming (MiB)': above },
    counts: {},
    mustBeZero: [],
    ratios,
    goals: [...goals, { ...most, atMost: 150 }],
    notes: [
      'bare engine: BuildKit by the engine API with `tar` of the checkout; docker build: `DOCKER_BUILDKIT=1 docker build` in it, left out where no `docker` here can do that; pointsman begins with a commit in its mirror and no checkout',
    ],
  };
}
