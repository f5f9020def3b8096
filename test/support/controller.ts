/** The built controller as a child process, watched through what anybody could read: status, journal, log. */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readJournal } from '../../src/record/journal.js';
import type { JournalRecord } from '../../src/record/port.js';
import type { Status, ProjectStatus } from '../../src/record/status.generated.js';

const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const killHook = new URL('kill-at.mjs', import.meta.url).href;

/** Longest wait for anything that is not told otherwise. */
const defaultWithinMs = 90_000;
const betweenLooksMs = 25;

/** Where the controller kills itself: see kill-at.mjs. */
export type KillAt =
  | {
      readonly record: Readonly<Record<string, unknown>>;
      readonly when: 'before' | 'torn' | 'after';
      readonly skip?: number;
    }
  | { readonly file: string; readonly when: 'before' | 'after'; readonly skip?: number };

/** What has to be added to the command line and the environment of `node` for `killAt`. */
export function killAtArguments(killAt: KillAt): {
  readonly args: string[];
  readonly env: Record<string, string>;
} {
  return { args: ['--import', killHook], env: { KILL_AT: JSON.stringify(killAt) } };
}

export interface ControllerOptions {
  readonly settingsFile: string;
  readonly stateDir: string;
  readonly killAt?: KillAt;
  readonly env?: Readonly<Record<string, string>>;
  /** After `run`: `--once`. */
  readonly args?: readonly string[];
  /** A command that takes ours as its arguments, and becomes it. */
  readonly enter?: readonly string[];
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** What a wait looks at. */
export interface View {
  /** Null before the first one. */
  readonly status: Status | null;
  readonly journal: readonly JournalRecord[];
}

/** One line of the controller's log. */
export type LogLine = Readonly<Record<string, unknown>>;

export function startController(options: ControllerOptions): Controller {
  return new Controller(options);
}

export class Controller {
  readonly pid: number;
  /** Resolves when the process is gone. */
  readonly exited: Promise<Exit>;
  /** Every line of its log so far, parsed. */
  readonly log: LogLine[] = [];
  #exit: Exit | null = null;
  #errors = '';
  readonly #child: ChildProcess;
  readonly #stateDir: string;

  constructor({ settingsFile, stateDir, killAt, env, args = [], enter = [] }: ControllerOptions) {
    this.#stateDir = stateDir;
    const hook = killAt === undefined ? { args: [], env: {} } : killAtArguments(killAt);
    const ours = [process.execPath, ...hook.args, main, 'run', ...args, '--config', settingsFile];
    const [program = '', ...programArguments] = [...enter, ...ours];
    const child = spawn(program, programArguments, {
      env: { ...process.env, ...hook.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    this.pid = child.pid ?? 0;
    let rest = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      this.log.push(...lines.map(parseLine));
    });
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (this.#errors += chunk));
    this.exited = new Promise((resolve) => {
      child.once('error', (error) => (this.#errors += error.message));
      child.once('close', (code, signal) => resolve((this.#exit = { code, signal })));
    });
  }

  /** What it wrote to stderr. */
  get errors(): string {
    return this.#errors;
  }

  /** Null before the first one. Fails on one that is not whole: readers never see that (SPEC section 6). */
  async status(): Promise<Status | null> {
    try {
      return JSON.parse(await readFile(join(this.#stateDir, 'status.json'), 'utf8')) as Status;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
  }

  /** The status, if this very process has written one. */
  async ownStatus(): Promise<Status | null> {
    const status = await this.status();
    return status?.controller.pid === this.pid ? status : null;
  }

  async project(name: string): Promise<ProjectStatus | null> {
    return (await this.ownStatus())?.projects[name] ?? null;
  }

  /** Every record, oldest first, of earlier controllers too. */
  async journal(): Promise<readonly JournalRecord[]> {
    const records: JournalRecord[] = [];
    for await (const record of readJournal(this.#stateDir)) records.push(record);
    return records;
  }

  /**
   * Resolves to the first answer of `look` that is neither null, undefined nor false. Rejects, with
   * status and the end of the log, when `withinMs` pass or the controller ends before.
   */
  async waitFor<Answer>(
    what: string,
    look: (view: View) => Answer | null | undefined | false | Promise<Answer | null | undefined | false>,
    withinMs = defaultWithinMs,
  ): Promise<Answer> {
    const until = performance.now() + withinMs;
    for (;;) {
      // Before the look: what it did last is seen by it.
      const exit = this.#exit;
      const answer = await look({ status: await this.ownStatus(), journal: await this.journal() });
      if (answer !== null && answer !== undefined && answer !== false) return answer;
      if (exit !== null)
        throw new Error(await this.#explain(`the controller ended (${describe(exit)}) before ${what}`));
      if (performance.now() > until)
        throw new Error(await this.#explain(`not within ${withinMs} ms: ${what}`));
      await delay(betweenLooksMs);
    }
  }

  /** Waits until the project is `live`, bake included; of this commit of its source or its manifest where one is given. */
  waitLive(
    project: string,
    wanted: { readonly sourceCommit?: string; readonly configCommit?: string } = {},
    withinMs = defaultWithinMs,
  ): Promise<ProjectStatus> {
    return this.waitFor(
      `${project} is live ${JSON.stringify(wanted)}`,
      ({ status }) => {
        const found = status?.projects[project];
        if (found?.state !== 'live' || found.live === null) return null;
        if (wanted.sourceCommit !== undefined && found.live.sourceCommit !== wanted.sourceCommit) return null;
        if (wanted.configCommit !== undefined && found.desired?.configCommit !== wanted.configCommit)
          return null;
        return found;
      },
      withinMs,
    );
  }

  /**
   * Waits until the state of `configCommit` was read, no project is progressing or being removed, and
   * no slot is draining. With `sourceCommits` those must be what the projects want.
   */
  waitIdle(
    {
      configCommit,
      sourceCommits = {},
    }: { readonly configCommit: string; readonly sourceCommits?: Readonly<Record<string, string>> },
    withinMs = defaultWithinMs,
  ): Promise<Status> {
    return this.waitFor(
      `all is quiet at ${configCommit}`,
      ({ status }) => {
        if (status === null || status.source.commit !== configCommit) return null;
        if (status.summary.progressing + status.summary.removing > 0) return null;
        const projects = Object.values(status.projects);
        if (projects.some(({ phase, previous }) => phase !== null || previous?.state === 'draining'))
          return null;
        const behind = Object.entries(sourceCommits).some(
          ([name, commit]) => status.projects[name]?.desired?.sourceCommit !== commit,
        );
        return behind ? null : status;
      },
      withinMs,
    );
  }

  /**
   * Waits until it has looked at the config repository, the sources and every project that waits for
   * something, two more times: what it would do by itself now, it has had the time to do.
   */
  async waitLooks(): Promise<void> {
    const seen = new Set<string | null>();
    await this.waitFor('it looked again', ({ status }) => {
      if (status !== null) seen.add(status.source.lastAttemptAt);
      // The look that was on, two whole ones, and the beginning of the next.
      return seen.size > 3;
    });
  }

  /** SIGTERM; resolves when it has left the action in hand. Ended already is fine. */
  async stop(withinMs = 60_000): Promise<Exit> {
    if (this.#exit !== null) return this.#exit;
    this.#child.kill('SIGTERM');
    const late = new AbortController();
    try {
      return await Promise.race([
        this.exited,
        delay(withinMs, undefined, { signal: late.signal }).then(async () => {
          const message = await this.#explain(`the controller did not stop within ${withinMs} ms`);
          await this.kill();
          throw new Error(message);
        }),
      ]);
    } finally {
      late.abort();
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** SIGKILL, as a crash. Ended already is fine. */
  async kill(): Promise<Exit> {
    this.#child.kill('SIGKILL');
    return this.exited;
  }

  async #explain(what: string): Promise<string> {
    const status = await this.status().catch((error: unknown) => String(error));
    const tail = this.log.slice(-40).map((line) => JSON.stringify(line));
    return [
      what,
      'status:',
      JSON.stringify(status, null, 1),
      'the end of the log:',
      ...tail,
      this.#errors,
    ].join('\n');
  }
}

function parseLine(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    // The contract is JSON lines; whatever else comes is kept for whoever asserts that.
    return { notJson: line };
  }
}

function describe({ code, signal }: Exit): string {
  return signal ?? `status ${code}`;
}
