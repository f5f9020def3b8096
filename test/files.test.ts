import { execFileSync } from 'node:child_process';
import { mkdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { bytesAtOnce, makeFolder, readBounded, replaceFile, textAtOnce } from '../src/files.js';
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

it('reads a file at once, and tells one that is not there from one that cannot be read', async () => {
  const folder = await temporaryFolder();
  await writeFile(join(folder, 'a'), 'äb');
  expect(textAtOnce(join(folder, 'a'))).toBe('äb');
  expect(textAtOnce(join(folder, 'b'))).toBeNull();
  expect(textAtOnce(join(folder, 'a', 'b'))).toBeNull();
  expect(bytesAtOnce(join(folder, 'a'), 3)).toEqual(Buffer.from('äb'));
  expect(() => bytesAtOnce(join(folder, 'a'), 2)).toThrow('has more than 2 bytes');
  execFileSync('mkfifo', [join(folder, 'pipe')]);
  for (const path of [folder, join(folder, 'pipe'), '/dev/zero'])
    expect(() => textAtOnce(path)).toThrow(`${path} is not a regular file`);
});

it('makes a folder and those above it, each with the mode', async () => {
  const folder = await temporaryFolder();
  const path = join(folder, 'a', 'b');
  await Promise.all([makeFolder(path, 0o711), makeFolder(path, 0o711)]);
  for (const each of [join(folder, 'a'), path]) expect((await stat(each)).mode & 0o777).toBe(0o711);
  await makeFolder(path);
});

it('makes a folder that others make at the same time', async () => {
  const folder = await temporaryFolder();
  for (let round = 0; round < 200; round += 1) {
    const path = join(folder, String(round), 'a', 'b');
    await Promise.all(Array.from({ length: 16 }, () => makeFolder(path)));
  }
});

it('says why there can be no folder', async () => {
  const folder = await temporaryFolder();
  const at = (name: string): string => join(folder, name);
  await writeFile(at('file'), '');
  await symlink(at('nothing'), at('link'));
  for (const [path, why] of [
    [at('file'), `${at('file')} is not a folder`],
    [at('file/a/b'), `${at('file')} is not a folder`],
    [at('link'), `${at('link')} is a link to what is not there`],
    [at('link/a'), `${at('link')} is a link to what is not there`],
  ] as const)
    await expect(makeFolder(path)).rejects.toThrow(why);
});

it('ends where the file system makes no folder', async () => {
  // Whoever is not root may not even try.
  await expect(makeFolder('/proc/foo/bar')).rejects.toThrow(
    /^(no folder can be made in \/proc|\/proc may not be written to by this user)$/,
  );
});
