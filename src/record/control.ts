/**
 * How commands reach the running controller: HTTP over `<stateDir>/control.sock` (0600).
 *
 *   POST /sync  {}                  POST /retry {"project":"shop"}      POST /prune {"commit":"1f2e…"}
 *   POST /health {}
 *
 * Answers are `{"ok":true,"message":"…"}`: 200 when done, 409 when the answer is no.
 */
import { randomBytes } from 'node:crypto';
import { chmod, rename, stat, unlink } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { PointsmanError, isAbort, messageOf } from '../errors.js';
import { joinSignals } from '../signals.js';
import { listen } from './listen.js';

export type ControlRequest =
  | { readonly kind: 'sync' }
  | { readonly kind: 'health' }
  | { readonly kind: 'retry'; readonly project: string }
  /** `commit` as a person typed it: 7 to 64 hex digits, lower case. */
  | { readonly kind: 'prune'; readonly commit: string };

export interface ControlReply {
  /** False: understood, and the answer is no; `message` says why. */
  readonly ok: boolean;
  /** One line for a person. */
  readonly message: string;
}

/** Each should answer soon: it sets work going, it does not wait for its end. */
export interface ControlHandlers {
  sync(): Promise<ControlReply>;
  /** Whether it can write its state: what the status file cannot tell when it is not so. */
  health(): Promise<ControlReply>;
  retry(project: string): Promise<ControlReply>;
  prune(commit: string): Promise<ControlReply>;
}

export interface ControlServer {
  close(): Promise<void>;
}

const longestBody = 16 * 1024;
const longestReply = 1024 * 1024;
/** What `sun_path` holds, without its closing zero byte. */
const longestPath = 107;
const namePattern = /^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/;
const commitPattern = /^[0-9a-f]{7,64}$/;

export function controlSocket(stateDir: string): string {
  return join(stateDir, 'control.sock');
}

/**
 * Answers requests until closed. A socket that a dead controller left behind is replaced.
 * @throws PointsmanError AlreadyRunning when a living one answers there (also from another container),
 *   SettingsInvalid when the path is too long for a socket
 */
export async function serveControl(stateDir: string, handlers: ControlHandlers): Promise<ControlServer> {
  const path = controlSocket(stateDir);
  const temporary = join(stateDir, `.c${randomBytes(3).toString('hex')}.sock`);
  if (Buffer.byteLength(temporary) > longestPath) {
    const most = longestPath - Buffer.byteLength('/.c000000.sock');
    throw new PointsmanError(
      'SettingsInvalid',
      `stateDir ${stateDir} is too long for a socket in it: at most ${most} bytes`,
    );
  }
  if (await answers(path)) {
    throw new PointsmanError(
      'AlreadyRunning',
      `another controller answers on ${path}; stop it first, or use a stateDir of your own`,
    );
  }
  const server = createServer((message, response) => {
    void answer(message, handlers).then(({ status, reply }) => {
      response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
      response.end(`${JSON.stringify(reply)}\n`);
    });
  });
  server.requestTimeout = 10_000;
  server.headersTimeout = 5_000;
  server.maxConnections = 64;
  await listen(server, temporary);
  await chmod(temporary, 0o600);
  await rename(temporary, path);
  const { ino } = await stat(path);
  return {
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const left = await stat(path).catch(() => null);
      if (left?.ino === ino) await unlink(path).catch(() => undefined);
      const timer = setTimeout(() => server.closeAllConnections(), 2_000);
      await closed;
      clearTimeout(timer);
    },
  };
}

/** Whether somebody accepts connections on this socket. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const end = (result: boolean): void => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(2_000, () => end(true));
    socket.on('connect', () => end(true));
    socket.on('error', () => end(false));
  });
}

interface Answer {
  readonly status: number;
  readonly reply: ControlReply;
}

async function answer(message: IncomingMessage, handlers: ControlHandlers): Promise<Answer> {
  try {
    if (message.method !== 'POST') return no(405, 'only POST is answered here');
    const body = await readBody(message, longestBody);
    if (body === null) return no(413, `the request is longer than ${longestBody} bytes`);
    const asked = understand(message.url ?? '', body);
    if (typeof asked === 'string') return no(400, asked);
    const reply = await handle(asked, handlers);
    return { status: reply.ok ? 200 : 409, reply };
  } catch (error) {
    return no(500, messageOf(error));
  }
}

function no(status: number, message: string): Answer {
  return { status, reply: { ok: false, message } };
}

function handle(asked: ControlRequest, handlers: ControlHandlers): Promise<ControlReply> {
  switch (asked.kind) {
    case 'sync':
      return handlers.sync();
    case 'health':
      return handlers.health();
    case 'retry':
      return handlers.retry(asked.project);
    case 'prune':
      return handlers.prune(asked.commit);
  }
}

/** The request, or why it is none. */
function understand(url: string, body: string): ControlRequest | string {
  let fields: unknown;
  try {
    fields = body === '' ? {} : JSON.parse(body);
  } catch {
    return 'the request is not JSON';
  }
  const { project, commit } = (typeof fields === 'object' && fields !== null ? fields : {}) as Record<
    string,
    unknown
  >;
  switch (url) {
    case '/sync':
      return { kind: 'sync' };
    case '/health':
      return { kind: 'health' };
    case '/retry':
      if (typeof project === 'string' && namePattern.test(project)) return { kind: 'retry', project };
      return `project ${JSON.stringify(project) ?? 'undefined'} is not the name of a project`;
    case '/prune':
      if (typeof commit === 'string' && commitPattern.test(commit)) return { kind: 'prune', commit };
      return `commit ${JSON.stringify(commit) ?? 'undefined'} is not a commit: 7 to 64 hex digits`;
    default:
      return `there is no request ${url}; known are /sync, /health, /retry and /prune`;
  }
}

/** Null when it is longer than `most` bytes. */
async function readBody(message: IncomingMessage, most: number): Promise<string | null> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of message as AsyncIterable<Buffer>) {
    length += part.length;
    // What is left is read and dropped, so that the answer reaches whoever sends it.
    if (length <= most) parts.push(part);
    else if (length > most * 64) break;
  }
  return length > most ? null : Buffer.concat(parts).toString('utf8');
}

/**
 * Asks the running controller, at most `timeoutMs` (30 s when left out).
 * @throws PointsmanError NotRunning when none answers
 */
export async function sendControl(
  stateDir: string,
  asked: ControlRequest,
  options: { readonly signal?: AbortSignal; readonly timeoutMs?: number } = {},
): Promise<ControlReply> {
  const { kind, ...fields } = asked;
  const timeout = AbortSignal.timeout(options.timeoutMs ?? 30_000);
  const bounded = joinSignals(timeout, options.signal);
  try {
    return parseReply(
      await post(controlSocket(stateDir), `/${kind}`, JSON.stringify(fields), bounded.signal),
    );
  } catch (error) {
    if (options.signal?.aborted === true && isAbort(error)) throw options.signal.reason;
    throw notRunning(stateDir, error, timeout.aborted);
  } finally {
    bounded.release();
  }
}

function post(socketPath: string, path: string, body: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const sent = request({ socketPath, path, method: 'POST', headers, signal, agent: false }, (message) => {
      readBody(message, longestReply).then((text) => resolve(text ?? ''), reject);
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

function parseReply(text: string): ControlReply {
  const { ok, message } = JSON.parse(text) as Partial<ControlReply>;
  if (typeof ok !== 'boolean' || typeof message !== 'string')
    throw new Error('the answer is not one of a controller');
  return { ok, message };
}

/** Whether `sendControl` failed because nobody is there: no socket, or one that a dead controller left behind. */
export function isNobodyThere(error: PointsmanError): boolean {
  const { code } = (error.cause ?? {}) as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ECONNREFUSED';
}

function notRunning(stateDir: string, cause: unknown, timedOut: boolean): PointsmanError {
  const { code } = cause as NodeJS.ErrnoException;
  const path = controlSocket(stateDir);
  if (code === 'EACCES') {
    return new PointsmanError(
      'NotRunning',
      `${path} may not be used: run this as the user that runs the controller`,
      { cause },
    );
  }
  if (code === 'ENOENT' || code === 'ECONNREFUSED') {
    const text = `no controller runs on ${stateDir}; start one with "pointsman run", or name its settings with --config`;
    return new PointsmanError('NotRunning', text, { cause });
  }
  const why = timedOut ? 'it does not answer in time' : messageOf(cause);
  return new PointsmanError(
    'NotRunning',
    `the controller on ${stateDir} cannot be asked: ${why}; look at its log`,
    { cause },
  );
}
