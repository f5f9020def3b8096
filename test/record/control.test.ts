import { once } from 'node:events';
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { sendControl, serveControl } from '../../src/record/control.js';
import type { ControlHandlers, ControlReply } from '../../src/record/control.js';
import { temporaryFolder } from './fixtures.js';

function recording(): { readonly calls: unknown[]; readonly handlers: ControlHandlers } {
  const calls: unknown[] = [];
  const note =
    (kind: string, reply: ControlReply) =>
    (argument?: string): Promise<ControlReply> => {
      calls.push(argument === undefined ? [kind] : [kind, argument]);
      return Promise.resolve(reply);
    };
  const handlers = {
    sync: note('sync', { ok: true, message: 'looking' }),
    health: note('health', { ok: true, message: 'status is written' }),
    retry: note('retry', { ok: true, message: 'trying again' }),
    prune: note('prune', { ok: false, message: 'nothing is held' }),
  };
  return { calls, handlers };
}

async function served(handlers: ControlHandlers): Promise<string> {
  const stateDir = await temporaryFolder();
  const server = await serveControl(stateDir, handlers);
  onTestFinished(() => server.close());
  return stateDir;
}

/** What the server answers to any bytes: status and body. */
async function raw(
  stateDir: string,
  path: string,
  body: string,
  method = 'POST',
): Promise<[number, { message: string }]> {
  const sent = request({ socketPath: join(stateDir, 'control.sock'), path, method, agent: false });
  sent.end(body);
  const [message] = (await once(sent, 'response')) as [import('node:http').IncomingMessage];
  const text = (await message.toArray()).join('');
  return [message.statusCode ?? 0, JSON.parse(text) as { message: string }];
}

describe('a controller that runs', () => {
  it('hears each request and answers it', async () => {
    const { calls, handlers } = recording();
    const stateDir = await served(handlers);
    expect(await sendControl(stateDir, { kind: 'sync' })).toEqual({ ok: true, message: 'looking' });
    expect(await sendControl(stateDir, { kind: 'health' })).toEqual({
      ok: true,
      message: 'status is written',
    });
    expect(await sendControl(stateDir, { kind: 'retry', project: 'shop' })).toEqual({
      ok: true,
      message: 'trying again',
    });
    expect(await sendControl(stateDir, { kind: 'prune', commit: 'abcdef1' })).toEqual({
      ok: false,
      message: 'nothing is held',
    });
    expect(calls).toEqual([['sync'], ['health'], ['retry', 'shop'], ['prune', 'abcdef1']]);
  });

  it('lets nobody else use its socket, and leaves none behind', async () => {
    const stateDir = await temporaryFolder();
    const server = await serveControl(stateDir, recording().handlers);
    expect(((await stat(join(stateDir, 'control.sock'))).mode & 0o777).toString(8)).toBe('600');
    expect(await readdir(stateDir)).toEqual(['control.sock']);
    await server.close();
    expect(await readdir(stateDir)).toEqual([]);
  });

  it.each([
    ['/retry', '{"project":"../x"}', 'POST', 400, 'is not the name of a project'],
    ['/retry', '{}', 'POST', 400, 'is not the name of a project'],
    ['/prune', '{"commit":"HEAD"}', 'POST', 400, '7 to 64 hex digits'],
    ['/prune', 'null', 'POST', 400, '7 to 64 hex digits'],
    ['/sync', 'no json', 'POST', 400, 'not JSON'],
    ['/stop', '{}', 'POST', 400, 'known are /sync, /health, /retry and /prune'],
    ['/sync', 'x'.repeat(20_000), 'POST', 413, 'longer than'],
    ['/sync', '', 'PUT', 405, 'only POST'],
  ])('refuses %s with %s', async (path, body, method, status, why) => {
    const { calls, handlers } = recording();
    const stateDir = await served(handlers);
    const [got, { message }] = await raw(stateDir, path, body, method);
    expect([got, message.includes(why)]).toEqual([status, true]);
    expect(calls).toEqual([]);
  });

  it('says so when it fails at a request, and hears the next one', async () => {
    const { handlers } = recording();
    const stateDir = await served({
      ...handlers,
      sync: () => Promise.reject(new Error('boom at https://a:b@c/')),
    });
    expect(await sendControl(stateDir, { kind: 'sync' })).toEqual({
      ok: false,
      message: 'boom at https://c/',
    });
    expect(await sendControl(stateDir, { kind: 'retry', project: 'shop' })).toMatchObject({ ok: true });
  });

  it('is not replaced by a second one', async () => {
    const stateDir = await served(recording().handlers);
    await expect(serveControl(stateDir, recording().handlers)).rejects.toMatchObject({
      code: 'AlreadyRunning',
    });
    expect(await sendControl(stateDir, { kind: 'sync' })).toMatchObject({ ok: true });
  });
});

describe('no controller that runs', () => {
  it('is said with the mend', async () => {
    const stateDir = await temporaryFolder();
    await expect(sendControl(stateDir, { kind: 'sync' })).rejects.toMatchObject({
      code: 'NotRunning',
      message: `no controller runs on ${stateDir}; start one with "pointsman run", or name its settings with --config`,
    });
  });

  it('is found out from a socket that nobody listens on, which the next controller replaces', async () => {
    const stateDir = await temporaryFolder();
    // As a killed controller leaves it: closing would unlink the name it was bound to.
    const dead = createServer();
    await new Promise<void>((resolve) => dead.listen(join(stateDir, 'bound.sock'), resolve));
    const { rename } = await import('node:fs/promises');
    await rename(join(stateDir, 'bound.sock'), join(stateDir, 'control.sock'));
    await new Promise((resolve) => dead.close(resolve));
    await expect(sendControl(stateDir, { kind: 'sync' })).rejects.toMatchObject({ code: 'NotRunning' });
    const server = await serveControl(stateDir, recording().handlers);
    expect(await sendControl(stateDir, { kind: 'sync' })).toMatchObject({ ok: true });
    await server.close();
  });

  it('also when a plain file stands there', async () => {
    const stateDir = await temporaryFolder();
    await writeFile(join(stateDir, 'control.sock'), '');
    await expect(sendControl(stateDir, { kind: 'sync' })).rejects.toMatchObject({ code: 'NotRunning' });
  });
});

it('does not wait without end for a controller that hangs', async () => {
  const stateDir = await served({ ...recording().handlers, sync: () => new Promise(() => undefined) });
  await expect(sendControl(stateDir, { kind: 'sync' }, { timeoutMs: 50 })).rejects.toMatchObject({
    code: 'NotRunning',
    message: expect.stringContaining('does not answer in time') as string,
  });
});

it('stops asking when it is interrupted', async () => {
  const stateDir = await served({ ...recording().handlers, sync: () => new Promise(() => undefined) });
  const interrupt = new AbortController();
  const asking = sendControl(stateDir, { kind: 'sync' }, { signal: interrupt.signal });
  interrupt.abort(new Error('interrupted'));
  await expect(asking).rejects.toThrow('interrupted');
});

it('names the state directory that is too long for a socket', async () => {
  const folder = await temporaryFolder();
  const long = join(folder, 'x'.repeat(100));
  await mkdir(long);
  await expect(serveControl(long, recording().handlers)).rejects.toMatchObject({ code: 'SettingsInvalid' });
  await rm(long, { recursive: true });
});
