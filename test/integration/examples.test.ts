import { once } from 'node:events';
import { readFile, readdir } from 'node:fs/promises';
import { request, type ClientRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Repository } from '../support/application.js';
import type { Controller } from '../support/controller.js';
import { contextOf, engine } from '../support/engine.js';
import { git, makeRepository } from '../support/git.js';
import { createScenario, type Scenario } from '../support/scenario.js';

const examples = fileURLToPath(new URL('../../examples/', import.meta.url));
const manifests = ['minimal', 'full', 'several'] as const;
/** What stands in the manifests, and is none of ours on a machine with a registry. */
const releasedImage = 'registry.example.com/acme/hello:1';

let scenario: Scenario;
let controller: Controller;

async function filesOf(folder: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const name of await readdir(folder)) {
    // No registry is needed: the base image is the one that tests make.
    files[name] = (await readFile(`${folder}/${name}`, 'utf8')).replace('node:22-slim', 'node:base');
  }
  return files;
}

/** An example manifest with this machine's repositories, and names that nobody else on the engine has. */
async function localManifest(file: string): Promise<string> {
  const text = await readFile(`${examples}config/projects/${file}.yaml`, 'utf8');
  return text
    .replaceAll(/https:\/\/git\.example\.com\/acme\/([a-z]+)\.git/g, `${scenario.folder}/$1`)
    .replaceAll('node:22-slim', 'node:base')
    .replaceAll(releasedImage, `${scenario.name('released')}:1`)
    .replaceAll(/^name: (\S+)$/gm, (_line, name: string) => `name: ${scenario.name(name)}`);
}

beforeAll(async () => {
  scenario = await createScenario();
  for (const name of ['hello', 'board']) {
    const repository = new Repository(await makeRepository(`${scenario.folder}/${name}`));
    await repository.commit(await filesOf(`${examples}${name}`));
    await git(repository.path, 'branch', 'staging');
  }
  const building = await engine.buildImage(contextOf(await filesOf(`${examples}hello`)), {
    t: `${scenario.name('released')}:1`,
  });
  await new Promise((resolve, reject) => {
    engine.modem.followProgress(building, (error) => (error === null ? resolve(null) : reject(error)));
  });
  const projects: Record<string, string> = {};
  for (const file of manifests) projects[`projects/${file}.yaml`] = await localManifest(file);
  await scenario.config.commit(projects);
  controller = scenario.start();
});

afterAll(async () => {
  await engine.getImage(`${scenario.name('released')}:1`).remove({ force: true });
  await scenario.cleanup();
});

describe('the examples', () => {
  it('are valid as they stand', async () => {
    const { code, stdout } = await scenario.pointsman('validate', `${examples}config/projects`);
    expect(stdout).not.toMatch(/error/i);
    expect(code).toBe(0);
  });

  it('all become live', async () => {
    for (const name of ['hello', 'hello-staging', 'hello-de', 'hello-released', 'board']) {
      await controller.waitLive(scenario.name(name));
    }
    const page = await scenario.get(`${scenario.name('hello')}.localhost`);
    expect(page.status).toBe(200);
    expect(page.body).toContain('<h1>1</h1>');
    expect((await scenario.get('hallo.localhost')).body).toContain('Guten Tag');
    const staging = await scenario.get(`${scenario.name('hello-staging')}.localhost`);
    expect(staging.body).toContain('Hello from staging');
  });

  it('run the release command of the board before its first start', async () => {
    const board = scenario.name('board');
    const phases = (await controller.journal()).flatMap((record) =>
      record.type === 'deployment' && record.project === board ? [record.to] : [],
    );
    expect(phases.indexOf('releasing')).toBeGreaterThan(-1);
    expect(phases.indexOf('releasing')).toBeLessThan(phases.indexOf('starting'));
    expect((await scenario.get('board.localhost', '/healthz')).status).toBe(200);
  });

  it('keep the notes of the board in its volume and tell those who listen', async () => {
    const events = ask('GET', '/events');
    const heard = gather(await answerTo(events));
    const posting = ask('POST', '/notes');
    posting.end('a note');
    expect((await answerTo(posting)).statusCode).toBe(201);
    await expect.poll(heard, { timeout: 5_000 }).toContain('a note');
    events.destroy();
    expect((await scenario.get('board.localhost', '/notes')).body).toContain('a note');
  });

  it('tell who is connected to the board by WebSocket that it stops', async () => {
    const board = scenario.name('board');
    const upgrading = ask('GET', '/live', {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      'sec-websocket-version': '13',
    });
    const [answer, socket, head] = (await once(upgrading, 'upgrade')) as [IncomingMessage, Socket, Buffer];
    expect(answer.headers['sec-websocket-accept']).toBe('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
    // What came in one piece with the answer.
    socket.unshift(head);
    const heard = gather(socket);
    await expect.poll(heard, { timeout: 5_000 }).toContain('"welcome"');
    await engine.getContainer(`pointsman-${board}-blue`).kill({ signal: 'SIGTERM' });
    await once(socket, 'close');
    // Close frame, 1012: the service restarts.
    expect(Buffer.from(heard(), 'latin1').subarray(-4)).toEqual(Buffer.from([0x88, 0x02, 0x03, 0xf4]));
    await expect
      .poll(async () => (await scenario.get('board.localhost', '/notes')).body, { timeout: 20_000 })
      .toContain('a note');
  });
});

/** A request to the board through nginx, over a connection of its own. */
function ask(method: string, path: string, headers: Record<string, string> = {}): ClientRequest {
  const address = { host: '127.0.0.1', port: scenario.ports.listen, agent: false as const };
  const sending = request({ ...address, method, path, headers: { host: 'board.localhost', ...headers } });
  if (method === 'GET') sending.end();
  return sending;
}

async function answerTo(sending: ClientRequest): Promise<IncomingMessage> {
  const [answer] = (await once(sending, 'response')) as [IncomingMessage];
  // Ending it from our side is no failure.
  answer.on('error', () => undefined);
  return answer;
}

/** What has come so far, one character per byte. */
function gather(stream: Readable): () => string {
  let text = '';
  stream.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  return () => text;
}
