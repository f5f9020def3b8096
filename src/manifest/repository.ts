/**
 * Addresses of Git repositories: https, http, ssh, `user@host:path` (treated as ssh), or an absolute
 * local path. Everything else that git itself would take (`ext::`, `file://`, options, relative paths)
 * is refused.
 */
export interface RepositoryAddress {
  readonly scheme: 'https' | 'http' | 'ssh' | 'local';
  /** Lower case, IPv6 in brackets; empty for a local path. */
  readonly host: string;
  /** With the scheme's default filled in; 0 for a local path. */
  readonly port: number;
  /** Of an ssh address; null when it names none. */
  readonly user: string | null;
  /** Decoded, without empty and `.` segments; never `..`. */
  readonly segments: readonly string[];
}

export type ParsedRepository =
  | { readonly ok: true; readonly address: RepositoryAddress }
  /** What is wrong and how to mend it. Never repeats the address: it may hold a password. */
  | { readonly ok: false; readonly reason: string };

const defaultPorts = { https: 443, http: 80, ssh: 22 } as const;
const hostPattern = /^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])$/i;
const userPattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/;
const forms = 'use https://, http://, ssh://, user@host:path or an absolute path';

/** `purpose` is `prefix` for the beginning of addresses: there the path may be missing. */
export function parseRepository(
  text: string,
  purpose: 'repository' | 'prefix' = 'repository',
): ParsedRepository {
  if (hasControl(text)) return refused('holds control characters: remove them');
  if (text.startsWith('/')) return withPath('local', '', 0, null, text, false, purpose);
  const url = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/(.*)$/s.exec(text);
  if (url !== null) return parseUrl((url[1] ?? '').toLowerCase(), url[2] ?? '', purpose);
  return parseScp(text, purpose);
}

function parseUrl(scheme: string, rest: string, purpose: 'repository' | 'prefix'): ParsedRepository {
  if (scheme !== 'https' && scheme !== 'http' && scheme !== 'ssh') {
    return refused(`has the scheme ${scheme.slice(0, 20)}://: ${forms}`);
  }
  if (/[\s\\?#]/.test(rest)) return refused('holds a space, \\, ? or #: remove it');
  const slash = rest.indexOf('/');
  const authority = slash === -1 ? rest : rest.slice(0, slash);
  const path = slash === -1 ? '' : rest.slice(slash);
  const at = authority.lastIndexOf('@');
  const user = at === -1 ? null : authority.slice(0, at);
  if (user !== null && scheme !== 'ssh') {
    return refused('holds a user name or password: remove it and put a token file into the settings');
  }
  if (user !== null && !userPattern.test(user)) {
    return refused('needs a plain user name without a password before the @');
  }
  const hostAndPort = /^(.*?)(?::([0-9]{1,5}))?$/s.exec(authority.slice(at + 1));
  const host = (hostAndPort?.[1] ?? '').toLowerCase();
  const port = hostAndPort?.[2] === undefined ? defaultPorts[scheme] : Number(hostAndPort[2]);
  if (!isHost(host)) return refused('has no valid host name');
  if (port < 1 || port > 65535) return refused('needs a port from 1 to 65535');
  return withPath(scheme, host, port, user, path, true, purpose);
}

function parseScp(text: string, purpose: 'repository' | 'prefix'): ParsedRepository {
  const scp = /^([^@:/\s]+)@(\[[^\]\s]*\]|[^:/\s[\]]+):(.*)$/s.exec(text);
  if (scp === null) return refused(`is not one of a repository: ${forms}`);
  const [, user = '', host = '', path = ''] = scp;
  if (!userPattern.test(user)) return refused('needs a plain user name before the @');
  if (!isHost(host)) return refused('has no valid host name');
  if (/[\s\\]/.test(path) || path.startsWith('-') || path.startsWith(':')) {
    return refused('has a path that starts with a hyphen or colon, or holds a space or \\');
  }
  return withPath('ssh', host.toLowerCase(), defaultPorts.ssh, user, path, false, purpose);
}

function withPath(
  scheme: RepositoryAddress['scheme'],
  host: string,
  port: number,
  user: string | null,
  path: string,
  encoded: boolean,
  purpose: 'repository' | 'prefix',
): ParsedRepository {
  const segments: string[] = [];
  for (const written of path.split('/')) {
    const segment = encoded ? decode(written) : written;
    if (segment === null || segment === '..' || (encoded && /[/\\]/.test(segment)) || hasControl(segment)) {
      return refused('has a path with .., an encoded slash or an invalid encoding: write the plain path');
    }
    if (segment !== '' && segment !== '.') segments.push(segment);
  }
  if (segments[0]?.startsWith('-')) return refused('has a path that starts with a hyphen');
  if (segments.length === 0 && purpose === 'repository') return refused('names no repository: add its path');
  return { ok: true, address: { scheme, host, port, user, segments } };
}

/**
 * One text for all ways to write an address, for keys: no user, no default port, no trailing slash, no
 * `.git`. Text that is no address stays as it is.
 */
export function canonicalRepository(text: string): string {
  const parsed = parseRepository(text);
  if (!parsed.ok) return text;
  const { scheme, host, port, segments } = parsed.address;
  const path = withoutGitSuffix(segments)
    .map((segment) => encodeURIComponent(segment))
    .join('/');
  if (scheme === 'local') return `/${path}`;
  const shownPort = port === defaultPorts[scheme] ? '' : `:${port}`;
  return `${scheme}://${host}${shownPort}/${path}`;
}

/** Whether `repository` lies below `prefix`: scheme, host and port equal, path by whole segments. */
export function hasRepositoryPrefix(prefix: RepositoryAddress, repository: RepositoryAddress): boolean {
  if (prefix.scheme !== repository.scheme || prefix.host !== repository.host) return false;
  if (prefix.port !== repository.port) return false;
  if (prefix.user !== null && prefix.user !== repository.user) return false;
  // A server gives out `shop` and `shop.git` as one; on a disk they are two folders.
  const isLocal = prefix.scheme === 'local';
  const outer = isLocal ? prefix.segments : withoutGitSuffix(prefix.segments);
  const inner = isLocal ? repository.segments : withoutGitSuffix(repository.segments);
  // `acme.git` as the name of a folder on the server is not the end of the path: compare it as written too.
  return (
    outer.every((segment, index) => segment === inner[index]) ||
    prefix.segments.every((segment, index) => segment === repository.segments[index])
  );
}

function withoutGitSuffix(segments: readonly string[]): readonly string[] {
  const last = segments.at(-1);
  if (last === undefined || !last.endsWith('.git') || last === '.git') return segments;
  return [...segments.slice(0, -1), last.slice(0, -'.git'.length)];
}

function isHost(host: string): boolean {
  return host.length <= 253 && hostPattern.test(host) && !host.includes('..');
}

function decode(segment: string): string | null {
  try {
    return decodeURIComponent(segment);
  } catch {
    return null;
  }
}

function hasControl(text: string): boolean {
  return /[\u0000-\u001f\u007f-\u009f]/.test(text);
}

function refused(reason: string): ParsedRepository {
  return { ok: false, reason };
}
