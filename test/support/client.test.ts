import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { digestOf, startClient, type Client, type ClientOptions } from './client.js';

type Misbehaviour = (request: IncomingMessage, response: ServerResponse, body: string) => void;

let server: Server | undefined;
let client: Client | undefined;

afterEach(async () => {
  await client?.stop();
  client = undefined;
  server?.closeAllConnections();
  await new Promise((resolve) => (server === undefined ? resolve(null) : server.close(resolve)));
  server = undefined;
});

function answer(response: ServerResponse, version: string, body: string): void {
  response.end(JSON.stringify({ version, digest: digestOf(body) }));
}

/** A server with one behaviour for every request, and a client on it. */
async function start(behave: Misbehaviour, options: Partial<ClientOptions> = {}): Promise<Client> {
  server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
    request.on('end', () => behave(request, response, body));
  });
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  client = startClient({ port, host: 'shop.localhost', version: 'v1', requestsPerSecond: 400, ...options });
  return client;
}

async function answered(from: Client, atLeast: number): Promise<void> {
  await vi.waitFor(
    () => {
      const { ok, failed, wrong } = from.counts();
      expect(ok + failed + wrong).toBeGreaterThanOrEqual(atLeast);
    },
    { timeout: 30_000, interval: 5 },
  );
}

describe('the continuous client', () => {
  it('counts every answer as good when nothing is lost or wrong', async () => {
    const seen = { methods: new Set<string>(), connections: new Set<string>(), hosts: new Set<string>() };
    const started = await start((request, response, body) => {
      seen.methods.add(request.method ?? '');
      seen.connections.add(request.headers.connection ?? '');
      seen.hosts.add(request.headers.host ?? '');
      answer(response, 'v1', body);
    });
    await answered(started, 40);
    const counts = await started.stop();
    expect(counts).toMatchObject({
      ok: counts.sent,
      failed: 0,
      wrong: 0,
      reasons: {},
      versions: { v1: counts.sent },
    });
    expect([...seen.methods].sort()).toEqual(['GET', 'POST']);
    expect([...seen.connections].sort()).toEqual(['close', 'keep-alive']);
    expect([...seen.hosts]).toEqual(['shop.localhost']);
  });

  it('notices one lost connection among many requests', async () => {
    let requests = 0;
    const started = await start((request, response, body) => {
      requests += 1;
      if (requests === 21) request.socket.destroy();
      else answer(response, 'v1', body);
    });
    await answered(started, 60);
    const counts = await started.stop();
    expect(counts).toMatchObject({ ok: counts.sent - 1, failed: 1, wrong: 0 });
    expect(Object.keys(counts.reasons)).toEqual([expect.stringContaining('ECONNRESET')]);
  });

  it('notices an answer that breaks off in its middle', async () => {
    let requests = 0;
    const started = await start((request, response, body) => {
      requests += 1;
      if (requests !== 10) return answer(response, 'v1', body);
      response.writeHead(200, { 'content-length': '500' });
      response.write('{"version":', () => request.socket.destroy());
    });
    await answered(started, 30);
    expect(await started.stop()).toMatchObject({ failed: 1, wrong: 0 });
  });

  it('notices a status other than 200', async () => {
    let requests = 0;
    const started = await start((_request, response, body) => {
      requests += 1;
      if (requests === 7) response.statusCode = 502;
      answer(response, 'v1', body);
    });
    await answered(started, 30);
    const counts = await started.stop();
    expect(counts.failed).toBe(1);
    expect(Object.keys(counts.reasons)[0]).toMatch(/: status 502$/);
  });

  it('counts an answer that never comes as lost', async () => {
    let requests = 0;
    const started = await start(
      (_request, response, body) => {
        requests += 1;
        if (requests !== 5) answer(response, 'v1', body);
      },
      { timeoutMs: 3_000 },
    );
    await answered(started, 20);
    expect(await started.stop()).toMatchObject({ failed: 1, wrong: 0 });
  });

  it('notices an answer to the body of another request', async () => {
    let posts = 0;
    const started = await start((request, response, body) => {
      if (request.method === 'POST') posts += 1;
      answer(response, 'v1', posts === 3 && request.method === 'POST' ? 'somebody else' : body);
    });
    await answered(started, 30);
    const counts = await started.stop();
    expect(counts).toMatchObject({ failed: 0, wrong: 1 });
    expect(Object.keys(counts.reasons)[0]).toContain('another body');
  });

  it('counts an answer of a version that nobody announced as wrong', async () => {
    let requests = 0;
    const started = await start((_request, response, body) => {
      requests += 1;
      answer(response, requests === 12 ? 'v2' : 'v1', body);
    });
    await answered(started, 30);
    expect(await started.stop()).toMatchObject({ failed: 0, wrong: 1 });
  });

  it('takes either version during a change, and the new one alone once it is acknowledged', async () => {
    let version = 'v1';
    const started = await start((_request, response, body) => answer(response, version, body));
    await answered(started, 20);
    started.expect({ from: 'v1', to: 'v2' });
    await answered(started, 40);
    version = 'v2';
    await answered(started, started.counts().sent + 8);
    started.acknowledged('v2');
    await answered(started, started.counts().sent + 20);
    const before = await started.stop();
    expect(before).toMatchObject({ failed: 0, wrong: 0 });
    expect(before.versions['v1']).toBeGreaterThan(0);
    expect(before.versions['v2']).toBeGreaterThan(0);
  });

  it('takes the new version for requests that were in flight when the change began', async () => {
    const held: (() => void)[] = [];
    let version = 'v1';
    const started = await start((_request, response, body) => {
      held.push(() => answer(response, version, body));
    });
    await vi.waitFor(() => expect(held.length).toBeGreaterThan(8), { timeout: 30_000, interval: 5 });
    started.expect({ from: 'v1', to: 'v2' });
    version = 'v2';
    const stopped = started.stop();
    const release = setInterval(() => held.splice(0).forEach((each) => each()), 5);
    const counts = await stopped;
    clearInterval(release);
    expect(counts).toMatchObject({ failed: 0, wrong: 0 });
    expect(counts.versions['v2']).toBeGreaterThan(8);
  });

  it('counts old answers to requests that were started after the acknowledgement as wrong', async () => {
    const started = await start((_request, response, body) => answer(response, 'v1', body));
    started.expect({ from: 'v1', to: 'v2' });
    await answered(started, 20);
    started.acknowledged('v2');
    await answered(started, started.counts().sent + 20);
    const counts = await started.stop();
    expect(counts.wrong).toBeGreaterThanOrEqual(16);
    expect(Object.keys(counts.reasons)[0]).toMatch(/v1 answered, not v2$/);
  });

  it('counts an old answer after the first new one as wrong', async () => {
    let requests = 0;
    const started = await start((_request, response, body) => {
      requests += 1;
      answer(response, requests === 21 ? 'v2' : 'v1', body);
    });
    started.expect({ from: 'v1', to: 'v2' });
    await answered(started, 60);
    expect((await started.stop()).wrong).toBeGreaterThan(0);
  });

  it('takes versions in any order where that was allowed', async () => {
    let requests = 0;
    const started = await start((_request, response, body) => {
      requests += 1;
      answer(response, requests % 3 === 0 ? 'v2' : 'v1', body);
    });
    started.allow('v1', 'v2');
    await answered(started, 60);
    expect(await started.stop()).toMatchObject({ failed: 0, wrong: 0 });
  });

  it('does not heap up requests on a server that hangs', async () => {
    const started = await start(() => undefined, { requestsPerSecond: 4000, timeoutMs: 800 });
    await vi.waitFor(() => expect(started.counts().skippedRounds).toBeGreaterThan(0), { timeout: 30_000 });
    const { sent, failed, ok, wrong } = started.counts();
    expect(sent - failed - ok - wrong).toBeLessThanOrEqual(256);
    const counts = await started.stop();
    expect(counts.failed).toBe(counts.sent);
  });
});
