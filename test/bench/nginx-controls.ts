/** How people deploy behind an nginx today. */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { processesOf } from '../support/processes.js';
import { Control, applicationPort, type Parts } from './control.js';
import { firstAnswer } from './project.js';

const run = promisify(execFile);

/** An nginx with one site. */
abstract class NginxControl extends Control {
  /** Starts nginx with this upstream, or writes it and reloads, as `nginx -s reload` does. */
  protected async route(upstream: string): Promise<void> {
    const { folder } = this.parts;
    const conf = join(folder, 'nginx.conf');
    const isFirst = (await processesOf(folder)).length === 0;
    await writeFile(conf, this.#configuration(upstream));
    await run('nginx', ['-c', conf, ...(isFirst ? [] : ['-s', 'reload'])]);
  }

  #configuration(upstream: string): string {
    const { folder } = this.parts;
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (name) => `${name}_temp_path ${folder}/${name};`,
    );
    return `worker_processes auto;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
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
export class ReloadControl extends NginxControl {
  readonly name: string;

  constructor(
    parts: Parts,
    private readonly stopAfterMs: number,
  ) {
    super(parts);
    this.name = stopAfterMs === 0 ? 'reload, stop at once' : `reload, stop after ${stopAfterMs / 1000} s`;
  }

  async deploy(version: string, acknowledged?: () => void): Promise<void> {
    const { container, address } = await this.start(version);
    await firstAnswer({ host: address, port: applicationPort }, 'any', version);
    await this.route(`${address}:${applicationPort}`);
    acknowledged?.();
    await this.replace(container, this.stopAfterMs);
  }
}

/** `docker stop`, `docker run` on the same published port. */
export class RestartControl extends NginxControl {
  readonly name = 'stop and run';
  #isRouted = false;

  async deploy(version: string, acknowledged?: () => void): Promise<void> {
    const published = String(this.parts.ports[1]);
    await this.stopLive();
    const { container } = await this.start(version, {
      PortBindings: { [`${applicationPort}/tcp`]: [{ HostIp: '127.0.0.1', HostPort: published }] },
    });
    await this.replace(container);
    if (!this.#isRouted) await this.route(`127.0.0.1:${published}`);
    this.#isRouted = true;
    await firstAnswer({ host: '127.0.0.1', port: this.port }, this.host, version);
    acknowledged?.();
  }
}
