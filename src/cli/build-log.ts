import { watch } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Clock } from '../clock.js';
import { isAbort } from '../errors.js';
import { joinSignals } from '../signals.js';

/** Looked at again even when no change was heard of. */
const againMs = 1_000;
const chunkBytes = 64 * 1024;

/** A piece of a deployment's log file. */
export interface BuildLogPart {
  /** Name of the deployment; set with the first part of each. */
  readonly deployment: string | null;
  readonly data: Buffer;
}

/**
 * The newest deployment's log of a project: `<stateDir>/logs/<project>/<deployment>.log`. With
 * `follow` also what is added, and the logs of later deployments, until `signal` aborts. Yields
 * nothing when there is none.
 */
export async function* readBuildLog(
  folder: string,
  options: { readonly follow: boolean; readonly clock: Clock; readonly signal: AbortSignal },
): AsyncGenerator<BuildLogPart> {
  const { follow, clock, signal } = options;
  let name = await newestLog(folder);
  let position = 0;
  let isFirst = true;
  while (!signal.aborted) {
    if (name !== null) {
      for await (const data of readFrom(join(folder, name), position)) {
        position += data.length;
        yield { deployment: isFirst ? basename(name, '.log') : null, data };
        isFirst = false;
      }
    }
    if (!follow) return;
    const newest = await newestLog(folder);
    if (newest !== null && newest !== name) {
      [name, position, isFirst] = [newest, 0, true];
      continue;
    }
    await changeIn(folder, clock, signal);
  }
}

/** Names begin with the time at which they were made. */
async function newestLog(folder: string): Promise<string | null> {
  try {
    return (
      (await readdir(folder))
        .filter((name) => name.endsWith('.log'))
        .sort()
        .at(-1) ?? null
    );
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

async function* readFrom(path: string, start: number): AsyncGenerator<Buffer> {
  const file = await open(path, 'r');
  try {
    for (let position = start; ;) {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(chunkBytes), 0, chunkBytes, position);
      if (bytesRead === 0) return;
      position += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

/** Resolves when something in `folder` changed, after a second, or when aborted. */
async function changeIn(folder: string, clock: Clock, signal: AbortSignal): Promise<void> {
  const changed = new AbortController();
  const until = joinSignals(changed.signal, signal);
  let close = (): void => undefined;
  try {
    const watcher = watch(folder, () => changed.abort());
    watcher.on('error', () => watcher.close());
    close = () => watcher.close();
  } catch {
    // Not there yet, or no watches left: the clock is enough.
  }
  try {
    await clock.sleep(againMs, until.signal);
  } catch (error) {
    if (!isAbort(error, until.signal) && !until.signal.aborted) throw error;
  } finally {
    close();
    until.release();
  }
}
