import type { Clock } from '../clock.js';

/** A stream that may be a terminal. */
export type Output = NodeJS.WritableStream & {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
};

/** All that a command has of the process around it. */
export interface CliIo {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Relative paths are relative to this. */
  readonly cwd: string;
  readonly clock: Clock;
  /** Aborts with an `Interrupted` at the first SIGINT or SIGTERM. */
  readonly interrupt: AbortSignal;
  /** Aborts when nobody reads stdout any more. */
  readonly outputClosed: AbortSignal;
}

/** The reason of an interrupt, and what a command that was cut short by it rejects with. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';

  constructor(readonly signal: 'SIGINT' | 'SIGTERM') {
    super(`interrupted by ${signal}`);
  }

  /** 128 and the number of the signal, as shells count. */
  get exitCode(): 130 | 143 {
    return this.signal === 'SIGINT' ? 130 : 143;
  }
}

/** Exit codes of SPEC section 5. */
export const exitCodes = {
  done: 0,
  /** It ran, and the answer is no. */
  no: 1,
  /** Usage, settings, or another controller runs. */
  usage: 2,
} as const;

/** Writes to stdout and waits while the reader is slow. Does nothing when nobody reads any more. */
export async function print(io: CliIo, text: string | Uint8Array, output: Output = io.stdout): Promise<void> {
  if (io.outputClosed.aborted) return;
  if (output.write(text)) return;
  await new Promise<void>((resolve) => {
    const end = (): void => {
      output.off('drain', end);
      output.off('close', end);
      io.outputClosed.removeEventListener('abort', end);
      io.interrupt.removeEventListener('abort', end);
      resolve();
    };
    output.on('drain', end);
    output.on('close', end);
    io.outputClosed.addEventListener('abort', end);
    io.interrupt.addEventListener('abort', end);
  });
}

/** Prints `value` as indented JSON, for `--json`. */
export async function printJson(io: CliIo, value: unknown): Promise<void> {
  await print(io, `${JSON.stringify(value, null, 2)}\n`);
}
