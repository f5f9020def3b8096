import { chmod, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SecretFiles } from '../../src/resolve/secrets.js';
import { rejection } from '../support/waiting.js';

let dir: string;
let secrets: SecretFiles;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'pointsman-secrets-'));
  await mkdir(join(dir, 'shop'));
  secrets = new SecretFiles(dir);
  await secrets.ensureKey(false);
});
afterEach(async () => rm(dir, { recursive: true, force: true }));

async function put(name: string, value: string, mode = 0o600): Promise<void> {
  await writeFile(join(dir, 'shop', name), value);
  await chmod(join(dir, 'shop', name), mode);
}

describe('SecretFiles', () => {
  it('reads values and drops one line end', async () => {
    await put('A', 'one\n');
    await put('B', 'two\n\n');
    expect((await secrets.read('shop', ['A', 'B'])).values).toEqual({ A: 'one', B: 'two\n' });
  });

  it('has a hash that changes with a value, not with the order of names', async () => {
    await put('A', 'one');
    await put('B', 'two');
    const { hash } = await secrets.read('shop', ['A', 'B']);
    expect((await secrets.read('shop', ['B', 'A'])).hash).toBe(hash);
    await put('B', 'three');
    expect((await secrets.read('shop', ['A', 'B'])).hash).not.toBe(hash);
  });

  it('tells names and values apart in its hash', async () => {
    await put('A', '1B2');
    const one = await secrets.read('shop', ['A']);
    await put('A', '1');
    await put('B', '2');
    const two = await secrets.read('shop', ['A', 'B']);
    expect(one.hash).not.toBe(two.hash);
  });

  it('needs no key and no file for a project without secrets', async () => {
    await rm(join(dir, '.key'));
    expect(await secrets.read('shop', [])).toEqual({ values: {}, hash: null });
  });

  it('makes its key once, for its owner alone', async () => {
    const key = await readFile(join(dir, '.key'), 'utf8');
    await secrets.ensureKey(false);
    expect(await readFile(join(dir, '.key'), 'utf8')).toBe(key);
    expect((await stat(join(dir, '.key'))).mode & 0o777).toBe(0o600);
  });

  it('makes its folder, for its owner alone', async () => {
    const made = join(dir, 'made');
    await new SecretFiles(made).ensureKey(false);
    expect((await stat(made)).mode & 0o777).toBe(0o700);
  });

  it.each<[string, () => Promise<unknown>, RegExp]>([
    [
      'that others can read',
      () => chmod(join(dir, '.key'), 0o644),
      /has mode 644, others can read it: chmod 600/,
    ],
    [
      'that is a folder',
      async () => {
        await rm(join(dir, '.key'));
        await mkdir(join(dir, '.key'));
      },
      /not a plain file/,
    ],
  ])('refuses a key %s, and makes no other', async (_, prepare, message) => {
    await put('A', 'one');
    await prepare();
    for (const use of [() => secrets.ensureKey(false), () => secrets.read('shop', ['A'])]) {
      const error = await rejection(use());
      expect(error.code).toBe('SecretUnreadable');
      expect(error.message).toMatch(message);
    }
  });

  it('makes no new key while containers with secrets exist', async () => {
    await rm(join(dir, '.key'));
    expect(await rejection(secrets.ensureKey(true))).toMatchObject({ code: 'SecretKeyMissing' });
    expect(await rejection(secrets.read('shop', ['A']))).toMatchObject({ code: 'SecretKeyMissing' });
  });

  it('makes one key for all who need it at the same time', async () => {
    await rm(join(dir, '.key'));
    await put('A', 'one');
    const hashes = await Promise.all(
      [1, 2, 3, 4].map(async () => {
        await secrets.ensureKey(false);
        return (await secrets.read('shop', ['A'])).hash;
      }),
    );
    expect(new Set(hashes).size).toBe(1);
    expect((await secrets.read('shop', ['A'])).hash).toBe(hashes[0]);
  });

  it.each<[string, () => Promise<unknown>, string, RegExp]>([
    ['a missing file', async () => undefined, 'SecretMissing', /put its value there/],
    ['a file that others can read', () => put('A', 'x', 0o640), 'SecretUnreadable', /chmod 600/],
    [
      'a symbolic link',
      () => symlink('/etc/hostname', join(dir, 'shop', 'A')),
      'SecretUnreadable',
      /plain file/,
    ],
    ['a folder', () => mkdir(join(dir, 'shop', 'A')), 'SecretUnreadable', /plain file/],
    ['an empty file, as one that is being written', () => put('A', '\n'), 'SecretUnreadable', /is empty/],
    ['a NUL byte', () => put('A', 'x\0y'), 'SecretUnreadable', /NUL/],
    ['a file that fits no environment', () => put('A', 'x'.repeat(65_537)), 'SecretUnreadable', /65536/],
  ])('refuses %s', async (_, prepare, code, message) => {
    await prepare();
    const error = await rejection(secrets.read('shop', ['A']));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });
});
