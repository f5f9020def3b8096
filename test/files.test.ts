import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { replaceFile } from '../src/files.js';

it.each([0o000, 0o077])('gives a new file its mode whatever the umask is: %i', async (umask) => {
  const folder = await mkdtemp(join(tmpdir(), 'pointsman-files-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const before = process.umask(umask);
  onTestFinished(() => void process.umask(before));
  for (const mode of [0o600, 0o640]) {
    await replaceFile(join(folder, 'a'), 'x', mode);
    expect((await stat(join(folder, 'a'))).mode & 0o777).toBe(mode);
  }
});
