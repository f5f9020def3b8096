import { statSync } from 'node:fs';
import { userInfo } from 'node:os';
import { PointsmanError, messageOf, redact, shortened } from '../errors.js';

/**
 * The engine answered, and the answer is no. Callers that know what a status means (404: gone,
 * 409: held) look at it; to everybody else it is a DockerUnavailable, which is tried again.
 */
export class EngineRefusal extends PointsmanError {
  constructor(
    what: string,
    /** HTTP status of the answer. */
    readonly status: number,
    /** What the engine said, one line. */
    readonly reason: string,
    cause: unknown,
  ) {
    super('DockerUnavailable', `the docker engine could not ${what}: ${reason}`, {
      cause,
      detail: { status },
    });
  }
}

/** True when the engine answered `status` (any of several). */
export function isRefusal(error: unknown, ...statuses: readonly number[]): error is EngineRefusal {
  return error instanceof EngineRefusal && statuses.includes(error.status);
}

/**
 * Turns what dockerode and Node's http throw into EngineRefusal (the engine said no) or
 * DockerUnavailable (no engine there, or it went away). PointsmanErrors pass as they are.
 */
export function toEngineError(what: string, socket: string, error: unknown): PointsmanError {
  if (error instanceof PointsmanError) return error;
  const { statusCode, json } = (error ?? {}) as { statusCode?: unknown; json?: unknown };
  if (typeof statusCode === 'number') {
    return new EngineRefusal(what, statusCode, reasonOf(json, error), error);
  }
  const code = (error as NodeJS.ErrnoException | null)?.code ?? '';
  return new PointsmanError('DockerUnavailable', unavailable(socket, String(code), messageOf(error)), {
    cause: error,
    detail: { socket, ...(code === '' ? {} : { errno: code }) },
  });
}

/** The engine did not answer within `limitMs`. */
export function engineTimeout(what: string, socket: string, limitMs: number): PointsmanError {
  return new PointsmanError(
    'DockerUnavailable',
    `the docker engine at ${socket} did not ${what} within ${limitMs / 1000} s; look at its log (journalctl -u docker)`,
    { detail: { socket, limitMs } },
  );
}

function reasonOf(json: unknown, error: unknown): string {
  const message = (json as { message?: unknown } | null)?.message;
  const text =
    typeof message === 'string' ? message : messageOf(error).replace(/^\(HTTP code \d+\) .*? - /, '');
  return shortened(redact(text.replace(/\s+/g, ' ').trim()));
}

function unavailable(socket: string, code: string, message: string): string {
  switch (code) {
    case 'ENOENT':
      return `there is no docker socket at ${socket}; install and start the engine (systemctl start docker), or set docker.socket`;
    case 'ECONNREFUSED':
      if (statSync(socket, { throwIfNoEntry: false })?.isSocket() === false)
        return `${socket} is not a socket; set docker.socket to the socket of the engine`;
      return `nothing answers at the docker socket ${socket}; start the engine (systemctl start docker)`;
    case 'EACCES':
    case 'EPERM':
      return `the user ${userName()} may not use the docker socket ${socket}; add it to the docker group (usermod -aG docker ${userName()}) and log in again, or run as root`;
    case 'ENOTFOUND':
    case 'EHOSTUNREACH':
    case 'ETIMEDOUT':
      return `the docker engine at ${socket} cannot be reached (${code}); check docker.socket`;
    default:
      return `the docker engine at ${socket} went away: ${message}`;
  }
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? 'of this process');
  }
}
