/** What the benchmarks that watch one project share: its application, its commits, its first answer. */
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Repository } from '../support/application.js';
import type { Controller } from '../support/controller.js';
import { git, makeRepository } from '../support/git.js';
import type { Fields, Scenario } from '../support/scenario.js';
import type { ProjectStatus } from '../../src/record/status.generated.js';
import { timed } from './numbers.js';

const applicationFolder = fileURLToPath(new URL('application/', import.meta.url));

/** Between two questions whether something answers. */
const askEveryMs = 5;
/** Nothing that is measured here takes this long. */
const longestMs = 120_000;

/** File names of the benchmarks' application and their text. */
export async function applicationFiles(): Promise<Readonly<Record<string, string>>> {
  const files: Record<string, string> = {};
  for (const name of await readdir(applicationFolder))
    files[name] = await readFile(`${applicationFolder}${name}`, 'utf8');
  return files;
}

export async function createApplication(folder: string): Promise<Repository> {
  const repository = new Repository(await makeRepository(folder));
  await repository.commit(await applicationFiles(), 'Begin');
  return repository;
}

/** Asks until the answer is of `version`, over one connection as long as it lasts. */
export async function firstAnswer(
  to: { readonly host: string; readonly port: number },
  hostHeader: string,
  version: string,
): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  try {
    for (const end = performance.now() + longestMs; (await versionOf(to, hostHeader, agent)) !== version;) {
      if (performance.now() > end) throw new Error(`${version} did not answer within ${longestMs} ms`);
      await delay(askEveryMs);
    }
  } finally {
    agent.destroy();
  }
}

/** Null while nobody answers, or something that is no 200. */
function versionOf(
  { host, port }: { readonly host: string; readonly port: number },
  hostHeader: string,
  agent: Agent,
): Promise<string | null> {
  return new Promise((resolve) => {
    const asking = request(
      { host, port, agent, headers: { host: hostHeader }, timeout: 2000 },
      (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
        response.once('error', () => resolve(null));
        response.once('end', () =>
          resolve(response.statusCode === 200 ? (JSON.parse(body) as { version: string }).version : null),
        );
      },
    );
    asking.once('timeout', () => asking.destroy());
    asking.once('error', () => resolve(null)).end();
  });
}

/** One project of a scenario, changed as a person changes it: an edited file and `git commit`. */
export class MeasuredProject {
  /** The project's newest commit. */
  #head = '';

  constructor(
    private readonly scenario: Scenario,
    private readonly controller: Controller,
    readonly name: string,
  ) {}

  /** Writes the manifest and commits it. Resolves when `git commit` has returned. */
  async commit(fields: Fields): Promise<void> {
    const { path } = this.scenario.config;
    // The scenario's first commit was made beside the work tree.
    await git(path, 'reset', '--quiet', '--hard');
    await mkdir(join(path, 'projects'), { recursive: true });
    await writeFile(
      join(path, 'projects', `${this.name}.yaml`),
      this.scenario.manifest(this.name, null, fields),
    );
    await git(path, 'add', '--all');
    await git(path, 'commit', '--quiet', '--message', `Change ${this.name}`);
  }

  /** `git revert` of the project's newest commit, settled before. Resolves when it has returned. */
  async revert(): Promise<void> {
    await git(this.scenario.config.path, 'revert', '--no-edit', this.#head);
  }

  /** Milliseconds from now until `version` answers through nginx. */
  untilAnswered(version: string): Promise<number> {
    const nginx = { host: '127.0.0.1', port: this.scenario.ports.listen };
    return timed(() => firstAnswer(nginx, `${this.name}.localhost`, version));
  }

  /**
   * Waits until the newest commit's deployment is over, bake and drain included; with `alone` until
   * the slot that was left is empty, too.
   */
  async settled({ alone }: { readonly alone: boolean }): Promise<ProjectStatus> {
    this.#head = await this.scenario.config.head();
    await this.controller.waitLive(this.name, { configCommit: this.#head });
    return this.controller.waitFor(`${this.name} is settled`, ({ status }) => {
      const found = status?.projects[this.name];
      if (found === undefined || found.phase !== null) return null;
      return (alone ? found.previous === null : found.previous?.state !== 'draining') ? found : null;
    });
  }
}
