import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { Git } from '../../src/source/git.js';
import { leftWith } from '../support/left-with.js';

it('leaves nothing with the signal of its calls, which lives as long as the controller', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'pointsman-git-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const git = new Git({ folder: join(folder, 'git') });
  const { signal } = new AbortController();
  for (let call = 0; call < 3; call += 1) expect((await git.run({ args: ['version'], signal })).code).toBe(0);
  const stream = await git.stream(['version'], signal);
  stream.stdout.resume();
  await stream.ended;
  expect(leftWith(signal)).toBe(0);
});
