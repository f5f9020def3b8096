/** The load of the swap benchmark, a process of its own: `tsx load.ts <LoadOptions as JSON>`, with an IPC channel. */
import { createHash, randomBytes } from 'node:crypto';
import { Agent, request, type ClientRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { noCounts, type FromLoad, type Kind, type LoadOptions, type ToLoad } from './load-protocol.js';

const { port, host, versions } = JSON.parse(process.argv[2] ?? '') as LoadOptions;

const keepAliveClients = 64;
const freshClients = 16;
const postClients = 2;
const slowClients = 2;
const webSockets = 2;
/** Between two requests of one client: what all of them ask together leaves this machine time to deploy. */
const pauseMs = { keepAlive: 250, fresh: 250, post: 100, long: 100 };
const slowMs = 5000;
const postBytes = 64 * 1024;
/** A slower answer is a lost one. */
const longestMs = 30_000;
/** Between two messages of a WebSocket; one that is not echoed within `longestMs` ends it as cut. */
const echoEveryMs = 100;

let counts = noCounts();
let latencies: number[] = [];
let reasons: Record<string, number> = {};
/** Which versions may answer, in order, and from when on. */
let allowed: readonly { readonly from: number; readonly versions: readonly string[] }[] = [];
let isStopping = false;
expect(versions);

/** The versions that may answer change now. What no request in flight can have met is forgotten. */
function expect(versions: readonly string[]): void {
  const now = performance.now();
  const lastBefore = allowed.findLastIndex(({ from }) => from < now - 2 * longestMs);
  allowed = [...allowed.slice(Math.max(0, lastBefore)), { from: now, versions }];
}

function fail(kind: Kind, error: unknown): void {
  const { code, message } = error as NodeJS.ErrnoException;
  counts[kind].failed += 1;
  if (code === 'ECONNRESET' || code === 'EPIPE') counts[kind].reset += 1;
  because(kind, code ?? message);
}

function because(kind: Kind, why: string): void {
  const reason = `${kind}: ${why}`;
  reasons[reason] = (reasons[reason] ?? 0) + 1;
}

/** Counts an answer that came now to a request that was started at `startedAt`. */
function judge(kind: Kind, startedAt: number, version: unknown): void {
  const atStart = Math.max(
    0,
    allowed.findLastIndex(({ from }) => from <= startedAt),
  );
  const isRight = allowed.slice(atStart).some(({ versions }) => versions.includes(String(version)));
  counts[kind][isRight ? 'ok' : 'wrong'] += 1;
}

/** A long-lived one that was established. */
function cut(kind: 'websocket' | 'event stream', why: string): void {
  counts[kind].cut += 1;
  because(kind, why);
}

function open(
  kind: Kind,
  path: string,
  method: string,
  agent: Agent | false,
  more: Record<string, string>,
): ClientRequest {
  const headers = { host, 'x-request-id': `${kind}/${randomBytes(12).toString('hex')}`, ...more };
  const options = { host: '127.0.0.1', port, path, method, agent, headers, timeout: longestMs };
  const sending = request(options);
  return sending.once('timeout', () => sending.destroy(new Error('no answer in time')));
}

async function bodyOf(response: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of response.setEncoding('utf8')) body += String(chunk);
  if (!response.complete) throw Object.assign(new Error('cut'), { code: 'ECONNRESET' });
  return body;
}

function responseOf(sending: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    sending.once('response', resolve);
    sending.on('error', reject);
  });
}

async function once(
  kind: Kind,
  path: string,
  agent: Agent | false,
  body: Buffer | null,
  overMs = 0,
): Promise<void> {
  counts[kind].sent += 1;
  const startedAt = performance.now();
  try {
    const more: Record<string, string> = body === null ? {} : { 'content-length': String(body.length) };
    const sending = open(kind, path, body === null ? 'GET' : 'POST', agent, more);
    const answer = responseOf(sending);
    answer.catch(() => undefined);
    await send(sending, body, overMs);
    const response = await answer;
    const text = await bodyOf(response);
    if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}`);
    const { version, length, digest } = JSON.parse(text) as Record<string, unknown>;
    const right = createHash('sha1')
      .update(body ?? '')
      .digest('hex');
    if (length !== (body?.length ?? 0) || digest !== right) throw new Error('another body arrived');
    if (kind === 'keep-alive' || kind === 'fresh') latencies.push(performance.now() - startedAt);
    judge(kind, startedAt, version);
  } catch (error) {
    fail(kind, error);
  }
}

async function send(sending: ClientRequest, body: Buffer | null, overMs: number): Promise<void> {
  const pieces = overMs === 0 ? 1 : 10;
  for (let piece = 0; piece < pieces && body !== null; piece += 1) {
    if (sending.destroyed) break;
    const size = Math.ceil(body.length / pieces);
    sending.write(body.subarray(piece * size, (piece + 1) * size));
    if (overMs > 0) await delay(overMs / pieces);
  }
  sending.end();
}

async function client(work: () => Promise<void>, betweenMs: number): Promise<void> {
  // Spread, so that they do not all ask in the same millisecond.
  await delay(Math.random() * Math.max(betweenMs, 50));
  while (!isStopping) {
    await work();
    await delay(betweenMs * (0.5 + Math.random()));
  }
}

/** Opens, echoes until the application closes it (with a close frame, or it was cut), and opens the next. */
async function webSocket(): Promise<void> {
  const kind = 'websocket';
  counts[kind].sent += 1;
  const startedAt = performance.now();
  try {
    const more = {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': randomBytes(16).toString('base64'),
    };
    const sending = open(kind, '/', 'GET', false, more);
    const [response, socket, head] = await new Promise<[IncomingMessage, Socket, Buffer]>(
      (resolve, reject) => {
        sending.once('upgrade', (...upgraded: [IncomingMessage, Socket, Buffer]) => resolve(upgraded));
        sending.once('response', (response) => {
          response.resume();
          reject(new Error(`status ${response.statusCode}`));
        });
        sending.on('error', reject);
        sending.end();
      },
    );
    judge(kind, startedAt, response.headers['x-version']);
    await echo(socket, head);
  } catch (error) {
    fail(kind, error);
  }
}

/** Numbers as text frames, masked with zeros, each of which has to come back. Resolves at the end of the socket. */
async function echo(socket: Socket, head: Buffer): Promise<void> {
  let seen = head;
  let closed = false;
  let said = 0;
  let heard = 0;
  let heardAt = performance.now();
  let why = 'no close frame';
  const cutOff = (reason: string): void => {
    why = reason;
    socket.destroy();
  };
  const say = (): void => {
    if (isStopping) return void socket.destroy();
    if (performance.now() - heardAt > longestMs) return cutOff('no echo in time');
    const text = Buffer.from(`${said++}`);
    socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), text]));
  };
  const timer = setInterval(say, echoEveryMs);
  await new Promise<void>((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      seen = Buffer.concat([seen, chunk]);
      while (seen.length >= 2 && seen.length >= 2 + ((seen[1] ?? 0) & 0x7f)) {
        const end = 2 + ((seen[1] ?? 0) & 0x7f);
        if (((seen[0] ?? 0) & 0x0f) === 8) closed = true;
        else if (seen.toString('latin1', 2, end) === String(heard)) heard += 1;
        else cutOff('another echo');
        heardAt = performance.now();
        seen = seen.subarray(end);
      }
      if (closed) socket.end();
    });
    socket.on('error', () => undefined);
    socket.once('close', () => resolve());
  });
  clearInterval(timer);
  if (!closed && !isStopping) cut('websocket', why);
}

/** Reads a stream until the application ends it, and opens the next. */
async function eventStream(): Promise<void> {
  const kind = 'event stream';
  counts[kind].sent += 1;
  const startedAt = performance.now();
  let body = '';
  let response: IncomingMessage | null = null;
  try {
    const sending = open(kind, '/events', 'GET', false, {});
    const answer = responseOf(sending);
    sending.end();
    response = await answer;
    if (response.statusCode !== 200) {
      response.resume();
      throw new Error(`status ${response.statusCode}`);
    }
    judge(kind, startedAt, response.headers['x-version']);
    const end = setInterval(() => isStopping && response?.destroy(), echoEveryMs);
    try {
      for await (const chunk of response.setEncoding('utf8')) body += String(chunk);
    } finally {
      clearInterval(end);
    }
    if (!response.complete || !body.endsWith('\n\n')) throw new Error('cut');
  } catch (error) {
    if (isStopping && response !== null) return;
    if (response?.statusCode === 200) cut(kind, 'cut');
    else fail(kind, error);
  }
}

function several(count: number, work: () => () => Promise<void>, betweenMs: number): Promise<void>[] {
  return Array.from({ length: count }, () => client(work(), betweenMs));
}

const post = randomBytes(postBytes);
const own = (): Agent => new Agent({ keepAlive: true, maxSockets: 1 });
const clients = [
  ...several(
    keepAliveClients,
    () => {
      const agent = own();
      return () => once('keep-alive', '/', agent, null);
    },
    pauseMs.keepAlive,
  ),
  ...several(freshClients, () => () => once('fresh', '/', false, null), pauseMs.fresh),
  ...several(
    postClients,
    () => {
      const agent = own();
      return () => once('post 64 KiB', '/', agent, post);
    },
    pauseMs.post,
  ),
  ...several(slowClients, () => () => once('slow upload 5 s', '/', false, post, slowMs), pauseMs.long),
  ...several(slowClients, () => () => once('slow answer 5 s', `/?ms=${slowMs}`, false, null), pauseMs.long),
  ...several(webSockets, () => webSocket, pauseMs.long),
  ...several(1, () => eventStream, pauseMs.long),
];

function report(onSent: () => void = () => undefined): void {
  const measured: FromLoad = { counts, latencies, reasons };
  process.send?.(measured, undefined, undefined, onSent);
  counts = noCounts();
  latencies = [];
  reasons = {};
}

process.on('message', (message: ToLoad) => {
  if (message.kind === 'expect') expect(message.versions);
  else if (message.kind === 'take') report();
  else {
    isStopping = true;
    void Promise.all(clients).then(() => report(() => process.exit(0)));
  }
});
process.once('disconnect', () => process.exit(0));
