import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { controlsOf } from './control-deployers.js';
import {
  kamalProxyDeploy,
  kamalProxyEnvironment,
  kamalProxyRun,
  onPath,
  traefikConfiguration,
  traefikRoutes,
} from './foreign-proxies.js';

describe('what is on the PATH', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pointsman-path-'));
    await Promise.all(['a', 'b', 'c/traefik'].map((name) => mkdir(join(folder, name), { recursive: true })));
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function program(name: string, mode = 0o755): Promise<string> {
    const file = join(folder, name);
    await writeFile(file, '#!/bin/sh\n');
    await chmod(file, mode);
    return file;
  }
  const path = (...names: string[]): string => names.map((name) => join(folder, name)).join(':');

  it('finds the first executable file of the name', async () => {
    await program('a/traefik', 0o644);
    const found = await program('b/traefik');
    expect(await onPath('traefik', path('a', 'c', 'b'))).toBe(found);
  });

  it('finds nothing in folders without the program, that do not exist, or without a name', async () => {
    await program('a/traefik');
    expect(await onPath('kamal-proxy', path('a', 'b'))).toBeNull();
    expect(await onPath('traefik', `:${path('missing')}:`)).toBeNull();
    expect(await onPath('traefik', '')).toBeNull();
  });

  it('runs the proxies that are there after the other controls, and names the others as missing', async () => {
    const others = [{ kind: 'reload' }, { kind: 'reload-later' }, { kind: 'restart' }];
    expect(await controlsOf(path('a'))).toEqual({ controls: others, missing: ['kamal-proxy', 'traefik'] });
    const kamal = await program('a/kamal-proxy');
    expect(await controlsOf(path('a'))).toEqual({
      controls: [...others, { kind: 'kamal-proxy', program: kamal }],
      missing: ['traefik'],
    });
    const traefik = await program('b/traefik');
    expect(await controlsOf(path('a', 'b'))).toEqual({
      controls: [...others, { kind: 'kamal-proxy', program: kamal }, { kind: 'traefik', program: traefik }],
      missing: [],
    });
  });
});

describe('kamal-proxy', () => {
  it('takes both of its ports from the benchmark, as 80 and 443 may be taken', () => {
    expect(kamalProxyRun([19_500, 19_501])).toEqual(['run', '--http-port', '19500', '--https-port', '19501']);
  });

  it('keeps socket and state in the folder of the benchmark', () => {
    expect(kamalProxyEnvironment('/tmp/x')).toEqual({ HOME: '/tmp/x', XDG_RUNTIME_DIR: '/tmp/x' });
  });

  it('is told the target, what to ask for its health, and how long to drain', () => {
    expect(kamalProxyDeploy('swap.localhost', '172.18.0.2:3000').join(' ')).toBe(
      'deploy swap --target 172.18.0.2:3000 --host swap.localhost ' +
        '--health-check-path /healthz --health-check-interval 100ms --drain-timeout 8000ms',
    );
  });
});

describe('traefik', () => {
  it('listens on loopback alone and watches the file of the routes', () => {
    expect(parse(traefikConfiguration(19_500, '/tmp/x/routes/swap.yaml'))).toEqual({
      global: { checkNewVersion: false, sendAnonymousUsage: false },
      log: { level: 'ERROR' },
      entryPoints: { web: { address: '127.0.0.1:19500' } },
      providers: { file: { filename: '/tmp/x/routes/swap.yaml', watch: true } },
    });
  });

  it('sends the host of the load to the one container', () => {
    expect(parse(traefikRoutes('swap.localhost', '172.18.0.2:3000'))).toEqual({
      http: {
        routers: { swap: { rule: 'Host(`swap.localhost`)', entryPoints: ['web'], service: 'swap' } },
        services: { swap: { loadBalancer: { servers: [{ url: 'http://172.18.0.2:3000' }] } } },
      },
    });
  });
});
