import { PointsmanError, redact, shortened } from '../errors.js';

export type PullLine =
  | { readonly kind: 'line'; readonly text: string }
  | { readonly kind: 'failed'; readonly text: string }
  | { readonly kind: 'nothing' };

/**
 * One message of the engine's pull as a line for people. `seen` holds each layer's last status: its
 * many progress ticks give one line only.
 */
export function pullLine(message: unknown, seen: Map<string, string>): PullLine {
  const { status, id, error, errorDetail } = message as Readonly<Record<string, unknown>>;
  const detail = (errorDetail as { message?: unknown } | undefined)?.message ?? error;
  if (detail !== undefined) return { kind: 'failed', text: shortened(redact(String(detail))) };
  if (typeof status !== 'string') return { kind: 'nothing' };
  if (typeof id !== 'string') return { kind: 'line', text: status };
  if (seen.get(id) === status) return { kind: 'nothing' };
  seen.set(id, status);
  return { kind: 'line', text: `${id}: ${status}` };
}

export interface FailedPull {
  readonly reference: string;
  readonly registry: string;
  /** Of Docker's configuration. */
  readonly folder: string;
  /** Why a configured credential could not be had. */
  readonly problem: string | null;
}

/** What a registry said, and what helps. */
export function pullFailed(pull: FailedPull, reason: string, cause?: unknown): PointsmanError {
  const mend = pullMend(reason, pull.registry, pull.folder);
  const credentials = pull.problem === null ? '' : ` (${pull.problem})`;
  const message = `image ${pull.reference} cannot be pulled: ${redact(reason).trim()}${credentials}${mend === null ? '' : `; ${mend}`}`;
  return new PointsmanError('ImagePullFailed', message, {
    cause,
    detail: { reference: pull.reference, registry: pull.registry },
  });
}

/** The registry cannot be talked to now; the image itself may be fine. */
export function isRegistryUnreachable(reason: string): boolean {
  return /connection refused|no such host|i\/o timeout|timeout exceeded|deadline exceeded|network is unreachable|no route to host|connection reset|TLS handshake timeout|temporary failure|server misbehaving|unexpected EOF|\b50\d (?:Internal|Bad|Service|Gateway)|(?:status|code):? 5\d\d|toomanyrequests|too many requests|429/i.test(
    reason,
  );
}

/** Null when nothing better than the reason itself can be said. */
export function pullMend(reason: string, registry: string, folder: string): string | null {
  if (/server gave HTTP response to HTTPS client/i.test(reason)) {
    return `the registry ${registry} speaks plain http: give it a certificate, or list it in insecure-registries of /etc/docker/daemon.json`;
  }
  if (/x509|certificate/i.test(reason)) {
    return `put the certificate authority of ${registry} into /etc/docker/certs.d/${registry}/ca.crt`;
  }
  if (/toomanyrequests|too many requests|rate limit/i.test(reason)) {
    return `the registry limits anonymous pulls: sign in with docker login ${registry}, or wait`;
  }
  if (/unauthorized|authentication required|no basic auth|denied|forbidden|401|403/i.test(reason)) {
    return `if it is private, sign in as the user that runs pointsman (docker login ${registry}, kept in ${folder}/config.json); else check its name`;
  }
  if (/no matching manifest/i.test(reason)) return 'the image is not made for this machine’s platform';
  if (/not found|manifest unknown|does not exist|name unknown/i.test(reason)) return 'check its name and tag';
  if (/no space left/i.test(reason)) return 'free disk space (docker system df shows what takes it)';
  if (isRegistryUnreachable(reason)) return `check that ${registry} is reachable from this machine`;
  return null;
}
