import { createServer, type Server } from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock, type Clock } from '../../src/clock.js';
import { DockerRuntime } from '../../src/runtime/docker-runtime.js';
import { toEngineError } from '../../src/runtime/engine-errors.js';
import { containerSpec } from '../support/engine.js';
import { rejection } from '../support/waiting.js';

/*
 * A scripted engine: answers each path with the JSON or the behaviour of its script, 404 to all else.
 * For what the real engine cannot be made to do: miss its init binary, hang, break off.
 */
type Script = Readonly<Record<string, unknown>>;
let folder = '';
let server: Server;
let script: Script = {};
let requests: { path: string; body: string }[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pointsman-fake-engine-'));
  requests = [];
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const path = (request.url ?? '').split('?')[0] ?? '';
      requests.push({ path, body });
      const answer = script[path];
      if (answer === 'hang') return;
      if (answer === 'break off') {
        response.writeHead(200, { 'Content-Length': '100' });
        response.write('{"half":');
        setTimeout(() => response.destroy(), 10);
        return;
      }
      response.writeHead(answer === undefined ? 404 : 200, { 'Content-Type': 'application/json' });
      response.end(JSON.stringify(answer ?? { message: 'page not found' }));
    });
  });
  await new Promise<void>((resolve) => server.listen(join(folder, 'docker.sock'), resolve));
});

afterEach(async () => {
  vi.unstubAllEnvs();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(folder, { recursive: true, force: true });
});

/** A clock whose timers fire 1,000 times as fast. */
const hurried: Clock = { ...systemClock, timer: (ms, callback) => systemClock.timer(ms / 1000, callback) };

function runtime(clock: Clock = systemClock, prefix = ''): DockerRuntime {
  const docker = { socket: `${prefix}${join(folder, 'docker.sock')}`, addressPool: '10.213.0.0/16' };
  return new DockerRuntime({
    settings: { instance: 'default', docker },
    log: pino({ level: 'silent' }),
    clock,
  });
}

const network = {
  id: 'n',
  name: 'pointsman-shop',
  project: 'shop',
  subnet: '10.213.0.0/28',
  addresses: { blue: '10.213.0.2', green: '10.213.0.3' },
};
const spec = containerSpec('default', network, 'sha256:abc', null);

async function createdWith(info: object): Promise<{ HostConfig: { Init: boolean } }> {
  script = { '/info': info, '/containers/create': { Id: 'made' } };
  const one = runtime();
  expect(await one.create(spec)).toBe('made');
  await one.create(spec);
  expect(requests.filter(({ path }) => path === '/info')).toHaveLength(1);
  return JSON.parse(requests.at(-1)?.body ?? '') as { HostConfig: { Init: boolean } };
}

describe('the init process', () => {
  it('is used when the engine has one, asked once', async () => {
    expect(
      (await createdWith({ InitBinary: 'docker-init', InitCommit: { ID: 'de40ad0' } })).HostConfig.Init,
    ).toBe(true);
  });

  it('is left out when the engine cannot run it', async () => {
    expect(
      (await createdWith({ InitBinary: 'docker-init', InitCommit: { ID: 'N/A' } })).HostConfig.Init,
    ).toBe(false);
  });
});

describe('an engine', () => {
  it('that hangs is DockerUnavailable after a bounded time', async () => {
    script = { '/info': 'hang' };
    const error = await rejection(runtime(hurried).engine());
    expect(error.code).toBe('DockerUnavailable');
    expect(error.message).toContain('within 60 s');
  });

  it('that breaks off inside an answer is DockerUnavailable, not a wait for ever', async () => {
    script = { '/info': 'break off', '/events': 'break off', '/networks': [] };
    expect((await rejection(runtime(hurried).engine())).code).toBe('DockerUnavailable');
    const events = runtime().events(new AbortController().signal)[Symbol.asyncIterator]();
    expect((await rejection(events.next())).code).toBe('DockerUnavailable');
  });

  it('that refuses gives its reason and status', async () => {
    script = {};
    const error = await rejection(runtime().engine());
    expect(error.message).toBe('the docker engine could not describe itself: page not found');
    expect(error.detail).toEqual({ status: 404 });
  });

  it('that refuses at length, and with a password in an address, is quoted in brief and without it', () => {
    const message = `pull of https://user:s3cret@registry.example.com/v2/ failed: ${'x'.repeat(10_000)}`;
    const refusal = Object.assign(new Error(message), { statusCode: 500, json: { message } });
    const error = toEngineError('pull', '/s', refusal);
    expect(error.message).toContain('pull of https://registry.example.com/v2/ failed');
    expect(error.message).not.toContain('s3cret');
    expect(error.message.length).toBeLessThan(4_200);
  });

  it('is reached by unix:// as well, whatever DOCKER_HOST says', async () => {
    vi.stubEnv('DOCKER_HOST', 'tcp://127.0.0.1:1');
    script = { '/info': { ID: 'x', ServerVersion: '28.0.0', LiveRestoreEnabled: true } };
    expect(await runtime(systemClock, 'unix://').engine()).toEqual({
      id: 'x',
      version: '28.0.0',
      liveRestore: true,
      hasInit: true,
    });
  });
});

describe('a connection error', () => {
  it.each([
    ['ENOENT', /there is no docker socket at \/s; install and start the engine/],
    ['ECONNREFUSED', /nothing answers at the docker socket \/s; start the engine/],
    ['EACCES', /may not use the docker socket \/s; add it to the docker group \(usermod -aG docker \S+\)/],
    ['ECONNRESET', /the docker engine at \/s went away/],
  ])('%s says what to do', (code, message) => {
    const error = toEngineError('x', '/s', Object.assign(new Error(`connect ${code}`), { code }));
    expect(error.code).toBe('DockerUnavailable');
    expect(error.message).toMatch(message);
  });

  it('says that a file is no socket', () => {
    const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
    expect(toEngineError('x', '/etc/hostname', refused).message).toBe(
      '/etc/hostname is not a socket; set docker.socket to the socket of the engine',
    );
  });
});
