/**
 * Proxies that replace nginx where people deploy with them. Each is a program of its maker's, found
 * on the PATH; what is here are the files and the arguments that it is given.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdir, open, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { connect, type NetConnectOpts } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { endProcess } from '../support/processes.js';
import { Control, applicationPort, type Parts } from './control.js';
import { drainMs, healthIntervalMs } from './deployer.js';
import { firstAnswer } from './project.js';

export const foreignProxies = ['kamal-proxy', 'traefik'] as const;
export type ForeignProxy = (typeof foreignProxies)[number];

const run = promisify(execFile);
const service = 'swap';
const longestMs = 30_000;
const lookEveryMs = 20;

/** Of a program: the first executable file of that name in the folders of `path`; null without one. */
export async function onPath(name: string, path: string): Promise<string | null> {
  for (const folder of path.split(delimiter).filter((each) => each !== '')) {
    const file = join(folder, name);
    if (await isProgram(file)) return file;
  }
  return null;
}

async function isProgram(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
}

/** A proxy that runs as a process of the benchmark, its output in `proxy.log`. */
abstract class ProxyControl extends Control {
  #process: ChildProcess | null = null;
  #failure: string | null = null;

  constructor(
    parts: Parts,
    protected readonly program: string,
  ) {
    super(parts);
  }

  override async close(): Promise<void> {
    const pid = this.#process?.pid;
    if (pid !== undefined) await endProcess(pid);
    await super.close();
  }

  /** Starts the program, unless it was. Resolves when `isReady` says so. */
  protected async startProxy(
    args: readonly string[],
    env: NodeJS.ProcessEnv,
    isReady: () => Promise<boolean>,
  ): Promise<void> {
    if (this.#process !== null) return;
    const log = await open(this.#log, 'a');
    this.#process = spawn(this.program, args, { env, stdio: ['ignore', log.fd, log.fd] });
    this.#process.once('error', ({ message }) => (this.#failure = message));
    this.#process.once('exit', (code, signal) => (this.#failure ??= `ended with ${code ?? signal}`));
    await log.close();
    for (const end = performance.now() + longestMs; !(await isReady()); await delay(lookEveryMs)) {
      if (this.#failure !== null || performance.now() > end) {
        const said = (await readFile(this.#log, 'utf8')).slice(-2000);
        throw new Error(`${this.program} does not serve: ${this.#failure ?? 'nothing in time'}\n${said}`);
      }
    }
  }

  get #log(): string {
    return join(this.parts.folder, 'proxy.log');
  }
}

/** There is no option for the address it listens on: every one of the machine's. */
export function kamalProxyRun([http, https]: readonly [number, number]): readonly string[] {
  return ['run', '--http-port', String(http), '--https-port', String(https)];
}

/** Its socket is in the runtime folder, its state below the home folder. */
export function kamalProxyEnvironment(folder: string): Readonly<Record<string, string>> {
  return { HOME: folder, XDG_RUNTIME_DIR: folder };
}

/** Waits until `target`, `172.18.0.2:3000`, is healthy, gives it the traffic and drains the one before. */
export function kamalProxyDeploy(host: string, target: string): readonly string[] {
  return [
    'deploy',
    service,
    ...['--target', target],
    ...['--host', host],
    ...['--health-check-path', '/healthz'],
    ...['--health-check-interval', `${healthIntervalMs}ms`],
    ...['--drain-timeout', `${drainMs}ms`],
  ];
}

/** As Kamal does: start the new container, `kamal-proxy deploy`, which drains the old one, and stop that. */
export class KamalProxyControl extends ProxyControl {
  readonly name = 'kamal-proxy';

  async deploy(version: string, acknowledged?: () => void): Promise<void> {
    const { folder, ports } = this.parts;
    const env = { ...process.env, ...kamalProxyEnvironment(folder) };
    await this.startProxy(kamalProxyRun(ports), env, () =>
      accepts({ path: join(folder, 'kamal-proxy.sock') }),
    );
    const { container, address } = await this.start(version);
    await run(this.program, [...kamalProxyDeploy(this.host, `${address}:${applicationPort}`)], { env });
    acknowledged?.();
    await this.replace(container);
  }
}

/** Whether somebody listens there. */
function accepts(to: NetConnectOpts): Promise<boolean> {
  return new Promise((resolve) => {
    const trying = connect(to);
    trying.once('error', () => resolve(false));
    trying.once('connect', () => {
      trying.destroy();
      resolve(true);
    });
  });
}

/** What it is started with: one entry point, and the file provider. */
export function traefikConfiguration(port: number, routes: string): string {
  return stringify({
    global: { checkNewVersion: false, sendAnonymousUsage: false },
    log: { level: 'ERROR' },
    entryPoints: { web: { address: `127.0.0.1:${port}` } },
    providers: { file: { filename: routes, watch: true } },
  });
}

/** What each deployment replaces: `host` goes to `target`, `172.18.0.2:3000`. */
export function traefikRoutes(host: string, target: string): string {
  return stringify({
    http: {
      routers: { [service]: { rule: `Host(\`${host}\`)`, entryPoints: ['web'], service } },
      services: { [service]: { loadBalancer: { servers: [{ url: `http://${target}` }] } } },
    },
  });
}

/** Start the new container, replace the file, wait until it answers through traefik; stop the old one after `drainMs`. */
export class TraefikControl extends ProxyControl {
  readonly name = 'traefik';

  async deploy(version: string, acknowledged?: () => void): Promise<void> {
    const { folder } = this.parts;
    const { container, address } = await this.start(version);
    await firstAnswer({ host: address, port: applicationPort }, 'any', version);
    const routes = join(folder, 'routes', 'swap.yaml');
    await mkdir(join(folder, 'routes'), { recursive: true });
    // Next to it, under a name that traefik does not look for: it sees the whole file or the one before.
    await writeFile(`${routes}.new`, traefikRoutes(this.host, `${address}:${applicationPort}`));
    await rename(`${routes}.new`, routes);
    const configuration = join(folder, 'traefik.yaml');
    await writeFile(configuration, traefikConfiguration(this.port, routes));
    await this.startProxy([`--configFile=${configuration}`], process.env, () =>
      accepts({ host: '127.0.0.1', port: this.port }),
    );
    await firstAnswer({ host: '127.0.0.1', port: this.port }, this.host, version);
    acknowledged?.();
    await this.replace(container, drainMs);
  }
}
