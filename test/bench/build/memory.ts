/** What streaming a context takes of memory, git's included, by its size and by the size of its files. */
import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { git, makeRepository } from '../../support/git.js';
import type { Form, Result } from '../benchmark.js';
import { answerOf } from '../child-answer.js';
import { median } from '../numbers.js';
import { sourceOf } from './source.js';
import type { Peaks } from './streaming.js';

const rounds: Readonly<Record<Form, number>> = { full: 3, short: 1 };
/** With less, what the process takes is not yet all of its buffers. */
const smallMiB = 100;
const largeMiB: Readonly<Record<Form, number>> = { full: 500, short: 200 };
const fileMiB = 5;
const never = new AbortController().signal;
const streaming = fileURLToPath(new URL('streaming.ts', import.meta.url));

/** A small context, a large one, and one as large in a single file; each read by fresh processes. */
export async function measureMemory(
  folder: string,
  form: Form,
): Promise<Pick<Result, 'samples' | 'ratios' | 'goals'>> {
  const large = largeMiB[form];
  const contexts = [
    { name: `${smallMiB} MiB`, size: smallMiB, repo: await repositoryOf(folder, smallMiB, fileMiB) },
    { name: `${large} MiB`, size: large, repo: await repositoryOf(folder, large, fileMiB) },
    { name: `${large} MiB in one file`, size: large, repo: await repositoryOf(folder, large, large) },
  ] as const;
  const taken = (name: string): string => `memory above idle while streaming ${name} (MiB)`;
  const samples: Record<string, number[]> = {};
  for (let round = 0; round < rounds[form]; round += 1) {
    for (const { name, size, repo } of contexts) {
      const peaks = await peaksOf([folder, repo, `${size}`]);
      (samples[taken(name)] ??= []).push(peaks.own + peaks.git);
      (samples[`git's part of it, ${name} (MiB)`] ??= []).push(peaks.git);
    }
  }
  const [least, ...others] = contexts;
  const middle = (name: string): number => median(samples[taken(name)] ?? []);
  const flat = others.map(({ name }) => ({
    name: `memory while streaming, ${name} ÷ ${least.name}`,
    value: middle(name) / middle(least.name),
    atMost: 1.5,
  }));
  const most = Math.max(...contexts.flatMap(({ name }) => samples[taken(name)] ?? []));
  return {
    samples,
    ratios: Object.fromEntries(flat.map(({ name, value }) => [name, value])),
    goals: [
      { name: 'memory above idle while streaming (MB)', value: most * 1.048_576, atMost: 150 },
      ...flat,
    ],
  };
}

/** Of random bytes, with its mirror at hand. Resolves to its path. */
async function repositoryOf(folder: string, size: number, largest: number): Promise<string> {
  const path = await makeRepository(join(folder, `${size}-${largest}`));
  // Neither makes random bytes smaller, and both take minutes.
  await git(path, 'config', 'core.compression', '0');
  await git(path, 'config', 'pack.window', '0');
  await writeFile(join(path, 'Dockerfile'), 'FROM node:base\n');
  for (let at = 0; at < size; at += largest)
    await writeFile(join(path, `data-${at}`), randomBytes(largest * 1024 * 1024));
  await git(path, 'add', '--all');
  await git(path, 'commit', '--quiet', '--message', 'Begin');
  const { source, open } = sourceOf(folder, path);
  const sources = open();
  await sources.resolve(source, never);
  await sources.close();
  return path;
}

function peaksOf(args: readonly string[]): Promise<Peaks> {
  return answerOf(fork(streaming, args), () => 'the process that streams a context ended without an answer');
}
