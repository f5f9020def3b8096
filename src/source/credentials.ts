import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { access as checkAccess, open, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { PointsmanError, messageOf } from '../errors.js';
import type { GitCredential, Settings } from '../settings/settings.js';
import type { GitAccess } from './git.js';
import { parseLocation, prefixLength, type RepositoryLocation } from './location.js';

/** Longest token file that is read, bytes. */
const longestToken = 16 * 1024;

/**
 * The credential for an application source: the longest prefix of `settings.credentials` that covers
 * `address` and fits its transport; else the config repository's own, for exactly that repository.
 */
export function credentialFor(
  address: string,
  settings: Pick<Settings, 'credentials' | 'configRepo'>,
): GitCredential | null {
  const location = parseLocation(address);
  let best: { readonly length: number; readonly credential: GitCredential } | null = null;
  for (const { prefix, credential } of settings.credentials) {
    const length = prefixLength(address, prefix);
    if (length === null || !fits(credential, location)) continue;
    if (best === null || length > best.length) best = { length, credential };
  }
  if (best !== null) return best.credential;
  const config = settings.configRepo;
  if (config.credential === null || parseLocation(config.url).key !== location.key) return null;
  return fits(config.credential, location) ? config.credential : null;
}

/**
 * What `git` needs to use `credential` for this repository, for the length of `use`. A token is read
 * from its file now, and is known to git for this scheme, host and port alone: neither a redirect to
 * another place nor another repository's URL gets it. It stands in no argument and in no environment.
 * @throws PointsmanError SourceUnreachable when a credential's file cannot be used
 */
export async function withAccess<T>(
  folder: string,
  location: RepositoryLocation,
  credential: GitCredential | null,
  use: (access: GitAccess) => Promise<T>,
): Promise<T> {
  if (location.transport === 'ssh') {
    const key = credential?.kind === 'ssh' ? credential : null;
    if (key !== null) await checkReadable('ssh key file', key.keyFile);
    if (key !== null && key.knownHostsFile !== null)
      await checkReadable('known hosts file', key.knownHostsFile);
    return use(sshAccess(key));
  }
  if (location.transport === 'local' || credential?.kind !== 'token') return use({ config: [], env: {} });
  const token = await readToken(credential.tokenFile);
  const store = join(folder, `credential-${randomBytes(8).toString('hex')}`);
  const handle = await open(store, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    try {
      await handle.writeFile(storeLine(location, token));
    } finally {
      await handle.close();
    }
    return await use({
      config: [`credential.${location.origin}.helper=store --file=${quoteForShell(store)}`],
      env: {},
    });
  } finally {
    await unlink(store).catch(() => undefined);
  }
}

function fits(credential: GitCredential, location: RepositoryLocation): boolean {
  return credential.kind === 'token' ? location.transport === 'http' : location.transport === 'ssh';
}

/** ssh itself only says that the server refused the login. */
async function checkReadable(what: string, file: string): Promise<void> {
  try {
    await checkAccess(file, constants.R_OK);
  } catch (error) {
    throw new PointsmanError(
      'SourceUnreachable',
      `cannot read the ${what} ${file}: ${whyUnreadable(error)}`,
      { cause: error },
    );
  }
}

function whyUnreadable(error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return 'it is not there; put it there, or name another file in the settings';
    case 'EACCES':
    case 'EPERM':
      return 'its permissions forbid it; make it and the folders above it readable for pointsman';
    default:
      return `${messageOf(error)}; name another file in the settings`;
  }
}

async function readToken(file: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new PointsmanError(
      'SourceUnreachable',
      `cannot read the token file ${file}: ${whyUnreadable(error)}`,
      { cause: error },
    );
  }
  const token = text.replace(/\r?\n$/, '');
  if (token === '' || token.length > longestToken || /[\u0000-\u001f\u007f]/.test(token)) {
    throw new PointsmanError(
      'SourceUnreachable',
      `the token file ${file} must hold one line with the token and nothing else`,
    );
  }
  return token;
}

/** One line of git's credential store: everything percent-encoded, so that no character is special. */
function storeLine(location: RepositoryLocation, token: string): string {
  const scheme = location.address.scheme;
  const authority = location.origin.slice(`${scheme}://`.length);
  const user = tokenUser(location.address.host);
  return `${scheme}://${encodeURIComponent(user)}:${encodeURIComponent(token)}@${authority}\n`;
}

/** Hosts take any user name beside a token, but for Bitbucket. */
function tokenUser(host: string): string {
  return host === 'bitbucket.org' ? 'x-token-auth' : 'x-access-token';
}

function sshAccess(credential: Extract<GitCredential, { kind: 'ssh' }> | null): GitAccess {
  const options = [
    'BatchMode=yes',
    'StrictHostKeyChecking=yes',
    'ConnectTimeout=15',
    'ServerAliveInterval=15',
    'ServerAliveCountMax=4',
    'ControlMaster=no',
    'ControlPath=none',
    'ForwardAgent=no',
    'ForwardX11=no',
    'ClearAllForwardings=yes',
    'PermitLocalCommand=no',
  ];
  if (credential !== null) {
    options.push('IdentitiesOnly=yes', `IdentityFile=${quoteForSsh(credential.keyFile)}`);
    if (credential.knownHostsFile !== null)
      options.push(`UserKnownHostsFile=${quoteForSsh(credential.knownHostsFile)}`);
  }
  const command = ['ssh', '-a', '-x', ...options.flatMap((option) => ['-o', option])];
  return {
    config: [],
    env: { GIT_SSH_COMMAND: command.map(quoteForShell).join(' '), GIT_SSH_VARIANT: 'ssh' },
  };
}

/** git hands helper and ssh command lines to `sh`: one word, whatever it holds. */
function quoteForShell(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** A path as one word of an ssh option: `%` starts a token there and blanks end a word. */
function quoteForSsh(path: string): string {
  if (/["\\]|\$\{/.test(path)) {
    throw new PointsmanError(
      'SourceUnreachable',
      `ssh cannot use the path ${JSON.stringify(path)}; take the quotes, backslashes and \${ out of its name`,
    );
  }
  return `"${path.replaceAll('%', '%%')}"`;
}
