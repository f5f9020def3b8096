import { createHash } from 'node:crypto';
import { PointsmanError } from '../errors.js';
import { hasRepositoryPrefix, parseRepository, type RepositoryAddress } from '../manifest/repository.js';

/** A repository's address, as the git program, its credentials and its mirror need it. */
export interface RepositoryLocation {
  readonly transport: 'http' | 'ssh' | 'local';
  /** What the `git` program is given. Never holds a password. */
  readonly url: string;
  /** For messages. */
  readonly display: string;
  /** Equal only for spellings that every server takes as one repository. */
  readonly key: string;
  /** `https://host` or `https://host:port` for http(s), else empty. */
  readonly origin: string;
  readonly address: RepositoryAddress;
}

const defaultPorts: Readonly<Record<string, number>> = { http: 80, https: 443 };

/** @throws PointsmanError UnsupportedRepository when it is no https, http, ssh or local address, or holds a password */
export function parseLocation(text: string): RepositoryLocation {
  const parsed = parseRepository(text);
  // The reason never repeats the address: it may hold a password.
  if (!parsed.ok)
    throw new PointsmanError('UnsupportedRepository', `the repository address ${parsed.reason}`);
  const { address } = parsed;
  const { scheme, host, port, user, segments } = address;
  if (scheme === 'local') {
    const path = `/${segments.join('/')}`;
    return { transport: 'local', url: path, display: path, key: path, origin: '', address };
  }
  if (scheme === 'ssh') {
    // `host:path` starts in the account's home, `ssh://host/path` at the root: two repositories.
    const path =
      text.includes('://') || /^[^:]*:\//.test(text) ? `/${segments.join('/')}` : segments.join('/');
    const key = `ssh://${user ?? ''}@${host}:${port}:${path}`;
    return { transport: 'ssh', url: text, display: text, key, origin: '', address };
  }
  const origin = `${scheme}://${host}${port === defaultPorts[scheme] ? '' : `:${port}`}`;
  const url = `${origin}/${segments.map((segment) => encodeURIComponent(segment)).join('/')}`;
  return { transport: 'http', url, display: url, key: url, origin, address };
}

/** How closely `prefix` fits `text` (more is closer), null when it does not cover it. */
export function prefixLength(text: string, prefix: string): number | null {
  const inner = parseRepository(text);
  const outer = parseRepository(prefix, 'prefix');
  if (!inner.ok || !outer.ok || !hasRepositoryPrefix(outer.address, inner.address)) return null;
  return outer.address.segments.length * 2 + (outer.address.user === null ? 0 : 1);
}

/** The name of a repository's mirror: 24 hex digits. */
export function mirrorName(location: RepositoryLocation): string {
  return createHash('sha256').update(location.key).digest('hex').slice(0, 24);
}
