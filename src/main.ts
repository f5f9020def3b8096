#!/usr/bin/env node
/** argv → command → exit code. The only place that ends the process. */
import { Interrupted, exitCodes } from './cli/io.js';
import { loadSettingsOrThrow } from './cli/load-settings.js';
import { runCli } from './cli/program.js';
import { systemClock } from './clock.js';

const interrupt = new AbortController();
const outputClosed = new AbortController();

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    const reason = new Interrupted(signal);
    // The first one asks, the second one ends.
    if (interrupt.signal.aborted) process.exit(reason.exitCode);
    interrupt.abort(reason);
  });
}

let outputFailed = false;
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // Whoever read this is gone (`pointsman history | head`): nothing to say, and nobody to say it to. A
    // disk that is full of logs ends no controller either.
    if (error.code !== 'EPIPE') outputFailed = true;
    if (stream === process.stdout) outputClosed.abort(error);
  });
}

const exitCode = await runCli(
  process.argv.slice(2),
  {
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    cwd: process.cwd(),
    clock: systemClock,
    interrupt: interrupt.signal,
    outputClosed: outputClosed.signal,
  },
  {
    loadSettings: loadSettingsOrThrow,
    // Docker and Git clients take longer to load than `status` takes to run.
    backend: async () => (await import('./backend.js')).commandBackend,
  },
);
await Promise.all(
  [process.stdout, process.stderr].map((stream) => new Promise((done) => stream.write('', done))),
);
process.exit(outputFailed && exitCode === exitCodes.done ? exitCodes.no : exitCode);
