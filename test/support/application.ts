import { readFile, readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { commitFiles, git, makeRepository, revertLast, type FileChange } from './git.js';

const files = fileURLToPath(new URL('application/', import.meta.url));

/** What the application does wrong, when; all of it optional. `BEHAVIOUR` in its environment, as JSON, wins. */
export interface Behaviour {
  /** Ends with this status before it listens. */
  readonly exitAtStart?: number;
  readonly exitAfterMs?: number;
  readonly listenAfterMs?: number;
  /** `127.0.0.1`: nobody outside of the container can connect. */
  readonly bind?: string;
  /** Of every probe. */
  readonly healthStatus?: number;
  readonly healthDelayMs?: number;
  /** Answers this many probes well and the later ones with 500: good enough to get traffic, and then not. */
  readonly healthyForProbes?: number;
  /** Ends at the probe after this many. */
  readonly exitAfterProbes?: number;
  /** How long each request takes; `?ms=` of a request wins. */
  readonly requestMs?: number;
  readonly ignoreSigterm?: boolean;
  /** How long the release command takes, and its exit code. */
  readonly releaseMs?: number;
  readonly releaseExit?: number;
}

/** A repository with a work tree on branch `main`. Commits are made without touching that work tree. */
export class Repository {
  constructor(readonly path: string) {}

  /** Text by file name; null takes a file away. Resolves to the commit. */
  commit(changes: Readonly<Record<string, FileChange>>, message?: string): Promise<string> {
    return commitFiles(this.path, changes, message === undefined ? {} : { message });
  }

  /** Undoes the newest commit by a new one. Resolves to that. */
  revert(): Promise<string> {
    return revertLast(this.path);
  }

  head(): Promise<string> {
    return git(this.path, 'rev-parse', 'refs/heads/main');
  }
}

/** The repository of the test application: `application/`, a version and its behaviour. */
export class Application extends Repository {
  /** With `version` as its newest commit. */
  static async create(path: string, version: string, behaviour: Behaviour): Promise<Application> {
    const application = new Application(await makeRepository(path));
    const code: Record<string, string> = {};
    for (const name of await readdir(files)) code[name] = await readFile(`${files}${name}`, 'utf8');
    await application.commit(code, 'Begin');
    await application.commitVersion(version, behaviour);
    return application;
  }

  /** Commits this version, with its mistakes. Resolves to the commit. */
  commitVersion(version: string, behaviour: Behaviour = {}): Promise<string> {
    const changes = { 'version.txt': `${version}\n`, 'behaviour.json': `${JSON.stringify(behaviour)}\n` };
    return this.commit(changes, `Version ${version}`);
  }
}
