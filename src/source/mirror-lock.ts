import { stat } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { PointsmanError } from '../errors.js';
import { makeFolder } from '../files.js';
import { joinSignals, onAbort } from '../signals.js';

/** As long as the longest thing done under it. */
const longestWaitMs = 10 * 60_000;
/** How long a waiter that could not even queue up waits before it looks again. */
const lookAgainMs = 50;

/** Runs `use` as the only writer, on this machine, of the mirror `name` in `folder` (made when missing). `display` is for messages. */
export async function withMirrorLock<T>(
  folder: string,
  name: string,
  display: string,
  signal: AbortSignal,
  use: () => Promise<T>,
): Promise<T> {
  await makeFolder(folder, 0o700);
  const { dev, ino } = await stat(folder);
  const options = { what: `the mirror of ${display}`, waitMs: longestWaitMs, signal };
  return withLock(`pointsman-mirror-${dev}-${ino}-${name}`, options, use);
}

/**
 * Runs `use` while holding the machine-wide lock `name`, in turn with every other holder in this
 * process and in others (`plan` beside a running controller). The lock is an abstract unix socket:
 * the kernel gives it to one process and takes it back when that one dies, so it is never stale.
 * @throws PointsmanError SourceUnreachable when it is not free within `waitMs`; the signal's reason on abort
 */
export async function withLock<T>(
  name: string,
  options: { readonly what: string; readonly waitMs: number; readonly signal: AbortSignal },
  use: () => Promise<T>,
): Promise<T> {
  const path = `\0${name}`;
  const deadline = AbortSignal.timeout(options.waitMs);
  const waiting = joinSignals(options.signal, deadline);
  const waiters = new Set<Socket>();
  let server: Server | null;
  try {
    for (;;) {
      server = await tryListen(path, waiters);
      if (server !== null) break;
      await untilReleased(path, waiting.signal);
      options.signal.throwIfAborted();
      if (deadline.aborted) {
        throw new PointsmanError(
          'SourceUnreachable',
          `another process has held ${options.what} for ${options.waitMs / 1000} s; end it or try again`,
        );
      }
    }
  } finally {
    waiting.release();
  }
  try {
    options.signal.throwIfAborted();
    return await use();
  } finally {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const waiter of waiters) waiter.destroy();
    await closed;
  }
}

/** Null when somebody else holds it. */
async function tryListen(path: string, waiters: Set<Socket>): Promise<Server | null> {
  const server = createServer((socket) => {
    waiters.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => waiters.delete(socket));
  });
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(null);
      else reject(error);
    });
    server.listen({ path }, () => resolve(server));
  });
}

/** Resolves when the holder lets go or dies, or when `signal` aborts. */
async function untilReleased(path: string, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const refused = await new Promise<boolean>((resolve) => {
    const socket = connect({ path });
    const give = (value: boolean): void => {
      stopListening();
      socket.destroy();
      resolve(value);
    };
    const stopListening = onAbort(signal, () => give(false));
    socket.resume();
    socket.once('error', () => give(true));
    socket.once('close', () => give(false));
  });
  // Released between the two looks, or its queue is full: either way, look again without spinning.
  if (refused) await delay(lookAgainMs, undefined, { signal }).catch(() => undefined);
}
