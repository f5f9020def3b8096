/**
 * A world of its own for one test of the whole controller: temporary folder, config repository,
 * application repositories, settings, instance label, addresses and ports. `cleanup` takes all of it
 * away and fails when anything is left.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { Application, Repository, type Behaviour } from './application.js';
import { ensureBaseImage } from './base-image.js';
import { startClient, type Client } from './client.js';
import { startController, type Controller, type ControllerOptions } from './controller.js';
import { cleanInstance, engine, leaks } from './engine.js';
import { effectOf, proxyEngine, type EngineProxy } from './engine-proxy.js';
import { makeRepository } from './git.js';
import { freePorts } from './ports.js';
import { endProcess, processesOf, workersOf } from './processes.js';

const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

/** A tree of settings or manifest fields; null takes a field away. */
export type Fields = { readonly [key: string]: unknown };

export interface ScenarioOptions {
  /** Merged over the settings of the scenario. */
  readonly settings?: Fields;
  /** The controller reaches the engine through a proxy, and `effects` tells what it did there. */
  readonly counted?: boolean;
}

export async function createScenario(options: ScenarioOptions = {}): Promise<Scenario> {
  await ensureBaseImage();
  // The kernel's own name of it: what processes show in their command line.
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'pointsman-scenario-')));
  // nginx's workers have to reach the switch files.
  await chmod(folder, 0o755);
  const config = new Repository(await makeRepository(join(folder, 'config')));
  await config.commit({ 'README.md': 'A config repository.\n' }, 'Begin');
  const [listen, verify] = await freePorts(2);
  const proxy = options.counted === true ? await proxyEngine() : null;
  const scenario = new Scenario(folder, config, { listen, verify }, proxy);
  await mkdir(scenario.stateDir);
  await mkdir(join(folder, 'secrets'), { mode: 0o700 });
  await scenario.writeSettings(options.settings ?? {});
  return scenario;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class Scenario {
  readonly id = randomBytes(3).toString('hex');
  readonly instance = `test-${this.id}`;
  readonly stateDir: string;
  readonly secretsDir: string;
  readonly settingsFile: string;
  readonly #createdAt = Date.now();
  readonly #projects = new Set<string>();
  readonly #controllers: Controller[] = [];
  readonly #clients: Client[] = [];

  constructor(
    readonly folder: string,
    readonly config: Repository,
    readonly ports: { readonly listen: number; readonly verify: number },
    readonly proxy: EngineProxy | null = null,
  ) {
    this.stateDir = join(folder, 'state');
    this.secretsDir = join(folder, 'secrets');
    this.settingsFile = join(folder, 'pointsman.yaml');
  }

  /** `shop` as `shop-1f2e3d`: container names are shared by everybody on the engine. */
  name(word: string): string {
    const name = `${word}-${this.id}`;
    this.#projects.add(name);
    return name;
  }

  /** Replaces the settings file; `over` is merged over the scenario's own. Counts from the next start. */
  async writeSettings(over: Fields): Promise<void> {
    const own: Fields = {
      apiVersion: 'pointsman.dev/v1',
      kind: 'Settings',
      instance: this.instance,
      configRepo: { url: this.config.path, interval: '1s' },
      stateDir: this.stateDir,
      // A sixteenth of the pool of tests, by chance: room for 256 networks, whatever a neighbour took of it.
      docker: {
        addressPool: `10.214.${Number.parseInt(this.id.slice(0, 1), 16) * 16}.0/20`,
        ...(this.proxy !== null && { socket: this.proxy.socket }),
      },
      nginx: {
        mode: 'managed',
        listen: [`127.0.0.1:${this.ports.listen}`],
        verify: `127.0.0.1:${this.ports.verify}`,
        baseDomain: 'localhost',
      },
      retries: { attempts: 2, backoff: '200ms', maxBackoff: '1s' },
      secrets: { dir: this.secretsDir },
      log: { level: 'debug' },
    };
    await writeFile(this.settingsFile, stringify(merge(own, over)));
  }

  /** A new application's repository with `v1` as its newest version. */
  application(word: string, behaviour: Behaviour = {}): Promise<Application> {
    return Application.create(join(this.folder, 'applications', word), 'v1', behaviour);
  }

  /** A manifest with short times, as YAML. */
  manifest(name: string, application: Application | null, over: Fields = {}): string {
    const own: Fields = {
      apiVersion: 'pointsman.dev/v1',
      kind: 'Project',
      name,
      ...(application !== null && { source: { repo: application.path } }),
      run: { stopTimeout: '2s' },
      health: { path: '/healthz', interval: '100ms', timeout: '1s', within: '15s', bake: '500ms' },
      rollout: { drain: '5s' },
    };
    return stringify(merge(own, over));
  }

  /** Commits `projects/<name>.yaml`. Resolves to the commit. */
  commitManifest(name: string, application: Application | null, over: Fields = {}): Promise<string> {
    return this.config.commit(
      { [`projects/${name}.yaml`]: this.manifest(name, application, over) },
      `Change ${name}`,
    );
  }

  removeManifest(name: string): Promise<string> {
    return this.config.commit({ [`projects/${name}.yaml`]: null }, `Remove ${name}`);
  }

  /** Starts a controller; `cleanup` ends it. */
  start(options: Pick<ControllerOptions, 'killAt' | 'env' | 'args' | 'enter'> = {}): Controller {
    const controller = startController({
      settingsFile: this.settingsFile,
      stateDir: this.stateDir,
      ...options,
    });
    this.#controllers.push(controller);
    return controller;
  }

  /** Runs one command of the built program, at most two minutes. Whatever the exit code. */
  pointsman(...args: readonly string[]): Promise<CommandResult> {
    const options = { timeout: 120_000, maxBuffer: 64 * 1024 * 1024 };
    return new Promise((resolve, reject) => {
      execFile(
        process.execPath,
        [main, ...args, '--config', this.settingsFile],
        options,
        (error, stdout, stderr) => {
          if (error !== null && typeof error.code !== 'number') reject(error);
          else resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
        },
      );
    });
  }

  /** A continuous client of the project's default domain; `cleanup` stops it. */
  client(project: string, version: string, options: { readonly path?: string } = {}): Client {
    const client = startClient({
      port: this.ports.listen,
      host: `${project}.localhost`,
      version,
      ...options,
    });
    this.#clients.push(client);
    return client;
  }

  /** One request through nginx, over a connection of its own. */
  get(host: string, path = '/', timeoutMs = 10_000): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port: this.ports.listen, path, agent: false, headers: { host } };
      const sending = request({ ...options, signal: AbortSignal.timeout(timeoutMs) }, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
        response.once('error', reject);
        response.once('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
        );
      });
      sending.once('error', reject).end();
    });
  }

  /** What build, release and start of a deployment said. */
  logOf(project: string, deployment: string): Promise<string> {
    return readFile(join(this.stateDir, 'logs', project, `${deployment}.log`), 'utf8');
  }

  /** What answers for the project: its version, or `status 503`. */
  async version(project: string): Promise<string> {
    const { status, body } = await this.get(`${project}.localhost`);
    return status === 200 ? (JSON.parse(body) as { version: string }).version : `status ${status}`;
  }

  /**
   * What the engine did for this instance since the scenario began, or since `sinceMs` of the epoch:
   * `create pointsman-shop-1f2e3d-blue`, in order.
   */
  async engineActions(sinceMs = this.#createdAt): Promise<readonly string[]> {
    const stream = await engine.getEvents({
      since: sinceMs / 1000,
      until: Date.now() / 1000,
      filters: { type: ['container'], label: [`dev.pointsman.instance=${this.instance}`] },
    });
    let text = '';
    for await (const chunk of stream) text += String(chunk);
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as { Action: string; Actor: { Attributes: { name: string } } })
      .map(({ Action, Actor }) => `${Action} ${Actor.Attributes.name}`);
  }

  /** What the controllers changed in the engine so far: `build`, `create pointsman-shop-1f2e3d-blue`, `start 1f2e…`. */
  effects(): readonly string[] {
    if (this.proxy === null) throw new Error('create the scenario with `counted: true`');
    return this.proxy.requests.map(effectOf).filter((effect) => effect !== null);
  }

  /** What stands behind the effects that were there before: `effects` of that moment. */
  effectsSince(before: readonly string[]): readonly string[] {
    return this.effects().slice(before.length);
  }

  /** Pids of the nginx workers: a reload changes every one of them. */
  async nginxWorkers(): Promise<readonly number[]> {
    return workersOf(Number(await readFile(join(this.stateDir, 'nginx', 'nginx.pid'), 'utf8')));
  }

  /** Ends clients and controllers. */
  async stopAll(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.stop()));
    await Promise.all(this.#controllers.map((controller) => controller.kill()));
  }

  /** Ends and removes everything, then fails when something is left or the log was not JSON lines. */
  async cleanup(): Promise<void> {
    await this.stopAll();
    await this.proxy?.cut();
    // nginx outlives its controller.
    for (const { pid } of await processesOf(this.folder)) await endProcess(pid);
    await cleanInstance(this.instance, [...this.#projects]);
    await rm(this.folder, { recursive: true, force: true });
    const left = [
      ...(await leaks(this.instance)),
      ...(await processesOf(this.folder)).map(({ command }) => command),
    ];
    if (left.length > 0) throw new Error(`left behind: ${left.join(', ')}`);
    const strange = this.#controllers.flatMap(({ log }) => log.filter((line) => 'notJson' in line));
    if (strange.length > 0) throw new Error(`log lines that are no JSON: ${JSON.stringify(strange)}`);
  }
}

/** `over` wins; objects are merged, null takes away. */
export function merge(under: Fields, over: Fields): Fields {
  const merged: Record<string, unknown> = { ...under };
  for (const [key, value] of Object.entries(over)) {
    const below = merged[key];
    if (value === null) delete merged[key];
    else if (isFields(value) && isFields(below)) merged[key] = merge(below, value);
    else merged[key] = value;
  }
  return merged;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
