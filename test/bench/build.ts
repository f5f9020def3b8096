import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ensureBaseImage } from '../support/base-image.js';
import { instanceLabel } from '../../src/runtime/labels.js';
import { cleanInstance, plainBuild, testRuntime } from '../support/engine.js';
import { commitFiles, git, makeRepository } from '../support/git.js';
import type { Benchmark, Form, Result } from './benchmark.js';
import { buildImage } from './bare-engine.js';
import { measureMemory } from './build/memory.js';
import { sourceOf } from './build/source.js';
import { orInterrupted } from './interrupt.js';
import { interleave, median, timed } from './numbers.js';

const rounds: Readonly<Record<Form, number>> = { full: 15, short: 2 };
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
      const samples = await orInterrupted(measureBuilds(folder, name, rounds[form], say));
      say('contexts by their size');
      return judge(samples, await orInterrupted(measureMemory(folder, form)));
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
      await buildImage(tar.stdout, {
        t: `${name}:bare`,
        buildargs: { ROUND: round },
        labels: { [instanceLabel]: name },
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

function judge(
  samples: Readonly<Record<string, readonly number[]>>,
  memory: Pick<Result, 'samples' | 'ratios' | 'goals'>,
): Result {
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
  return {
    samples: { ...samples, ...memory.samples },
    counts: {},
    mustBeZero: [],
    ratios: { ...ratios, ...memory.ratios },
    goals: [...goals, ...memory.goals],
    notes: [
      'bare engine: BuildKit by the engine API with `tar` of the checkout; docker build: `DOCKER_BUILDKIT=1 docker build` in it, left out where no `docker` here can do that; pointsman begins with a commit in its mirror and no checkout',
      'memory above idle: of the process that reads the context, its peak above what it had before, and what the `git archive` beside it holds, without the packs that it maps',
    ],
  };
}
