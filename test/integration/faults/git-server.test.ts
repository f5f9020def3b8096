/** The server of the config repository misbehaves; what runs goes on, and status says what is wrong. */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Client } from '../../support/client.js';
import type { Controller } from '../../support/controller.js';
import { startGitHttp, type GitHttpServer } from '../../support/git.js';
import { createScenario, type Scenario } from '../../support/scenario.js';
import { Invariants } from './invariants.js';
import { account } from './report.js';

const token = 'canary-4f7a1c';

let scenario: Scenario;
let server: GitHttpServer;
let elsewhere: Server;
/** What another host was told. */
const overheard: string[] = [];
let shop: string;
let controller: Controller;
let client: Client;
let invariants: Invariants;

beforeEach(async () => {
  scenario = await createScenario();
  server = await startGitHttp(scenario.folder, { token });
  overheard.length = 0;
  elsewhere = createServer((request, response) => {
    overheard.push(JSON.stringify(request.headers), request.url ?? '');
    response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', () => resolve()));
  await mkdir(join(scenario.folder, 'credentials'), { mode: 0o700 });
  const tokenFile = join(scenario.folder, 'credentials', 'token');
  await writeFile(tokenFile, `${token}\n`, { mode: 0o600 });
  await chmod(tokenFile, 0o600);
  await scenario.writeSettings({
    configRepo: { url: `${server.url}/config/.git`, interval: '1s', tokenFile },
  });
  shop = scenario.name('shop');
  const application = await scenario.application('shop');
  invariants = await Invariants.watch(scenario, { [shop]: application });
  await scenario.commitManifest(shop, application, { run: { env: { ROUND: '0' } } });
  controller = scenario.start();
  await controller.waitLive(shop);
  client = scenario.client(shop, 'v1');
});

afterEach(async () => {
  await scenario.stopAll();
  await invariants.close();
  await server.close();
  await new Promise((resolve) => elsewhere.close(resolve));
  await scenario.cleanup();
});

/** The other host was asked, and credentials and their name stayed here. */
function expectNothingTold(): void {
  const encoded = Buffer.from(`:${token}`).toString('base64').slice(2, -2);
  expect(overheard.length).toBeGreaterThan(0);
  for (const told of overheard) {
    expect(told).not.toContain(token);
    expect(told).not.toContain(encoded);
    expect(told.toLowerCase()).not.toContain('authorization');
  }
}

it('serves on and says why, whatever the server answers, and follows it again when it is well', async () => {
  const { port } = elsewhere.address() as AddressInfo;
  const faults: readonly { readonly break: () => void; readonly says: RegExp; readonly asks?: true }[] = [
    { break: () => (server.token = 'another'), says: /token|sign|credential|401/i },
    { break: () => (server.answer = { status: 403 }), says: /403|refus|permission|access/i },
    { break: () => (server.answer = { status: 404 }), says: /no such repository/i },
    { break: () => (server.answer = { status: 500 }), says: /connection failed|500/i },
    { break: () => (server.truncateAt = 200), says: /connection failed|cannot reach/i },
    {
      break: () => (server.answer = { status: 302, location: `http://127.0.0.1:${port}` }),
      says: /redirect|connection failed|no such repository/i,
      asks: true,
    },
    {
      break: () => (server.redirectAfterLogin = `http://127.0.0.1:${port}`),
      says: /redirect|connection failed|no such repository/i,
      asks: true,
    },
  ];
  for (const [round, fault] of faults.entries()) {
    overheard.length = 0;
    fault.break();
    const env = { ROUND: `${round + 1}` };
    const configCommit = await scenario.commitManifest(shop, null, {
      source: { repo: join(scenario.folder, 'applications', 'shop') },
      run: { env },
    });
    const error = await controller.waitFor('status names the fault', ({ status }) => status?.source.error);
    expect(error).toMatch(fault.says);
    expect(error).not.toContain(token);
    if (fault.asks === true) expectNothingTold();
    else expect(overheard).toEqual([]);
    expect((await controller.project(shop))?.state).toBe('live');
    server.answer = null;
    server.truncateAt = null;
    server.redirectAfterLogin = null;
    server.token = token;
    await controller.waitLive(shop, { configCommit });
    expect((await controller.waitIdle({ configCommit })).source.error).toBeNull();
  }
  await account('git server', faults.length, client);
  await invariants.end(controller);
}, 600_000);

it('gives up on a server that accepts and never says anything, and serves on', async () => {
  server.answer = 'hang';
  const error = await controller.waitFor('status names the fault', ({ status }) => status?.source.error);
  expect(error).toMatch(/no answer within|timed out/i);
  server.answer = null;
  const configCommit = await scenario.commitManifest(shop, null, {
    source: { repo: join(scenario.folder, 'applications', 'shop') },
    run: { env: { ROUND: 'again' } },
  });
  await controller.waitLive(shop, { configCommit });
  await account('git server silent', 1, client);
  await invariants.end(controller);
}, 600_000);
