import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { answerOf } from './child-answer.js';
import type { FromLoad, LoadOptions, ToLoad } from './load-protocol.js';
import { succeeds } from './processors.js';

const notFirst = 'the clients could not be put before everything else: their own waiting is in the latencies';

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
    const isFirst = await succeeds(`chrt --all-tasks --rr --pid 1 ${child.pid}`);
    return new Load(child, isFirst ? [] : [notFirst]);
  }

  /** From now on requests may be answered by these versions alone. */
  expect(...versions: readonly string[]): void {
    this.#tell({ kind: 'expect', versions });
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

  /** @throws Error when the process has ended: what it did before is lost with it */
  #tell(message: ToLoad): void {
    if (!this.child.connected) throw new Error(ended);
    // Of one that is just ending, the event says so.
    this.child.send(message, () => undefined);
  }

  async #ask(message: ToLoad): Promise<FromLoad> {
    this.#tell(message);
    return answerOf(this.child, () => ended);
  }
}

const ended = 'the process of the load ended by itself: its output says why';
