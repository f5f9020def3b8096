import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, symlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { acquireLock, engineLockName, stateLockName } from '../../src/record/lock.js';
import { temporaryFolder } from './fixtures.js';

const unique = (): string => `pointsman-test-${randomUUID()}`;

it('lets one in, tells the others who holds it, and lets the next one in after release', async () => {
  const name = unique();
  const lock = await acquireLock(name, '/var/lib/one');
  await expect(acquireLock(name, '/var/lib/two')).rejects.toMatchObject({
    code: 'AlreadyRunning',
    message: expect.stringContaining(`pid ${process.pid}, state directory /var/lib/one`) as string,
    detail: { pid: process.pid },
  });
  await lock.release();
  await (await acquireLock(name, '/var/lib/two')).release();
});

it('refuses also when the holder answers something else', async () => {
  const name = unique();
  const server = createServer((socket) => socket.end('hello'));
  await new Promise<void>((resolve) => server.listen(`\0${name}`, resolve));
  onTestFinished(() => void server.close());
  await expect(acquireLock(name, '/a')).rejects.toThrow(/^another controller runs already; stop it first/);
});

it('is let go by the kernel when its holder is killed', async () => {
  const name = unique();
  const code = `require('node:net').createServer().listen('\\0${name}', () => console.log('held'))`;
  const holder = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void holder.kill('SIGKILL'));
  await once(holder.stdout, 'data');
  await expect(acquireLock(name, '/a')).rejects.toMatchObject({ code: 'AlreadyRunning' });
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  await (await acquireLock(name, '/a')).release();
});

it('knows a state directory by what it is, not by its path', async () => {
  const folder = await temporaryFolder();
  await mkdir(join(folder, 'state'));
  await symlink(join(folder, 'state'), join(folder, 'other-way'));
  const name = await stateLockName(join(folder, 'state'));
  expect(await stateLockName(join(folder, 'other-way'))).toBe(name);
  expect(await stateLockName(folder)).not.toBe(name);
});

it('keeps lock names apart and short enough for a socket', () => {
  const id = Array.from({ length: 12 }, () => 'ABCD').join(':');
  expect(engineLockName(id, 'default')).toBe(`pointsman-${id}-default`);
  const long = ['a'.repeat(60), 'b'.repeat(60)].map((instance) => engineLockName(id, instance));
  expect(long[0]).not.toBe(long[1]);
  for (const name of long) expect(Buffer.byteLength(name)).toBeLessThanOrEqual(107);
});
