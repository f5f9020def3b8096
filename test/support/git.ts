import { execFile, spawn, type ChildProcess, type ChildProcessByStdio } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

const identity = {
  GIT_AUTHOR_NAME: 'Test',
  GIT_AUTHOR_EMAIL: 'test@example.com',
  GIT_COMMITTER_NAME: 'Test',
  GIT_COMMITTER_EMAIL: 'test@example.com',
};
const environment = {
  ...process.env,
  ...identity,
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  LC_ALL: 'C',
};

/** Runs git in `folder` as a person would; resolves to its trimmed stdout. */
export async function git(folder: string, ...args: readonly string[]): Promise<string> {
  return gitWithInput(folder, '', ...args);
}

async function gitWithInput(
  folder: string,
  input: string | Buffer,
  ...args: readonly string[]
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      'git',
      ['-C', folder, ...args],
      { env: environment, maxBuffer: 64 * 1024 * 1024, timeout: 60_000 },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout.trim());
        else reject(new Error(`git ${args.join(' ')}: ${stderr.trim()}`));
      },
    );
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}

/**
 * One git that moves refs of `folder`, however often. For whoever measures what a new commit costs: a
 * process for each would be a cost of the measuring.
 */
export class RefMover {
  readonly #git: ChildProcessByStdio<Writable, Readable, null>;
  readonly #answers: AsyncIterator<string>;
  readonly #closed: Promise<void>;

  constructor(private readonly folder: string) {
    this.#git = spawn('git', ['-C', folder, 'update-ref', '--stdin'], {
      env: environment,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#git.stdin.on('error', () => undefined);
    this.#closed = new Promise((resolve) => this.#git.once('close', () => resolve()));
    this.#answers = createInterface(this.#git.stdout)[Symbol.asyncIterator]();
  }

  async move(ref: string, commit: string): Promise<void> {
    this.#git.stdin.write(`start\nupdate ${ref} ${commit}\ncommit\n`);
    for (const wanted of ['start: ok', 'commit: ok']) {
      const { value, done } = await this.#answers.next();
      if (done === true || value !== wanted)
        throw new Error(`git does not move ${ref} of ${this.folder} to ${commit}`);
    }
  }

  async close(): Promise<void> {
    this.#git.stdin.end();
    await this.#closed;
  }
}

/** A new repository at `path`: with a work tree, or bare. Default branch `main`. Resolves to `path`. */
export async function makeRepository(
  path: string,
  options: { readonly bare?: boolean; readonly objectFormat?: 'sha1' | 'sha256' } = {},
): Promise<string> {
  await mkdir(path, { recursive: true });
  const bare = options.bare === true ? ['--bare'] : [];
  await git(
    path,
    'init',
    '--quiet',
    '--initial-branch=main',
    `--object-format=${options.objectFormat ?? 'sha1'}`,
    ...bare,
  );
  return path;
}

/** Text or bytes of a regular file; null takes it away; an object sets mode and content (a link's target, a submodule's commit). */
export type FileChange =
  | string
  | Buffer
  | null
  | { readonly mode: '100644' | '100755' | '120000' | '160000'; readonly content: string | Buffer };

/**
 * Commits these changes on top of `branch` (made when missing) without touching a work tree; works on
 * bare repositories and takes any path. `orphan` starts anew, as a force-push would. Resolves to the commit.
 */
export async function commitFiles(
  repository: string,
  files: Readonly<Record<string, FileChange>>,
  options: { readonly branch?: string; readonly message?: string; readonly orphan?: boolean } = {},
): Promise<string> {
  const ref = `refs/heads/${options.branch ?? 'main'}`;
  const parent =
    options.orphan === true
      ? ''
      : await git(repository, 'rev-parse', '--verify', '--quiet', ref).catch(() => '');
  const parts: (string | Buffer)[] = [
    `commit ${ref}\ncommitter Test <test@example.com> now\n`,
    ...data(options.message ?? `change ${Object.keys(files).slice(0, 3).join(', ')}`),
    parent === '' ? 'deleteall\n' : `from ${parent}\n`,
  ];
  for (const [path, change] of Object.entries(files)) {
    const quoted = `"${path.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
    if (change === null) parts.push(`D ${quoted}\n`);
    else if (typeof change === 'object' && 'mode' in change && change.mode === '160000')
      parts.push(`M 160000 ${change.content.toString()} ${quoted}\n`);
    else if (typeof change === 'object' && 'mode' in change)
      parts.push(`M ${change.mode} inline ${quoted}\n`, ...data(change.content));
    else parts.push(`M 100644 inline ${quoted}\n`, ...data(change));
  }
  parts.push('\ndone\n');
  const stream = Buffer.concat(parts.map((part) => Buffer.from(part)));
  await gitWithInput(repository, stream, 'fast-import', '--quiet', '--force', '--done', '--date-format=now');
  return git(repository, 'rev-parse', ref);
}

function data(content: string | Buffer): (string | Buffer)[] {
  const bytes = Buffer.from(content);
  return [`data ${bytes.length}\n`, bytes, '\n'];
}

/** Undoes the last commit of `branch` by a new one, as `git revert` would. Resolves to the commit. */
export async function revertLast(repository: string, branch = 'main'): Promise<string> {
  const tree = await git(repository, 'rev-parse', `${branch}~1^{tree}`);
  const commit = await git(repository, 'commit-tree', tree, '-p', branch, '-m', 'revert');
  await git(repository, 'update-ref', `refs/heads/${branch}`, commit);
  return commit;
}

/** Every pack of a repository loses its second half. Resolves to how many there were. */
export async function truncatePacks(gitFolder: string): Promise<number> {
  const folder = join(gitFolder, 'objects', 'pack');
  const packs = (await readdir(folder)).filter((name) => name.endsWith('.pack'));
  for (const pack of packs) {
    const path = join(folder, pack);
    await chmod(path, 0o644);
    await truncate(path, Math.floor((await readFile(path)).length / 2));
  }
  return packs.length;
}

/** Removes every object of a repository, loose and packed; refs stay. */
export async function deleteObjects(gitFolder: string): Promise<void> {
  const folder = join(gitFolder, 'objects');
  for (const name of await readdir(folder)) {
    if (name !== 'info') await rm(join(folder, name), { recursive: true, force: true });
  }
  await mkdir(join(folder, 'pack'), { recursive: true });
}

export interface GitHttpRequest {
  readonly method: string;
  readonly url: string;
  readonly authorization: string | null;
}

/** A real smart-HTTP Git server (`git http-backend`) on 127.0.0.1, serving every repository below `root`. */
export interface GitHttpServer {
  /** `http://127.0.0.1:<port>`; a repository's address is `<url>/<folder below root>`. */
  readonly url: string;
  readonly port: number;
  readonly requests: GitHttpRequest[];
  /** What it does with every request from now on; null serves. */
  answer: { readonly status: number; readonly location?: string } | 'hang' | null;
  /** With a token, requests need it as the password of basic authentication. */
  token: string | null;
  /** Requests with the right token are sent there. */
  redirectAfterLogin: string | null;
  /** Answers are cut off after so many bytes: in the midst of a pack. */
  truncateAt: number | null;
  /** Of the requests it left hanging, the most at the same time. */
  mostHanging: number;
  close(): Promise<void>;
}

export async function startGitHttp(
  root: string,
  options: { readonly port?: number; readonly token?: string; readonly protocol?: 'dumb' | 'v0' | 'v2' } = {},
): Promise<GitHttpServer> {
  const requests: GitHttpRequest[] = [];
  const children = new Set<ChildProcess>();
  let hanging = 0;
  const http: Server = createServer((request, response) => {
    requests.push({
      method: request.method ?? '',
      url: request.url ?? '',
      authorization: request.headers.authorization ?? null,
    });
    if (server.answer === 'hang') {
      hanging += 1;
      server.mostHanging = Math.max(server.mostHanging, hanging);
      response.once('close', () => (hanging -= 1));
      return;
    }
    if (server.answer !== null) {
      const { status, location } = server.answer;
      response
        .writeHead(status, location === undefined ? {} : { location: location + (request.url ?? '') })
        .end();
    } else if (server.token !== null && passwordOf(request) !== server.token) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
    } else if (server.redirectAfterLogin !== null) {
      response.writeHead(302, { location: server.redirectAfterLogin + (request.url ?? '') }).end();
    } else {
      if (server.truncateAt !== null) cutAfter(response, server.truncateAt);
      runBackend(root, options.protocol ?? 'v2', request, response, children);
    }
  });
  await new Promise<void>((resolve, reject) => {
    http.once('error', reject);
    http.listen(options.port ?? 0, '127.0.0.1', () => resolve());
  });
  const address = http.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const server: GitHttpServer = {
    url: `http://127.0.0.1:${port}`,
    port,
    requests,
    answer: null,
    token: options.token ?? null,
    redirectAfterLogin: null,
    truncateAt: null,
    mostHanging: 0,
    async close() {
      for (const child of children) child.kill('SIGKILL');
      http.closeAllConnections();
      await new Promise<void>((resolve) => http.close(() => resolve()));
    },
  };
  return server;
}

function passwordOf(request: IncomingMessage): string | null {
  const encoded = /^Basic (.+)$/.exec(request.headers.authorization ?? '')?.[1];
  if (encoded === undefined) return null;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  return text.slice(text.indexOf(':') + 1);
}

/** Breaks the connection when more than `bytes` of the body were written. */
function cutAfter(response: ServerResponse, bytes: number): void {
  const write = response.write.bind(response) as (chunk: Buffer) => boolean;
  let left = bytes;
  response.write = (chunk: Buffer) => {
    const part = chunk.subarray(0, left);
    left -= part.length;
    if (part.length === chunk.length) return write(chunk);
    write(part);
    setImmediate(() => response.destroy());
    return false;
  };
}

function runBackend(
  root: string,
  protocol: 'dumb' | 'v0' | 'v2',
  request: IncomingMessage,
  response: ServerResponse,
  children: Set<ChildProcess>,
): void {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const child = spawn('git', ['http-backend'], {
    env: {
      ...environment,
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'safe.directory',
      GIT_CONFIG_VALUE_0: '*',
      PATH_INFO: decodeURIComponent(url.pathname),
      // Asked without a service it hands out files, as a plain web server would.
      QUERY_STRING: protocol === 'dumb' ? '' : url.search.slice(1),
      REQUEST_METHOD: request.method ?? 'GET',
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      ...(request.headers['content-length'] === undefined
        ? {}
        : { CONTENT_LENGTH: request.headers['content-length'] }),
      ...(request.headers['content-encoding'] === undefined
        ? {}
        : { HTTP_CONTENT_ENCODING: request.headers['content-encoding'] }),
      ...(protocol === 'v2' ? { GIT_PROTOCOL: String(request.headers['git-protocol'] ?? '') } : {}),
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  children.add(child);
  child.once('close', () => children.delete(child));
  child.stdin.on('error', () => undefined);
  request.pipe(child.stdin);
  let head: Buffer | null = Buffer.alloc(0);
  child.stdout.on('data', (chunk: Buffer) => {
    if (head === null) {
      response.write(chunk);
      return;
    }
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (end === -1) return;
    const lines = head.subarray(0, end).toString('latin1').split('\r\n');
    const fields = new Map(
      lines.map((line) => [
        line.slice(0, line.indexOf(':')).toLowerCase(),
        line.slice(line.indexOf(':') + 1).trim(),
      ]),
    );
    const status = Number.parseInt(fields.get('status') ?? '200', 10);
    fields.delete('status');
    response.writeHead(status, Object.fromEntries(fields));
    response.write(head.subarray(end + 4));
    head = null;
  });
  child.stdout.once('end', () => response.end());
}

/** A real sshd of our own on 127.0.0.1 that lets `keyFile` log in as the current user, and `git` over it. */
export interface GitSshServer {
  /** `ssh://user@127.0.0.1:<port>`; a repository's address is `<url><absolute path>`. */
  readonly url: string;
  readonly port: number;
  readonly keyFile: string;
  /** A key that is not let in. */
  readonly strangerKeyFile: string;
  readonly knownHostsFile: string;
  close(): Promise<void>;
}

/** @throws when sshd (Debian's openssh-server) is not installed */
export async function startGitSsh(options: {
  readonly port: number;
  readonly folder?: string;
}): Promise<GitSshServer> {
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'pointsman-sshd-')));
  await mkdir(folder, { recursive: true });
  const keyFile = await makeKey(join(folder, 'user_key'));
  const strangerKeyFile = await makeKey(join(folder, 'stranger_key'));
  const hostKey = await makeKey(join(folder, 'host_key'));
  await writeFile(join(folder, 'authorized_keys'), await readFile(`${keyFile}.pub`), { mode: 0o600 });
  const knownHostsFile = join(folder, 'known_hosts');
  const [type, key] = (await readFile(`${hostKey}.pub`, 'utf8')).split(' ');
  await writeFile(knownHostsFile, `[127.0.0.1]:${options.port} ${type} ${key}\n`);
  const lines = [
    `Port ${options.port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${hostKey}`,
    'PidFile none',
    `AuthorizedKeysFile ${join(folder, 'authorized_keys')}`,
    'StrictModes no',
    'UsePAM no',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'PermitRootLogin prohibit-password',
    'AcceptEnv GIT_PROTOCOL',
    'LogLevel VERBOSE',
  ];
  await writeFile(join(folder, 'sshd_config'), `${lines.join('\n')}\n`);
  // The privilege separation folder is made by Debian's init script, which does not run here.
  if (userInfo().uid === 0) await mkdir('/run/sshd', { recursive: true, mode: 0o755 });
  const child = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', join(folder, 'sshd_config')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString('utf8')));
  child.once('error', (error) => (log += String(error)));
  await untilListening(
    options.port,
    () => child.exitCode !== null || child.pid === undefined,
    () => log,
  );
  return {
    url: `ssh://${userInfo().username}@127.0.0.1:${options.port}`,
    port: options.port,
    keyFile,
    strangerKeyFile,
    knownHostsFile,
    async close() {
      const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
      child.kill('SIGTERM');
      await gone;
      await rm(options.folder === undefined ? folder : join(folder, 'sshd_config'), {
        recursive: true,
        force: true,
      });
    },
  };
}

async function makeKey(path: string): Promise<string> {
  await rm(path, { force: true });
  await mkdir(dirname(path), { recursive: true });
  await new Promise<void>((resolve, reject) => {
    execFile('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'test', '-f', path], (error) =>
      error === null ? resolve() : reject(error),
    );
  });
  return path;
}

async function untilListening(port: number, isDead: () => boolean, why: () => string): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
    if (open) return;
    if (isDead()) break;
    await delay(50);
  }
  throw new Error(`sshd does not listen on port ${port}: ${why()}`);
}
