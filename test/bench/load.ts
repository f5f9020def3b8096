/** The load of the swap benchmark, a process of its own: `tsx load.ts <LoadOptions as JSON>`, with an IPC channel. */
import { createHash, randomBytes } from 'node:crypto';
import { Agent, request, type ClientRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import {
  noCounts,
  type FromLoad,
  type Kind,
  type KindCounts,
  type LoadOptions,
  type ToLoad,
} from './load-protocol.js';

const { port, host } = JSON.parse(process.argv[2] ?? '') as LoadOptions;

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
/** Between two echoes; none within `longestMs` is a lost one. */
const echoEveryMs = 100;

let counts = noCounts();
let latencies: number[] = [];
let reasons: Record<string, number> = {};
/** The version that every request started from now on must be answered by; null while either may. */
let expected: string | null = null;
let isStopping = false;

function fail(kind: Kind, error: unknown): void {
  const { code, message } = error as NodeJS.ErrnoException;
  counts[kind].failed += 1;
  if (code === 'ECONNRESET' || code === 'EPIPE') counts[kind].reset += 1;
  const reason = `${kind}: ${code ?? message}`;
  reasons[reason] = (reasons[reason] ?? 0) + 1;
}

/** Counts an answer that came: wrong when the request was started after an acknowledged switch to another version. */
function judge(kind: Kind, wanted: string | null, version: unknown): void {
  const of: KindCounts = counts[kind];
  if (wanted !== null && wanted === expected && version !== wanted) of.wrong += 1;
  else of.ok += 1;
}

function open(
  path: string,
  method: string,
  agent: Agent | false,
  more: Record<string, string>,
): ClientRequest {
  const headers = { host, 'x-request-id': randomBytes(12).toString('hex'), ...more };
  return request({ host: '127.0.0.1', port, path, method, agent, headers, timeout: longestMs });
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
    sending.once('timeout', () => sending.destroy(new Error('no answer in time')));
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
  const wanted = expected;
  counts[kind].sent += 1;
  const startedAt = performance.now();
  try {
    const more: Record<string, string> = body === null ? {} : { 'content-length': String(body.length) };
    const sending = open(path, body === null ? 'GET' : 'POST', agent, more);
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
    judge(kind, wanted, version);
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
  const wanted = expected;
  counts[kind].sent += 1;
  try {
    const more = {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': randomBytes(16).toString('base64'),
    };
    const sending = open('/', 'GET', false, more);
    const [response, socket, head] = await new Promise<[IncomingMessage, Socket, Buffer]>(
      (resolve, reject) => {
        sending.once('upgrade', (...upgraded: [IncomingMessage, Socket, Buffer]) => resolve(upgraded));
        sending.once('response', ({ statusCode }) => reject(new Error(`status ${statusCode}`)));
        sending.on('error', reject);
        sending.end();
      },
    );
    judge(kind, wanted, response.headers['x-version']);
    await echo(socket, head);
  } catch (error) {
    fail(kind, error);
  }
}

/** Text frames, masked with zeros. Resolves at the end of the socket. */
async function echo(socket: Socket, head: Buffer): Promise<void> {
  let seen = head;
  let closed = false;
  let next = 0;
  const say = (): void => {
    const text = Buffer.from(`${next}`);
    socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), text]));
  };
  const timer = setInterval(say, echoEveryMs);
  const end = setInterval(() => isStopping && socket.destroy(), echoEveryMs);
  await new Promise<void>((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      seen = Buffer.concat([seen, chunk]);
      while (seen.length >= 2 && seen.length >= 2 + ((seen[1] ?? 0) & 0x7f)) {
        closed ||= ((seen[0] ?? 0) & 0x0f) === 8;
        next += 1;
        seen = seen.subarray(2 + ((seen[1] ?? 0) & 0x7f));
      }
      if (closed) socket.end();
    });
    socket.on('error', () => undefined);
    socket.once('close', () => resolve());
  });
  clearInterval(timer);
  clearInterval(end);
  if (!closed && !isStopping) {
    counts.websocket.cut += 1;
    reasons['websocket: no close frame'] = (reasons['websocket: no close frame'] ?? 0) + 1;
  }
}

/** Reads a stream until the application ends it, and opens the next. */
async function eventStream(): Promise<void> {
  const kind = 'event stream';
  const wanted = expected;
  counts[kind].sent += 1;
  let body = '';
  let response: IncomingMessage | null = null;
  try {
    const sending = open('/events', 'GET', false, {});
    const answer = responseOf(sending);
    sending.end();
    response = await answer;
    if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}`);
    judge(kind, wanted, response.headers['x-version']);
    const end = setInterval(() => isStopping && response?.destroy(), echoEveryMs);
    try {
      for await (const chunk of response.setEncoding('utf8')) body += String(chunk);
    } finally {
      clearInterval(end);
    }
    if (!response.complete || !body.endsWith('\n\n')) throw new Error('cut');
  } catch (error) {
    if (isStopping && response !== null) return;
    if (response?.statusCode === 200) {
      counts[kind].cut += 1;
      reasons['event stream: cut'] = (reasons['event stream: cut'] ?? 0) + 1;
    } else fail(kind, error);
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

function report(): void {
  const measured: FromLoad = { counts, latencies, reasons };
  process.send?.(measured);
  counts = noCounts();
  latencies = [];
  reasons = {};
}

process.on('message', (message: ToLoad) => {
  if (message.kind === 'expect') expected = message.version;
  else if (message.kind === 'take') report();
  else {
    isStopping = true;
    void Promise.all(clients).then(() => {
      report();
      process.disconnect();
      process.exit(0);
    });
  }
});
process.once('disconnect', () => process.exit(0));
