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
  // It asks for a sign-in, so that whoever would give credentials away does.
  elsewhere = createServer((request, response) => {
    overheard.push(JSON.stringify(request.headers), request.url ?? '');
    response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
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

/** The other host was asked, and credentials, however they are written, stayed here. */
function expectNothingTold(): void {
  expect(overheard.length).toBeGreaterThan(0);
  for (const told of overheard) {
    expect(told.toLowerCase()).not.toContain('authorization');
    for (const before of ['', 'x', 'xx']) {
      // Whatever stands before it, the middle of its base64 is one of three.
      const encoded = Buffer.from(`${before}${token}`).toString('base64').slice(4, -4);
      expect(told).not.toContain(encoded);
    }
    expect(told).not.toContain(token);
  }
}

it('serves on and says why, whatever the server answers, and follows it again when it is well', async () => {
  const { port } = elsewhere.address() as AddressInfo;
  const other = `http://127.0.0.1:${port}`;
  const redirected = new RegExp(
    `redirects to ${other}, which wants a sign-in and is not given the credential`,
  );
  // git names the first host alone where the redirect comes after the login.
  const refused = /refused access; check the token in .*\(it is not sent where a redirect leads\)/;
  const faults: readonly { readonly break: () => void; readonly says: RegExp; readonly asks?: true }[] = [
    { break: () => (server.token = 'another'), says: /check the token in .*credentials\/token/ },
    { break: () => (server.answer = { status: 403 }), says: /refused access \(403\); check the token/ },
    { break: () => (server.answer = { status: 404 }), says: /no such repository; check the address/ },
    { break: () => (server.answer = { status: 500 }), says: /the server answered 500; look at its log/ },
    {
      break: () => (server.truncateAt = 200),
      says: /the connection failed; check the server and the network/,
    },
    { break: () => (server.answer = { status: 302, location: other }), says: redirected, asks: true },
    { break: () => (server.redirectAfterLogin = other), says: refused, asks: true },
  ];
  for (const [round, fault] of faults.entries()) {
    overheard.length = 0;
    // Not in the midst of a look, of which a part would be answered well: one has just ended.
    const attempt = (await controller.status())?.source.lastAttemptAt;
    await controller.waitFor(
      'it has looked',
      ({ status }) => status !== null && status.source.lastAttemptAt !== attempt,
    );
    const before = server.requests.length;
    fault.break();
    const env = { ROUND: `${round + 1}` };
    const configCommit = await scenario.commitManifest(shop, null, {
      source: { repo: join(scenario.folder, 'applications', 'shop') },
      run: { env },
    });
    const error = await controller.waitFor('status names the fault', ({ status }) => status?.source.error);
    if (fault.asks === true) expectNothingTold();
    else expect(overheard).toEqual([]);
    expect(error).toMatch(fault.says);
    expect(error).not.toContain(token);
    // The listing came through: it is the pack that was cut.
    if (server.truncateAt !== null)
      expect(server.requests.slice(before).filter(({ method }) => method === 'POST').length).toBeGreaterThan(
        1,
      );
    // After the login there was something to give away.
    if (server.redirectAfterLogin !== null)
      expect(server.requests.slice(before).some(({ authorization }) => authorization !== null)).toBe(true);
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
  await controller.waitIdle({ configCommit });
  await account('git server silent', 1, client);
  await invariants.end(controller);
}, 600_000);
