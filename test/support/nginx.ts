/** A router on a real nginx of its own, with backends that are plain servers of the test's process. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdtemp, realpath, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/clock.js';
import { silentLogger } from '../../src/log.js';
import type { Slot } from '../../src/manifest/project.js';
import type { NginxProgram } from '../../src/router/nginx-process.js';
import { NginxRouter } from '../../src/router/nginx-router.js';
import type { Site, SwitchRecord } from '../../src/router/port.js';
import type { Settings } from '../../src/settings/settings.js';
import { digestOf } from './client.js';
import { freePorts } from './ports.js';
import { endProcess, processesOf } from './processes.js';

export interface NginxWorld {
  readonly folder: string;
  readonly stateDir: string;
  readonly port: number;
  readonly settings: Pick<Settings, 'stateDir' | 'nginx'>;
  readonly router: NginxRouter;
  /** Another router of the same folder, as a controller that starts again has it. */
  again(program?: NginxProgram): NginxRouter;
  /** A server on 127.0.0.1 that answers with `version` and the digest of what it was sent. */
  backend(version: string): Promise<Backend>;
  /** The file name of a child of `<stateDir>/nginx`. */
  file(...path: readonly string[]): string;
  cleanup(): Promise<void>;
}

export interface Backend {
  /** `127.0.0.1:port` */
  readonly address: string;
  readonly server: Server;
  /** Heads of all requests so far. */
  readonly requests: IncomingMessage[];
}

export async function createNginxWorld(
  over: Partial<Settings['nginx']> = {},
  program?: NginxProgram,
): Promise<NginxWorld> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'pointsman-nginx-')));
  await chmod(folder, 0o755);
  const stateDir = join(folder, 'state');
  const [port, verify] = await freePorts(2);
  const nginx: Settings['nginx'] = {
    mode: 'managed',
    listen: [`127.0.0.1:${port}`],
    confDir: join(folder, 'conf.d'),
    verify: `127.0.0.1:${verify}`,
    baseDomain: 'localhost',
    trustedProxies: [],
    ...over,
  };
  const settings = { stateDir, nginx };
  const routers: NginxRouter[] = [];
  const backends: Server[] = [];
  const again = (own: NginxProgram | undefined = program): NginxRouter => {
    const router = new NginxRouter({
      settings,
      clock: systemClock,
      log: silentLogger,
      ...(own !== undefined && { program: own }),
    });
    routers.push(router);
    return router;
  };
  return {
    folder,
    stateDir,
    port,
    settings,
    router: again(),
    again,
    file: (...path) => join(stateDir, 'nginx', ...path),
    async backend(version) {
      const requests: IncomingMessage[] = [];
      const server = createServer((request, response) => {
        requests.push(request);
        const chunks: Buffer[] = [];
        request.on('data', (chunk: Buffer) => chunks.push(chunk));
        request.on('end', () => {
          response.setHeader('content-type', 'application/json');
          response.end(JSON.stringify({ version, digest: digestOf(Buffer.concat(chunks)) }));
        });
      });
      // An idle connection that we close first is one that nginx may be about to use.
      server.keepAliveTimeout = 60_000;
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      backends.push(server);
      return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, server, requests };
    },
    async cleanup() {
      await Promise.all(routers.map((router) => router.close()));
      for (const { pid } of await processesOf(folder)) await endProcess(pid);
      for (const server of backends) {
        server.closeAllConnections();
        server.close();
      }
      await rm(folder, { recursive: true, force: true });
      const left = await processesOf(folder);
      if (left.length > 0) throw new Error(`left behind: ${left.map(({ command }) => command).join(', ')}`);
    },
  };
}

export function siteOf(project: string, upstreams: Site['upstreams'], ...domains: readonly string[]): Site {
  return { project, route: { domains, maxBodyBytes: 10_485_760, readTimeoutMs: 60_000 }, upstreams };
}

export function switchRecord(project: string, slot: Slot): SwitchRecord {
  return {
    version: 1,
    project,
    slot,
    revision: randomBytes(4).toString('hex'),
    imageKey: 'k',
    image: 'sha256:0',
    configCommit: 'c',
    sourceCommit: null,
    deployment: 'd',
    since: '2026-01-01T00:00:00.000Z',
    isRollback: false,
    previous: null,
    spec: '{}',
  };
}
