import { createWriteStream } from 'node:fs';
import type { WriteStream } from 'node:fs';
import { readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { once } from 'node:events';
import { redact } from '../errors.js';
import { makeFolder } from '../files.js';

/** Log files kept per project, and the size at which one is cut. */
const keptFiles = 20;
const longestFileBytes = 16 * 1024 * 1024;
/** What could make two lines of one, or move the cursor of whoever reads it. */
const unprintable = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/g;
/** How long the logs of a removed project stay. */
const keptAfterRemovalMs = 24 * 3_600_000;

/** `<stateDir>/logs/<project>/<deployment>.log`: what build, release and start said. */
export class DeploymentLogs implements LogStore {
  readonly #folder: string;

  constructor(stateDir: string) {
    this.#folder = join(stateDir, 'logs');
  }

  path(project: string, deployment: string): string {
    return join(this.#folder, project, `${deployment}.log`);
  }

  async open(project: string, deployment: string): Promise<DeploymentLog> {
    const folder = join(this.#folder, project);
    await makeFolder(folder, 0o700);
    await this.#dropOld(folder);
    return new DeploymentLog(createWriteStream(this.path(project, deployment), { flags: 'a', mode: 0o600 }));
  }

  /** The newest log of a project; null when it has none. Names begin with the time they were made. */
  async newest(project: string): Promise<string | null> {
    const names = await logNames(join(this.#folder, project));
    const last = names.at(-1);
    return last === undefined ? null : join(this.#folder, project, last);
  }

  async retire(project: string, nowMs: number): Promise<void> {
    const now = new Date(nowMs);
    await utimes(join(this.#folder, project), now, now).catch(ignoreMissing);
  }

  async collect(known: ReadonlySet<string>, nowMs: number): Promise<readonly string[]> {
    const removed: string[] = [];
    for (const project of await readdir(this.#folder).catch(() => [])) {
      if (known.has(project)) continue;
      const folder = join(this.#folder, project);
      const facts = await stat(folder).catch(ignoreMissing);
      if (facts === undefined || nowMs - facts.mtimeMs < keptAfterRemovalMs) continue;
      await rm(folder, { recursive: true, force: true });
      removed.push(project);
    }
    return removed;
  }

  async #dropOld(folder: string): Promise<void> {
    const names = await logNames(folder);
    for (const name of names.slice(0, Math.max(0, names.length - keptFiles + 1)))
      await rm(join(folder, name), { force: true });
  }
}

async function logNames(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).filter((name) => name.endsWith('.log')).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function ignoreMissing(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}

/** Where deployments write what they say. */
export interface LogStore {
  open(project: string, deployment: string): Promise<Pick<DeploymentLog, 'line' | 'close'>>;
  /** The project is gone: from now on its logs stay for a day, for whoever asks why. */
  retire(project: string, nowMs: number): Promise<void>;
  /** Removes the logs of all but the `known` projects that were retired, or last written, a day ago. Resolves to whose. */
  collect(known: ReadonlySet<string>, nowMs: number): Promise<readonly string[]>;
}

/** One deployment's log. A disk that is full loses lines here, never the deployment. */
export class DeploymentLog {
  #written = 0;
  #broken = false;

  constructor(private readonly stream: WriteStream) {
    stream.on('error', () => {
      this.#broken = true;
    });
  }

  line(text: string): void {
    if (this.#broken || this.#written > longestFileBytes) return;
    const data = `${new Date().toISOString()} ${redact(text).replace(unprintable, ' ')}\n`;
    this.#written += data.length;
    this.stream.write(this.#written > longestFileBytes ? 'the rest is left out: this log is full\n' : data);
  }

  async close(): Promise<void> {
    if (this.#broken) return;
    this.stream.end();
    await Promise.race([once(this.stream, 'close'), once(this.stream, 'error')]).catch(() => undefined);
  }
}
