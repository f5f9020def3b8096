import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { onTestFinished } from 'vitest';
import type { CommandBackend } from '../../src/cli/backend.js';
import type { CliDeps } from '../../src/cli/context.js';
import { Interrupted } from '../../src/cli/io.js';
import { runCli } from '../../src/cli/program.js';
import { systemClock } from '../../src/clock.js';
import { settingsDefaults } from '../../src/settings/defaults.js';
import type { Settings } from '../../src/settings/settings.js';

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'pointsman-cli-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export function settingsIn(stateDir: string): Settings {
  return {
    ...settingsDefaults,
    instance: 'test',
    configRepo: { ...settingsDefaults.configRepo, url: '/srv/deploy.git', credential: null },
    credentials: [],
    stateDir,
    docker: { ...settingsDefaults.docker, socket: join(stateDir, 'no-docker.sock') },
    secrets: { dir: join(stateDir, 'no-secrets') },
    policy: { ...settingsDefaults.policy, frontends: [] },
  };
}

export interface CliOptions {
  readonly stateDir?: string;
  readonly backend?: Partial<CommandBackend>;
  readonly deps?: Partial<CliDeps>;
  readonly env?: Readonly<Record<string, string>>;
  /** stdout and stderr are terminals of so many columns. */
  readonly columns?: number;
  readonly rows?: number;
  /** Milliseconds since the epoch; the real time when left out. */
  readonly now?: number | (() => number);
  readonly cwd?: string;
}

export interface RunningCli {
  readonly exitCode: Promise<number>;
  /** All that was written so far. */
  out(): string;
  err(): string;
  interrupt(signal: 'SIGINT' | 'SIGTERM'): void;
  closeOutput(): void;
  /** Resolves when stdout holds `text`. */
  untilOut(text: string): Promise<void>;
}

/** Runs one command line in this process, its output captured. */
export function startCli(argv: readonly string[], options: CliOptions = {}): RunningCli {
  const interrupt = new AbortController();
  const outputClosed = new AbortController();
  const [stdout, stderr] = [capture(options), capture(options)];
  const deps: CliDeps = {
    loadSettings: () => Promise.resolve(settingsIn(options.stateDir ?? '/nonexistent/pointsman')),
    backend: () => Promise.resolve(options.backend as CommandBackend),
    ...options.deps,
  };
  const { now } = options;
  const exitCode = runCli(
    argv,
    {
      stdout: stdout.stream,
      stderr: stderr.stream,
      env: options.env ?? {},
      cwd: options.cwd ?? process.cwd(),
      clock:
        now === undefined ? systemClock : { ...systemClock, now: typeof now === 'number' ? () => now : now },
      interrupt: interrupt.signal,
      outputClosed: outputClosed.signal,
    },
    deps,
  );
  return {
    exitCode,
    out: stdout.text,
    err: stderr.text,
    interrupt: (signal) => interrupt.abort(new Interrupted(signal)),
    closeOutput: () => outputClosed.abort(new Error('EPIPE')),
    untilOut: stdout.until,
  };
}

/** Runs it to its end. */
export async function cli(
  argv: readonly string[],
  options: CliOptions = {},
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  const running = startCli(argv, options);
  const code = await running.exitCode;
  return { code, out: running.out(), err: running.err() };
}

function capture({ columns, rows }: CliOptions) {
  const stream = new PassThrough({ highWaterMark: 64 * 1024 * 1024 });
  if (columns !== undefined) Object.assign(stream, { isTTY: true, columns, rows: rows ?? 24 });
  let text = '';
  const waiting = new Set<() => void>();
  stream.setEncoding('utf8');
  stream.on('data', (part: string) => {
    text += part;
    for (const look of waiting) look();
  });
  const until = (wanted: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`"${wanted}" was never written, but: ${text}`)), 8_000);
      const look = (): void => {
        if (!text.includes(wanted)) return;
        waiting.delete(look);
        clearTimeout(timer);
        resolve();
      };
      waiting.add(look);
      look();
    });
  return { stream, text: () => text, until };
}

/** Without colours. */
export function plain(text: string): string {
  return text.replace(/\u001b\[[0-9;]*m/g, '');
}
