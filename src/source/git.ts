import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { existsSync } from 'node:fs';
import { lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { PointsmanError } from '../errors.js';
import { makeFolder, replaceFile, textAtOnce } from '../files.js';
import { joinSignals, onAbort } from '../signals.js';
import PQueue from 'p-queue';

/** What one call of `git` gets besides its arguments: which credential, which server keys. */
export interface GitAccess {
  /** `name=value` settings, passed with `-c`. Never a secret: arguments are public on the machine. */
  readonly config: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export interface GitCall {
  readonly args: readonly string[];
  readonly signal: AbortSignal;
  /** Bound of the whole call, milliseconds. Default 30 s. */
  readonly timeoutMs?: number | undefined;
  /** Bound of stdout, bytes. Default 64 MiB. */
  readonly maxBytes?: number;
  readonly input?: string | undefined;
  readonly access?: GitAccess;
  /** Where the call waits for its turn; its time begins after that. Default: with all calls on local mirrors. */
  readonly queue?: PQueue;
}

export interface GitResult {
  readonly code: number;
  readonly stdout: Buffer;
  /** The last 16 KiB at most. */
  readonly stderr: string;
}

/** A running `git` whose stdout is read by the caller. */
export interface GitStream {
  readonly stdout: Readable;
  /** Resolves when the process is gone. Never rejects. */
  readonly ended: Promise<{ readonly code: number; readonly stderr: string }>;
  /** Ends the process and everything it started. Ended already is fine. */
  kill(): void;
}

const defaultTimeoutMs = 30_000;
const defaultMaxBytes = 64 * 1024 * 1024;
const stderrLimit = 16 * 1024;
const killAfterMs = 2_000;
/** Processes that read or write mirrors: each takes a few milliseconds of a core. */
const localCallsAtOnce = 8;
/** Longer than any call may take: a credential file this old belongs to a controller that died. */
const credentialLifeMs = 30 * 60_000;

const keptVariables = [
  ...['http_proxy', 'https_proxy', 'all_proxy', 'no_proxy'].flatMap((name) => [name, name.toUpperCase()]),
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'GIT_SSL_CAINFO',
  'GIT_SSL_CAPATH',
];

/**
 * The whole of git's global configuration for our calls; the machine's own is never read. Git streams files
 * above `bigFileThreshold`; one below it, 512 MiB by default, it holds in memory while it writes an archive,
 * which takes twice as long, too.
 */
const globalConfig = `[safe]
	directory = *
[core]
	hooksPath = /dev/null
	fsmonitor = false
	autocrlf = false
	askPass =
	bigFileThreshold = 16m
[gc]
	auto = 0
	writeCommitGraph = false
[maintenance]
	auto = false
[protocol]
	version = 2
[fetch]
	recurseSubmodules = false
	writeCommitGraph = false
[submodule]
	recurse = false
[transfer]
	credentialsInUrl = die
[uploadpack]
	allowAnySHA1InWant = true
[http]
	lowSpeedLimit = 1
	lowSpeedTime = 60
[advice]
	detachedHead = false
[tar]
	umask = 0022
`;

/**
 * The `git` program with a clean environment: no shell of ours, no prompt, no hook, no configuration
 * but ours, only http(s), ssh and local paths. `folder` (0700, made at the first call) holds that
 * configuration and, for the length of a call, credentials.
 */
export class Git {
  readonly folder: string;
  readonly #local = new PQueue({ concurrency: localCallsAtOnce });
  #prepared: Promise<void> | null = null;

  constructor(deps: { readonly folder: string }) {
    this.folder = deps.folder;
  }

  /**
   * Runs to the end, whatever the exit code.
   * @throws PointsmanError SourceUnreachable when git is missing, takes longer than `timeoutMs` or says more than `maxBytes`;
   *   the signal's reason when it aborts
   */
  async run(call: GitCall): Promise<GitResult> {
    await this.prepare();
    // Of its own: the queue listens to it, and node warns from eleven listeners of one signal on.
    const { signal, release } = joinSignals(call.signal);
    const run = (): Promise<GitResult> => this.#runNow({ ...call, signal });
    return (call.queue ?? this.#local).add(run, { signal }).finally(release);
  }

  async #runNow(call: GitCall): Promise<GitResult> {
    const timeoutMs = call.timeoutMs ?? defaultTimeoutMs;
    const maxBytes = call.maxBytes ?? defaultMaxBytes;
    const child = this.#spawn(call.args, call.access, call.input);
    const chunks: Buffer[] = [];
    let size = 0;
    let failure: PointsmanError | null = null;
    const fail = (error: PointsmanError): void => {
      failure ??= error;
      child.kill();
    };
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxBytes)
        fail(
          new PointsmanError('SourceUnreachable', `git ${verb(call.args)} said more than ${maxBytes} bytes`),
        );
      else chunks.push(chunk);
    });
    const timer = setTimeout(() => {
      fail(
        new PointsmanError(
          'SourceUnreachable',
          `git ${verb(call.args)} gave no answer within ${timeoutMs / 1000} s; check the server and the network`,
        ),
      );
    }, timeoutMs);
    const stopListening = onAbort(call.signal, child.kill);
    try {
      const { code, stderr } = await child.ended;
      call.signal.throwIfAborted();
      if (failure !== null) throw failure as PointsmanError;
      return { code, stdout: Buffer.concat(chunks), stderr };
    } finally {
      clearTimeout(timer);
      stopListening();
    }
  }

  /** The same on the repository at `path`. */
  async runIn(
    path: string,
    args: readonly string[],
    call: {
      readonly signal: AbortSignal;
      readonly input?: string | undefined;
      readonly timeoutMs?: number | undefined;
    },
  ): Promise<GitResult> {
    return this.run({ ...call, args: [`--git-dir=${path}`, ...args] });
  }

  /** Starts git and hands its stdout over. The caller bounds it by `kill`, and aborting kills it too. */
  async stream(args: readonly string[], signal: AbortSignal): Promise<GitStream> {
    await this.prepare();
    signal.throwIfAborted();
    const child = this.#spawn(args, undefined, undefined);
    void child.ended.then(onAbort(signal, child.kill));
    return child;
  }

  /** Lays out the private folder. Called by every run; a failure is tried again by the next one. */
  async prepare(): Promise<void> {
    // The state directory may be taken away under a running controller.
    if (this.#prepared !== null && !existsSync(join(this.folder, '.gitconfig'))) this.#prepared = null;
    this.#prepared ??= this.#layOut().catch((error: unknown) => {
      this.#prepared = null;
      throw error;
    });
    await this.#prepared;
  }

  async #layOut(): Promise<void> {
    await makeFolder(this.folder, 0o700);
    const config = join(this.folder, '.gitconfig');
    // As a rule it is there: a controller that starts beside this takes half-written files away.
    if (textAtOnce(config) !== globalConfig) await replaceFile(config, globalConfig, 0o600);
    for (const name of await readdir(this.folder)) {
      const path = join(this.folder, name);
      if (!name.startsWith('credential-') && !name.endsWith('.tmp')) continue;
      const facts = await lstat(path).catch(() => null);
      if (facts !== null && Date.now() - facts.mtimeMs > credentialLifeMs) await rm(path, { force: true });
    }
  }

  #environment(access: GitAccess | undefined): Record<string, string> {
    const env: Record<string, string> = {};
    for (const name of keptVariables) {
      const value = process.env[name];
      if (value !== undefined) env[name] = value;
    }
    return {
      ...env,
      PATH: process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin',
      // Git before 2.32 knows no GIT_CONFIG_GLOBAL; it finds the same file through HOME.
      HOME: this.folder,
      GIT_CONFIG_GLOBAL: join(this.folder, '.gitconfig'),
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_ATTR_NOSYSTEM: '1',
      GIT_CEILING_DIRECTORIES: join(this.folder, '..'),
      GIT_TERMINAL_PROMPT: '0',
      GIT_ASKPASS: '',
      SSH_ASKPASS: '',
      SSH_ASKPASS_REQUIRE: 'never',
      GIT_ALLOW_PROTOCOL: 'http:https:ssh:file',
      GIT_NO_LAZY_FETCH: '1',
      GIT_NO_REPLACE_OBJECTS: '1',
      GIT_OPTIONAL_LOCKS: '0',
      LANG: 'C',
      LC_ALL: 'C',
      ...access?.env,
    };
  }

  #spawn(args: readonly string[], access: GitAccess | undefined, input: string | undefined): GitStream {
    const settings = (access?.config ?? []).flatMap((setting) => ['-c', setting]);
    // A process group of its own: git's helpers (ssh, git-remote-https, index-pack) end with it.
    const child: ChildProcessByStdio<Writable, Readable, Readable> = spawn('git', [...settings, ...args], {
      cwd: this.folder,
      env: this.#environment(access),
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    });
    let stderr = '';
    child.stderr.setEncoding('utf8');
    child.stderr.on('data', (text: string) => {
      stderr = (stderr + text).slice(-stderrLimit);
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(input ?? '');
    const ended = new Promise<{ code: number; stderr: string }>((resolve) => {
      child.once('error', (error: NodeJS.ErrnoException) => {
        if (child.pid !== undefined) return;
        child.stdout.destroy();
        resolve({
          code: 127,
          stderr:
            error.code === 'ENOENT'
              ? 'fatal: the git program was not found'
              : `fatal: git cannot be started: ${error.message}`,
        });
      });
      child.once('close', (code) => resolve({ code: code ?? 128, stderr }));
    });
    return { stdout: child.stdout, ended, kill: groupKiller(child.pid, ended) };
  }
}

function groupKiller(pid: number | undefined, ended: Promise<unknown>): () => void {
  let state: 'running' | 'killed' | 'gone' = pid === undefined ? 'gone' : 'running';
  let timer: NodeJS.Timeout | undefined;
  void ended.then(() => {
    state = 'gone';
    clearTimeout(timer);
  });
  const send = (signal: NodeJS.Signals): void => {
    // After the end the number may belong to somebody else.
    if (pid === undefined || state === 'gone') return;
    try {
      process.kill(-pid, signal);
    } catch {
      // Nobody of the group is left.
    }
  };
  return () => {
    if (state !== 'running') return;
    send('SIGTERM');
    state = 'killed';
    timer = setTimeout(() => send('SIGKILL'), killAfterMs);
  };
}

function verb(args: readonly string[]): string {
  return args.find((arg) => /^[a-z][a-z-]*$/.test(arg)) ?? '';
}
