import { execFile } from 'node:child_process';

export interface Executed {
  /** Null when the program is not there or could not be started. */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program without a shell. Never rejects but for an abort. */
export type Execute = (program: string, args: readonly string[], signal: AbortSignal) => Promise<Executed>;

const longestMs = 10_000;

export const execute: Execute = (program, args, signal) =>
  new Promise((resolve, reject) => {
    const options = {
      signal,
      timeout: longestMs,
      maxBuffer: 8 * 1024 * 1024,
      env: { ...process.env, LC_ALL: 'C' },
    };
    execFile(program, [...args], options, (error, stdout, stderr) => {
      if (signal.aborted) return reject(signal.reason as Error);
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : null;
      resolve({ exitCode: code, stdout, stderr });
    });
  });
