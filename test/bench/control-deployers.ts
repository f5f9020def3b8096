/** How people deploy today, so that the zero of Pointsman means something. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type Docker from 'dockerode';
import { engine } from '../support/engine.js';
import { freePorts } from '../support/ports.js';
import { endProcess, processesOf } from '../support/processes.js';
import { BareEngine } from './bare-engine.js';
import type { Deployer } from './deployer.js';
import { firstAnswer } from './project.js';

const run = promisify(execFile);
const stopSeconds = 10;

/** An nginx with one site, and what the controls have in common. */
abstract class Control implements Deployer {
  abstract readonly name: string;
  readonly host = 'swap.localhost';
  readonly #volume = `bench-seen-${randomBytes(3).toString('hex')}`;
  protected live: Docker.Container | null = null;

  constructor(
    protected readonly bare: BareEngine,
    protected readonly folder: string,
    readonly port: number,
    protected readonly appPort: number,
  ) {}

  abstract deploy(version: string): Promise<void>;

  async rest(): Promise<void> {
    // Nothing goes on after `deploy`.
  }

  async close(): Promise<void> {
    await this.rest();
    for (const { pid } of await processesOf(this.folder)) await endProcess(pid);
    await this.live?.remove({ force: true });
    await engine
      .getVolume(this.#volume)
      .remove()
      .catch(() => undefined);
    await this.bare.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Created, not started. */
  protected create(version: string, over: Docker.HostConfig = {}): Promise<Docker.Container> {
    return this.bare.make(version, { Binds: [`${this.#volume}:/seen`], ...over });
  }

  /** Starts nginx with this upstream, or writes it and reloads, as `nginx -s reload` does. */
  protected async route(upstream: string): Promise<void> {
    const conf = join(this.folder, 'nginx.conf');
    const isFirst = (await processesOf(this.folder)).length === 0;
    await writeFile(conf, this.#configuration(upstream));
    await run('nginx', ['-c', conf, ...(isFirst ? [] : ['-s', 'reload'])]);
  }

  #configuration(upstream: string): string {
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (name) => `${name}_temp_path ${this.folder}/${name};`,
    );
    return `worker_processes auto;
pid ${this.folder}/nginx.pid;
error_log ${this.folder}/error.log;
events { worker_connections 4096; }
http {
  access_log off;
  ${temporary.join('\n  ')}
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  upstream app { server ${upstream}; keepalive 16; }
  server {
    listen 127.0.0.1:${this.port};
    location / {
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
    }
  }
}
`;
  }
}

/** Rewrite the upstream, `nginx -s reload`, stop the old container: at once, or a while after. */
class ReloadControl extends Control {
  readonly name: string;
  readonly #stopAfterMs: number;
  #stopping: Promise<void>[] = [];

  constructor(stopAfterMs: number, ...rest: ConstructorParameters<typeof Control>) {
    super(...rest);
    this.#stopAfterMs = stopAfterMs;
    this.name = stopAfterMs === 0 ? 'reload, stop at once' : `reload, stop after ${stopAfterMs / 1000} s`;
  }

  async deploy(version: string): Promise<void> {
    const container = await this.create(version);
    await container.start();
    const address = await this.bare.address(container);
    await firstAnswer({ host: address, port: 3000 }, 'any', version);
    await this.route(`${address}:3000`);
    const old = this.live;
    this.live = container;
    if (old === null) return;
    const stopped = this.#stop(old);
    if (this.#stopAfterMs === 0) await stopped;
    else this.#stopping.push(stopped);
  }

  override async rest(): Promise<void> {
    await Promise.all(this.#stopping.splice(0));
  }

  async #stop(container: Docker.Container): Promise<void> {
    await delay(this.#stopAfterMs);
    await container.stop({ t: stopSeconds });
    await container.remove({ force: true });
  }
}

/** `docker stop`, `docker run` on the same published port. */
class RestartControl extends Control {
  readonly name = 'stop and run';

  async deploy(version: string): Promise<void> {
    const port = `127.0.0.1:${this.appPort}`;
    const isFirst = this.live === null;
    await this.live?.stop({ t: stopSeconds });
    await this.live?.remove({ force: true });
    this.live = await this.create(version, {
      PortBindings: { '3000/tcp': [{ HostIp: '127.0.0.1', HostPort: String(this.appPort) }] },
    });
    await this.live.start();
    if (isFirst) await this.route(port);
    await firstAnswer({ host: '127.0.0.1', port: this.port }, this.host, version);
  }
}

export const controls = ['reload', 'reload-later', 'restart'] as const;
export type ControlName = (typeof controls)[number];

export async function createControl(name: ControlName): Promise<Deployer> {
  const bare = await BareEngine.create();
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'pointsman-bench-')));
  await chmod(folder, 0o755);
  const [port, appPort] = await freePorts(2);
  switch (name) {
    case 'reload':
      return new ReloadControl(0, bare, folder, port, appPort);
    case 'reload-later':
      return new ReloadControl(10_000, bare, folder, port, appPort);
    case 'restart':
      return new RestartControl(bare, folder, port, appPort);
  }
}
