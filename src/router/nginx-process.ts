import { execFile } from 'node:child_process';
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../clock.js';
import { PointsmanError, messageOf } from '../errors.js';
import { replaceFile, textAtOnce } from '../files.js';
import type { Logger } from '../log.js';
import type { Settings } from '../settings/settings.js';
import type { Layout } from './layout.js';
import { childrenOf, commandLine, listenerOf, parentOf, stateOf } from './process-table.js';
import { askNginx, splitAddress } from './verify.js';

/** `nginx -t` of 10,000 sites takes about 8 s (DESIGN section 3). */
const commandTimeoutMs = 120_000;
const startTimeoutMs = 15_000;
const reloadTimeoutMs = 60_000;
const pollMs = 10;
/** Instead of a barrier where workers cannot be seen: a turn of a worker's event loop takes far less. */
const blindBarrierMs = 1_000;

export interface NginxProgram {
  readonly binary: string;
  /** Of system mode. */
  readonly mainConf: string;
}

export interface CommandResult {
  readonly ok: boolean;
  readonly output: string;
}

/** The nginx program and its processes. */
export class NginxProcess {
  constructor(
    private readonly deps: {
      readonly settings: Settings['nginx'];
      readonly layout: Layout;
      readonly program: NginxProgram;
      readonly clock: Clock;
      readonly log: Logger;
    },
  ) {}

  /** Runs `nginx` with these arguments. @throws PointsmanError NginxUnavailable when the program is missing */
  async command(args: readonly string[]): Promise<CommandResult> {
    return new Promise((resolve, reject) => {
      const options = { timeout: commandTimeoutMs, maxBuffer: 4 * 1024 * 1024 };
      execFile(this.deps.program.binary, [...args], options, (error, stdout, stderr) => {
        if (error !== null && (error as NodeJS.ErrnoException).code === 'ENOENT') {
          reject(
            new PointsmanError(
              'NginxUnavailable',
              `${this.deps.program.binary} is not installed: apt-get install nginx-light`,
            ),
          );
          return;
        }
        resolve({ ok: error === null, output: stdout + stderr });
      });
    });
  }

  /** `1.22.1`. */
  async version(): Promise<string> {
    const { output } = await this.command(['-v']);
    return /nginx\/(\d+\.\d+\.\d+)/.exec(output)?.[1] ?? '0.0.0';
  }

  /** Pid of the master that serves our configuration; null when nothing answers for it. */
  async master(): Promise<number | null> {
    return this.#namedMaster() ?? this.#answeringMaster();
  }

  /**
   * Whether the managed nginx runs. A master that ends takes the pid file with it, though another one may
   * have the ports by then: that one's is written anew.
   */
  async isRunning(): Promise<boolean> {
    if (this.#namedMaster() !== null) return true;
    const master = await this.#answeringMaster();
    if (master === null) return false;
    await replaceFile(this.deps.layout.pid, `${master}\n`, 0o644, false);
    return true;
  }

  /** Processes that serve, those included that finish their last requests after a reload. */
  async workers(): Promise<readonly number[]> {
    const master = await this.master();
    if (master === null) return [];
    const children = await childrenOf(master);
    return children.filter((pid) => commandLine(pid)?.includes('nginx: worker process') === true);
  }

  async generation(signal?: AbortSignal): Promise<string | null> {
    return askNginx(this.deps.settings.verify, '/generation', signal).catch(() => {
      signal?.throwIfAborted();
      return null;
    });
  }

  /** Starts the managed nginx, which outlives us. @throws PointsmanError NginxUnavailable */
  async start(generation: string, signal: AbortSignal): Promise<void> {
    await this.#endOrphans(signal);
    const since = await this.#errorLogSize();
    const { ok, output } = await this.command(['-c', this.deps.layout.main]);
    if (!ok) throw await this.#explain(output);
    if (!(await this.#waitForGeneration(generation, startTimeoutMs, since, signal))) {
      throw await this.#explain(await this.errorsSince(since));
    }
    this.deps.log.info({ pid: this.#pidFile() }, 'nginx started');
  }

  /**
   * Reloads and waits until every process that accepts connections has the new generation. The exit code
   * of a reload proves nothing: with a port taken it is 0 and the old configuration goes on.
   * @throws PointsmanError NginxUnavailable
   */
  async reload(generation: string, signal: AbortSignal): Promise<void> {
    const since = await this.#errorLogSize();
    const before = new Set(await this.workers());
    if (this.deps.settings.mode === 'managed') {
      const master = await this.master();
      if (master === null) throw new PointsmanError('NginxUnavailable', 'nginx is not running');
      tryKill(master, 'SIGHUP');
    } else {
      const { ok, output } = await this.command(['-c', this.deps.program.mainConf, '-s', 'reload']);
      if (!ok)
        throw new PointsmanError(
          'NginxUnavailable',
          `nginx -s reload: ${lastError(output)}: is the machine's nginx running (systemctl start nginx)?`,
        );
    }
    if (!(await this.#waitForGeneration(generation, reloadTimeoutMs, since, signal))) {
      throw await this.#explain(await this.errorsSince(since));
    }
    await this.#untilRetired(before, signal);
  }

  /** Lines that nginx logged since `from` bytes (managed mode). */
  async errorsSince(from: number): Promise<string> {
    try {
      const handle = await open(this.#errorLog, 'r');
      try {
        const { size } = await handle.stat();
        const length = Math.min(Math.max(0, size - from), 64 * 1024);
        const { buffer } = await handle.read(Buffer.alloc(length), 0, length, size - length);
        return buffer.toString('utf8');
      } finally {
        await handle.close();
      }
    } catch {
      return '';
    }
  }

  /**
   * Resolves when every worker has ended the turn of its event loop that it was in: it has been seen
   * waiting for events, or it is gone. A request that chose its slot before the call has connected then,
   * because both happen in one turn. Where /proc shows no workers (another PID namespace, or nginx is
   * down) nothing better than waiting is left.
   */
  async barrier(signal: AbortSignal): Promise<void> {
    const { clock } = this.deps;
    let waiting = await this.workers();
    if (waiting.length === 0) return clock.sleep(blindBarrierMs, signal);
    for (;;) {
      signal.throwIfAborted();
      waiting = waiting.filter((pid) => !['S', null].includes(stateOf(pid)));
      if (waiting.length === 0) return;
      await clock.sleep(1, signal);
    }
  }

  /** Ends the managed nginx. */
  async stop(signal: AbortSignal): Promise<void> {
    const master = await this.master();
    if (master === null) return;
    process.kill(master, 'SIGQUIT');
    const hurry = this.deps.clock.timer(1_000, () => tryKill(master, 'SIGTERM'));
    try {
      while (commandLine(master)?.includes('nginx') === true) await this.deps.clock.sleep(pollMs, signal);
    } finally {
      hurry();
    }
  }

  get #errorLog(): string {
    return join(this.deps.layout.logs, 'error.log');
  }

  async #errorLogSize(): Promise<number> {
    return stat(this.#errorLog).then(
      ({ size }) => size,
      () => 0,
    );
  }

  /** The managed nginx's, by its pid file. */
  #namedMaster(): number | null {
    if (this.deps.settings.mode !== 'managed') return null;
    const pid = this.#pidFile();
    return pid !== null && this.#isOurMaster(pid) ? pid : null;
  }

  /** That of the worker which answers at the verify address. */
  async #answeringMaster(): Promise<number | null> {
    const worker = await this.#worker();
    const parent = worker === null ? null : parentOf(worker);
    if (parent === null) return null;
    // Another managed nginx may hold our verify address: its master is none of our business.
    if (this.deps.settings.mode === 'managed') return this.#isOurMaster(parent) ? parent : null;
    return commandLine(parent)?.includes('nginx: master process') === true ? parent : null;
  }

  /** Null where nobody can tell by it. */
  #pidFile(): number | null {
    try {
      const text = textAtOnce(this.deps.layout.pid) ?? '';
      return /^\d+\s*$/.test(text) ? Number(text) : null;
    } catch {
      return null;
    }
  }

  #isOurMaster(pid: number): boolean {
    const line = commandLine(pid);
    return line !== null && line.includes('nginx: master process') && line.includes(this.deps.layout.main);
  }

  async #worker(): Promise<number | null> {
    const answer = await askNginx(this.deps.settings.verify, '/pid').catch(() => '');
    return /^\d+$/.test(answer) ? Number(answer) : null;
  }

  /** Workers whose master was killed alone still hold the ports: they finish and go. */
  async #endOrphans(signal: AbortSignal): Promise<void> {
    for (let round = 0; round < 64; round += 1) {
      const worker = await this.#worker();
      if (worker === null || commandLine(worker)?.includes('nginx: worker process') !== true) return;
      if (commandLine(parentOf(worker) ?? 0)?.includes('nginx: master') === true) return;
      this.deps.log.warn({ pid: worker }, 'ending an nginx worker that lost its master');
      tryKill(worker, 'SIGQUIT');
      await this.deps.clock.sleep(20, signal);
    }
  }

  async #waitForGeneration(
    generation: string,
    withinMs: number,
    logFrom: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { clock } = this.deps;
    const deadline = clock.monotonic() + withinMs;
    for (;;) {
      if ((await this.generation(signal)) === generation) return true;
      if (clock.monotonic() > deadline || /\[emerg\]/.test(await this.errorsSince(logFrom))) return false;
      await clock.sleep(pollMs, signal);
    }
  }

  /** The workers of the old generation have closed their listening sockets when their title says so. */
  async #untilRetired(old: ReadonlySet<number>, signal: AbortSignal): Promise<void> {
    const { clock } = this.deps;
    const deadline = clock.monotonic() + reloadTimeoutMs;
    for (const pid of old) {
      for (;;) {
        const line = commandLine(pid);
        if (line === null || line === '' || line.includes('is shutting down')) break;
        if (clock.monotonic() > deadline)
          throw new PointsmanError('NginxUnavailable', `nginx worker ${pid} does not end after a reload`);
        await clock.sleep(pollMs, signal);
      }
    }
  }

  async #explain(output: string): Promise<PointsmanError> {
    const line = lastError(output);
    const taken = /bind\(\) to (\S+) failed \(98:/.exec(output)?.[1] ?? (await this.#verifyTaken());
    if (taken !== undefined) {
      const [, port] = splitAddress(taken);
      const holder = await listenerOf(port).catch(() => null);
      const who =
        holder === null ? 'another process' : `process ${holder.pid} (${holder.command.slice(0, 80)})`;
      return new PointsmanError(
        'NginxUnavailable',
        `nginx cannot listen on ${taken}: ${who} holds the port; stop it, or change nginx.listen or nginx.verify`,
      );
    }
    const denied = /bind\(\) to (\S+) failed \(13:/.exec(output)?.[1];
    if (denied !== undefined) {
      return new PointsmanError(
        'NginxUnavailable',
        `nginx may not listen on ${denied}: ports below 1024 need root; run as root, or change nginx.listen`,
      );
    }
    const { mode, confDir } = this.deps.settings;
    const silent =
      mode === 'managed'
        ? `it does not say why, see ${this.#errorLog}`
        : `does ${this.deps.program.mainConf} include ${confDir}/*.conf? Its own error log may say more`;
    return new PointsmanError(
      'NginxUnavailable',
      `nginx does not take its configuration: ${line === '' ? silent : line}`,
    );
  }

  /** The verify address when something else than nginx listens there. */
  async #verifyTaken(): Promise<string | undefined> {
    const { verify } = this.deps.settings;
    const holder = await listenerOf(splitAddress(verify)[1]).catch(() => null);
    return holder === null || holder.command.startsWith('nginx:') ? undefined : verify;
  }
}

/** The last line in which nginx gives a reason. */
export function lastError(output: string): string {
  const lines = output.split('\n').filter((line) => /\[(emerg|alert|crit|error)\]/.test(line));
  const line = lines.at(-1) ?? output.trim().split('\n').at(-1) ?? '';
  return line.replace(/^.*?\[(emerg|alert|crit|error)\] (\d+#\d+: )?/, '').slice(0, 500);
}

function tryKill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH')
      throw new PointsmanError('NginxUnavailable', messageOf(error));
  }
}
