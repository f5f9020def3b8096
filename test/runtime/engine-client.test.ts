import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { EngineClient } from '../../src/runtime/engine-client.js';
import { ManualClock } from '../support/manual-clock.js';

/** An engine that answers everything with `[]`, and a client of it. */
let folder: string;
let server: Server;
let client: EngineClient;
const sockets: Socket[] = [];
/** Connections that the next requests on them find broken. */
const broken = new Set<Socket>();
let requests = 0;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pointsman engine '));
  requests = 0;
  server = createServer((request, response) => {
    requests += 1;
    if (broken.has(request.socket)) request.socket.destroy();
    else response.setHeader('content-type', 'application/json').end('[]');
  });
  server.on('connection', (socket) => sockets.push(socket));
  server.listen(join(folder, 'engine.sock'));
  await once(server, 'listening');
  client = new EngineClient(join(folder, 'engine.sock'), new ManualClock());
});
afterEach(async () => {
  server.close();
  server.closeAllConnections();
  sockets.length = 0;
  broken.clear();
  await rm(folder, { recursive: true });
});

const read = (): Promise<unknown> => client.read('list', (docker) => docker.listContainers());
const change = (): Promise<unknown> => client.call('change', (docker) => docker.pruneContainers());

it('reads over one connection, and changes over one of its own each time', async () => {
  for (let time = 0; time < 3; time += 1) expect(await read()).toEqual([]);
  expect(sockets).toHaveLength(1);
  for (let time = 0; time < 3; time += 1) await change();
  expect(sockets).toHaveLength(4);
});

it('reads again over a new connection when the kept one breaks', async () => {
  await read();
  broken.add(sockets[0] as Socket);
  expect(await read()).toEqual([]);
  expect([requests, sockets.length]).toEqual([3, 2]);
});

it('keeps no connection that the engine closed', async () => {
  await read();
  const closed = once(sockets[0] as Socket, 'close');
  server.closeIdleConnections();
  await closed;
  expect(await read()).toEqual([]);
  expect(sockets).toHaveLength(2);
});

it('tells that the engine is gone, and does not change anything twice', async () => {
  await read();
  server.on('connection', (socket) => broken.add(socket));
  for (const socket of sockets) broken.add(socket);
  await expect(read()).rejects.toMatchObject({ code: 'DockerUnavailable' });
  requests = 0;
  await expect(change()).rejects.toMatchObject({ code: 'DockerUnavailable' });
  expect(requests).toBe(1);
});
