import { execFileSync } from 'node:child_process';
import { mkdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { readBounded, replaceFile } from '../src/files.js';
import { temporaryFolder } from './record/fixtures.js';

it.each([0o000, 0o077])('gives a new file its mode whatever the umask is: %i', async (umask) => {
  const folder = await temporaryFolder();
  const before = process.umask(umask);
  onTestFinished(() => void process.umask(before));
  for (const mode of [0o600, 0o640]) {
    await replaceFile(join(folder, 'a'), 'x', mode);
    expect((await stat(join(folder, 'a'))).mode & 0o777).toBe(mode);
  }
});

it('reads no more than it is told, and waits for no pipe', async () => {
  const folder = await temporaryFolder();
  const at = (name: string): string => join(folder, name);
  await writeFile(at('plain'), 'abcdef');
  await symlink('plain', at('link'));
  await symlink('/dev/zero', at('endless'));
  await mkdir(at('folder'));
  execFileSync('mkfifo', [at('pipe')]);
  const read = async (name: string, followLinks: boolean): Promise<string> =>
    Buffer.from(await readBounded(at(name), 4, { followLinks })).toString();
  expect(await read('plain', false)).toBe('abcd');
  expect(await read('link', true)).toBe('abcd');
  await expect(read('link', false)).rejects.toMatchObject({ code: 'ELOOP' });
  for (const name of ['folder', 'pipe', 'endless'])
    await expect(read(name, true)).rejects.toThrow('not a regular file');
});
