import { watch } from 'node:fs';
import { basename } from 'node:path';
import type { Clock } from '../clock.js';
import { isAbort } from '../errors.js';
import { readStatus, statusFile } from '../record/status-file.js';
import type { StatusReading } from '../record/status-file.js';
import { joinSignals } from '../signals.js';

/** Looked at again without a change: ages go on, and a status becomes stale by nothing happening. */
const againMs = 5_000;
/** Where the folder cannot be watched. */
const pollMs = 1_000;

/** The status now and at each change of its file, until `signal` aborts. */
export async function* statusChanges(
  stateDir: string,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<StatusReading> {
  const changed = watchStatus(stateDir);
  try {
    while (!signal.aborted) {
      const next = changed.next();
      yield await readStatus(stateDir, clock);
      await waitFor(next, changed.works() ? againMs : pollMs, clock, signal);
    }
  } finally {
    changed.close();
  }
}

async function waitFor(change: Promise<void>, ms: number, clock: Clock, signal: AbortSignal): Promise<void> {
  const enough = new AbortController();
  const either = joinSignals(enough.signal, signal);
  const sleeping = clock.sleep(ms, either.signal).catch((error: unknown) => {
    if (!isAbort(error) && !enough.signal.aborted && !signal.aborted) throw error;
  });
  try {
    await Promise.race([change, sleeping]);
    enough.abort();
    await sleeping;
  } finally {
    either.release();
  }
}

interface StatusWatch {
  /** Resolves at the next change. */
  next(): Promise<void>;
  works(): boolean;
  close(): void;
}

function watchStatus(stateDir: string): StatusWatch {
  const name = basename(statusFile(stateDir));
  let notify = (): void => undefined;
  let works = true;
  try {
    // The folder, because the file is another one after each change.
    const watcher = watch(stateDir, (_event, file) => {
      if (file === null || file === name) notify();
    });
    watcher.on('error', () => {
      works = false;
      watcher.close();
    });
    return {
      next: () => new Promise((resolve) => (notify = resolve)),
      works: () => works,
      close: () => watcher.close(),
    };
  } catch {
    // Not there yet, or no watches left: look again and again.
    return { next: () => new Promise(() => undefined), works: () => false, close: () => undefined };
  }
}
