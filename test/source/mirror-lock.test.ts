import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { withLock } from '../../src/source/mirror-lock.js';

const signal = new AbortController().signal;
const options = { what: 'the test', waitMs: 10_000, signal };
const newName = (): string => `pointsman-test-${randomBytes(8).toString('hex')}`;

describe('withLock', () => {
  it('lets one in at a time', async () => {
    const name = newName();
    let inside = 0;
    let most = 0;
    await Promise.all(
      Array.from({ length: 20 }, () =>
        withLock(name, options, async () => {
          inside += 1;
          most = Math.max(most, inside);
          await new Promise((resolve) => setImmediate(resolve));
          inside -= 1;
        }),
      ),
    );
    expect(most).toBe(1);
  });

  it('lets the next one in after a failure', async () => {
    const name = newName();
    await expect(withLock(name, options, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await withLock(name, options, async () => 'in')).toBe('in');
  });

  it('gives up waiting at its bound and at an abort', async () => {
    const name = newName();
    await withLock(name, options, async () => {
      await expect(withLock(name, { ...options, waitMs: 50 }, async () => 0)).rejects.toMatchObject({
        code: 'SourceUnreachable',
      });
      const aborter = new AbortController();
      const waiting = withLock(name, { ...options, signal: aborter.signal }, async () => 0);
      const reason = new Error('stop');
      aborter.abort(reason);
      await expect(waiting).rejects.toBe(reason);
    });
  });

  it('is free again when the process that held it is killed', async () => {
    const name = newName();
    const script = `require('net').createServer(() => {}).listen({ path: '\\0' + process.argv[1] }, () => console.log('held'))`;
    const holder = spawn(process.execPath, ['-e', script, name], { stdio: ['ignore', 'pipe', 'ignore'] });
    await once(holder.stdout, 'data');
    let isIn = false;
    const waiting = withLock(name, options, async () => (isIn = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(isIn).toBe(false);
    holder.kill('SIGKILL');
    expect(await waiting).toBe(true);
  });
});
