import { PointsmanError, redact, type ErrorCode } from '../errors.js';
import type { GitCredential } from '../settings/settings.js';
import type { RepositoryLocation } from './location.js';

export interface RemoteContext {
  readonly location: RepositoryLocation;
  readonly credential: GitCredential | null;
}

/** Why a call of git that talked to a remote failed. */
export type RemoteFailure =
  /** The remote, the way to it, or what it said of us. */
  | { readonly kind: 'remote'; readonly error: PointsmanError }
  /** The server does not hand out this commit by its hash. */
  | { readonly kind: 'hash-refused' }
  /** The server cannot cut history (a plain file server). */
  | { readonly kind: 'no-shallow' }
  /** Our own mirror; `message` is one line. */
  | { readonly kind: 'local'; readonly message: string };

interface Explanation {
  readonly pattern: RegExp;
  readonly code: ErrorCode;
  readonly text: (match: RegExpExecArray, context: RemoteContext) => string;
}

/** A commit made by hand. No git reads it, ours or the server's, so that nobody can tell in which folder it stands. */
const unreadableTree = /(empty filename|malformed mode) in tree entry/;

/** The first that fits counts: the particular ones stand before the general ones. */
const explanations: readonly Explanation[] = [
  {
    pattern:
      /mismatched algorithms|unknown object format|object-format capability|unsupported hash|expected.*sha256/i,
    code: 'UnsupportedRepository',
    text: () => sha256Message,
  },
  {
    pattern: /git program was not found/,
    code: 'SourceUnreachable',
    text: () => 'the git program was not found; install git',
  },
  {
    pattern: /git cannot be started: (.*)/,
    code: 'SourceUnreachable',
    text: (match) => `git cannot be started: ${match[1] ?? ''}`,
  },
  {
    pattern: /host key verification failed|no .* host key is known|REMOTE HOST IDENTIFICATION HAS CHANGED/i,
    code: 'SourceUnreachable',
    text: (_, { location, credential }) =>
      `the host key of ${location.address.host} is not known or has changed; compare it and add it to ${credential?.kind === 'ssh' && credential.knownHostsFile !== null ? credential.knownHostsFile : 'knownHostsFile'}`,
  },
  {
    pattern: /UNPROTECTED PRIVATE KEY FILE|bad permissions/i,
    code: 'SourceUnreachable',
    text: (_, { credential }) =>
      `ssh refuses the key file ${keyFileOf(credential)} because others can read it; chmod 600 it`,
  },
  {
    pattern: /Load key .*: (?!Permission denied)(.*)/i,
    code: 'SourceUnreachable',
    text: (match, { credential }) =>
      `ssh cannot use the key file ${keyFileOf(credential)} (${(match[1] ?? '').trim().toLowerCase()}); it must hold an unencrypted private key`,
  },
  {
    pattern: /Permission denied \(/,
    code: 'SourceUnreachable',
    text: (_, { credential }) =>
      credential?.kind === 'ssh'
        ? `the server refused the ssh key ${credential.keyFile}; add its public half there with read access`
        : 'the server refused the ssh login; set sshKeyFile',
  },
  {
    // git asks for what it was given for one host alone: this is another one.
    pattern: /could not read (?:Username|Password) for '([^']+)'/,
    code: 'SourceUnreachable',
    text: (match, context) => {
      const asked = originOf(match[1] ?? '');
      return asked === null || asked === context.location.origin
        ? refused(context.credential)
        : `the server redirects to ${asked}, which wants a sign-in and is not given the credential; write the address where the repository is now`;
    },
  },
  {
    pattern:
      /Authentication failed|terminal prompts disabled|returned error: (401|403)|HTTP Basic: Access denied|Access denied/i,
    code: 'SourceUnreachable',
    text: (match, { credential }) => refused(credential, match[1] === '403' ? ' (403)' : ''),
  },
  {
    pattern:
      /returned error: 404|repository '.*' not found|Repository not found|project you were looking for could not be found/i,
    code: 'SourceUnreachable',
    text: (_, { credential }) =>
      `the server has no such repository; check the address${credential === null ? ' (a private repository looks the same without a token)' : ' and what the credential may read'}`,
  },
  {
    pattern: /returned error: (\d{3})/,
    code: 'SourceUnreachable',
    text: (match) => `the server answered ${match[1] ?? ''}; look at its log`,
  },
  {
    pattern: /Could not resolve (?:hostname|host|proxy):? ?([^\s;:]*)/i,
    code: 'SourceUnreachable',
    text: (match) => `the name ${match[1] ?? ''} cannot be resolved; check it and this machine's DNS`,
  },
  {
    pattern: /certificate (?:problem|verif)|server cert|SSL|gnutls/i,
    code: 'SourceUnreachable',
    text: () => "the server's certificate was not accepted; give its CA by SSL_CERT_FILE or GIT_SSL_CAINFO",
  },
  {
    pattern: /transport '(.*)' not allowed/,
    code: 'UnsupportedRepository',
    text: (match) => `the transport ${match[1] ?? ''} is not allowed; use http(s), ssh or an absolute path`,
  },
  {
    pattern: /Connection refused|Failed to connect|Couldn't connect/i,
    code: 'SourceUnreachable',
    text: () => 'nobody answers there; check that the server runs, and the port',
  },
  {
    pattern: /timed out|timeout/i,
    code: 'SourceUnreachable',
    text: () => 'the connection timed out; check the server and the network',
  },
  {
    pattern:
      /does not appear to be a git repository|not a git repository \(or any|valid repository name|not valid: is this a git repository/i,
    code: 'SourceUnreachable',
    text: (_, { location }) =>
      location.transport === 'local'
        ? 'there is no git repository at this path; check it and who may read it'
        : 'there is no git repository at this address; check it',
  },
  {
    pattern:
      /unable to access|unable to update url base|redirect|Network is unreachable|No route to host|Connection (?:reset|closed)|kex_exchange|hung up|early EOF|unexpected disconnect|disconnected|RPC failed|recv failure|transfer closed|expected flush|protocol error|bad line length|invalid index-pack output|Could not read from remote repository|remote error|remote: |Operation too slow/i,
    code: 'SourceUnreachable',
    text: () => 'the connection failed; check the server and the network',
  },
];

const sha256Message =
  'the repository uses SHA-256 object names, which are not supported; use a SHA-1 repository';

/** The connection broke: whatever local failure follows is its consequence. */
const broken = /early EOF|unexpected disconnect|hung up|RPC failed|Connection (?:reset|closed)/i;
/** Said of our own objects, refs and files. The remote's own complaints come as `remote: …`, but for a local repository. */
const ours =
  /not a git repository: '|No space left|Read-only file system|File exists|cannot lock ref|bad config|unresolved delta|did not send all necessary|bad object|missing (?:blob|tree|commit)|bad shallow|shallow file|is corrupt|is empty|inflate|does not match index|file .* is (?:not a pack|far too short|truncated)|unable to (?:create|write|open|read|unpack|find|parse|normalize)|unpack-objects failed|not a valid object/i;

/** What the output of a failed `ls-remote` or `fetch` means, and what to do about it. */
export function explainRemote(stderr: string, context: RemoteContext): RemoteFailure {
  const line = lastLine(stderr);
  // An address may hold any word.
  const said = stderr.replaceAll(context.location.url, '').replaceAll(context.location.display, '');
  const malformed = unreadableTree.exec(said)?.[1];
  if (malformed !== undefined) {
    const what = malformed === 'empty filename' ? 'an entry without a name' : 'an entry without a sound mode';
    const why = `a folder of its newest commit holds ${what}, which git cannot read; git fsck there names the tree: take it out of the commit`;
    return { kind: 'remote', error: remoteError('UnsupportedRepository', why, context, line) };
  }
  if (
    /unadvertised object|not our ref|want [0-9a-f]{40} not valid|couldn't find remote ref|no such remote ref/i.test(
      said,
    )
  ) {
    return { kind: 'hash-refused' };
  }
  if (/does not support (?:shallow|--depth)|dumb http transport/i.test(said)) return { kind: 'no-shallow' };
  if (!broken.test(said) && ours.test(said.replaceAll(/^remote: .*$/gm, '')))
    return { kind: 'local', message: line };
  for (const { pattern, code, text } of explanations) {
    const match = pattern.exec(said);
    if (match === null) continue;
    return { kind: 'remote', error: remoteError(code, text(match, context), context, line) };
  }
  return { kind: 'local', message: line };
}

export function sha256Refused(context: RemoteContext): PointsmanError {
  return remoteError('UnsupportedRepository', sha256Message, context, null);
}

/** `cannot read <address>: <why and what to do>`; git's own last line goes into `detail`. */
export function remoteError(
  code: ErrorCode,
  why: string,
  context: RemoteContext,
  line: string | null,
): PointsmanError {
  const verb = code === 'UnsupportedRepository' ? 'cannot use' : 'cannot reach';
  return new PointsmanError(code, `${verb} ${context.location.display}: ${why}`, {
    detail: line === null ? {} : { git: line },
  });
}

/** The last line that says why, redacted, at most 300 characters. */
export function lastLine(stderr: string): string {
  const lines = stderr
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const telling = lines.filter((line) =>
    /^(?:fatal|error|remote|ssh|Load key|Permission denied|Host key)/i.test(line),
  );
  const text = (telling[0] ?? lines.at(-1) ?? 'git gave no reason').replace(/[\u0000-\u001f\u007f]/g, ' ');
  return redact(text).slice(0, 300);
}

function refused(credential: GitCredential | null, status = ''): string {
  return `the server refused access${status}; ${credential?.kind === 'token' ? `check the token in ${credential.tokenFile} and what it may read (it is not sent where a redirect leads)` : 'set a tokenFile for this address'}`;
}

/** As in a location: without user, and without a port that is the scheme's own. Null for no address. */
function originOf(address: string): string | null {
  return URL.canParse(address) ? new URL(address).origin : null;
}

function keyFileOf(credential: GitCredential | null): string {
  return credential?.kind === 'ssh' ? credential.keyFile : 'of this account';
}
