import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { PointsmanError } from '../errors.js';
import { listen } from './listen.js';

export interface Lock {
  /** Lets the next one in. The kernel does the same when the process ends, however it ends. */
  release(): Promise<void>;
}

/** Bytes of an abstract socket's name, its leading zero byte not counted. */
const longestName = 107;
const holderAnswerMs = 1_000;

/** The lock of a state directory, which must exist: the same whatever path leads to it. */
export async function stateLockName(stateDir: string): Promise<string> {
  const { dev, ino } = await stat(stateDir);
  return `pointsman-state-${dev}-${ino}`;
}

/** The lock of one instance on one engine. */
export function engineLockName(engineId: string, instance: string): string {
  const name = `pointsman-${engineId}-${instance}`;
  if (Buffer.byteLength(name) <= longestName) return name;
  return `pointsman-${createHash('sha256').update(name).digest('hex')}`;
}

/**
 * Takes the lock, held until released or until the process ends: an abstract unix socket, which
 * leaves no file behind. Whoever connects is told who holds it. It holds within one network namespace.
 * @throws PointsmanError AlreadyRunning, naming the holder's process id and state directory
 */
export async function acquireLock(name: string, stateDir: string): Promise<Lock> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.setTimeout(holderAnswerMs, () => socket.destroy());
    socket.end(JSON.stringify({ pid: process.pid, stateDir }));
  });
  try {
    await listen(server, `\0${name}`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw await alreadyRunning(name);
  }
  // A held lock alone keeps no process alive.
  server.unref();
  return {
    release: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

async function alreadyRunning(name: string): Promise<PointsmanError> {
  const holder = await askHolder(name);
  const who =
    holder === null
      ? 'another controller'
      : `another controller (pid ${holder.pid}, state directory ${holder.stateDir})`;
  return new PointsmanError(
    'AlreadyRunning',
    `${who} runs already; stop it first, or give this one a stateDir and an instance of its own`,
    { detail: { lock: name, ...holder } },
  );
}

interface Holder {
  readonly pid: number;
  readonly stateDir: string;
}

/** Null when it does not answer in time or not in our way. */
function askHolder(name: string): Promise<Holder | null> {
  return new Promise((resolve) => {
    const socket = connect(`\0${name}`);
    let text = '';
    const end = (): void => {
      socket.destroy();
      resolve(parseHolder(text));
    };
    socket.setEncoding('utf8');
    socket.setTimeout(holderAnswerMs, end);
    socket.on('data', (part: string) => {
      text += part;
      if (text.length > 8_192) end();
    });
    socket.on('end', end);
    socket.on('error', end);
  });
}

function parseHolder(text: string): Holder | null {
  try {
    const { pid, stateDir } = JSON.parse(text) as Partial<Holder>;
    return typeof pid === 'number' && typeof stateDir === 'string' ? { pid, stateDir } : null;
  } catch {
    return null;
  }
}
