import { execFile, fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { FromLoad, LoadOptions, ToLoad } from './load-protocol.js';

const run = promisify(execFile);

/**
 * The load of the swap benchmark, running. Its threads go before everything else where that may be asked
 * for: clients are on other machines as a rule, and one that waits for the processor here would read as
 * a slow answer.
 */
export class Load {
  private constructor(
    private readonly child: ChildProcess,
    /** What this machine could not do. */
    readonly notes: readonly string[],
  ) {}

  /** Threads that come later are as the one that makes them. */
  static async start(options: LoadOptions): Promise<Load> {
    const child = fork(fileURLToPath(new URL('load.ts', import.meta.url)), [JSON.stringify(options)]);
    const notes = await run('chrt', ['--all-tasks', '--rr', '--pid', '1', String(child.pid)]).then(
      () => [],
      () => ['the clients could not be put before everything else: their own waiting is in the latencies'],
    );
    return new Load(child, notes);
  }

  /** Requests started from now on must be answered by this version; null: by any. */
  expect(version: string | null): void {
    this.#tell({ kind: 'expect', version });
  }

  /** What the clients did since it was last asked for. */
  take(): Promise<FromLoad> {
    return this.#ask({ kind: 'take' });
  }

  /** The same, when everything in flight has come to its end. */
  stop(): Promise<FromLoad> {
    return this.#ask({ kind: 'stop' });
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }

  #tell(message: ToLoad): void {
    this.child.send(message);
  }

  async #ask(message: ToLoad): Promise<FromLoad> {
    const answered = once(this.child, 'message');
    this.#tell(message);
    return ((await answered) as [FromLoad])[0];
  }
}
