/** How people deploy today, so that the zero of Pointsman means something. */
import { chmod, mkdtemp, realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../support/ports.js';
import { BareEngine } from './bare-engine.js';
import type { Parts } from './control.js';
import type { Deployer } from './deployer.js';
import {
  KamalProxyControl,
  TraefikControl,
  foreignProxies,
  onPath,
  type ForeignProxy,
} from './foreign-proxies.js';
import { ReloadControl, RestartControl } from './nginx-controls.js';

export type ControlChoice =
  | { readonly kind: 'reload' | 'reload-later' | 'restart' }
  /** `program` is its file. */
  | { readonly kind: ForeignProxy; readonly program: string };

/** Those that this machine can run, and the names of the proxies that are not on `path`. */
export async function controlsOf(
  path: string,
): Promise<{ readonly controls: readonly ControlChoice[]; readonly missing: readonly string[] }> {
  const controls: ControlChoice[] = [{ kind: 'reload' }, { kind: 'reload-later' }, { kind: 'restart' }];
  const missing: string[] = [];
  for (const kind of foreignProxies) {
    const program = await onPath(kind, path);
    if (program === null) missing.push(kind);
    else controls.push({ kind, program });
  }
  return { controls, missing };
}

export async function createControl(control: ControlChoice): Promise<Deployer> {
  const ports = await freePorts(2);
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'pointsman-bench-')));
  await chmod(folder, 0o755);
  const parts: Parts = { bare: await BareEngine.create(), folder, ports };
  switch (control.kind) {
    case 'reload':
      return new ReloadControl(parts, 0);
    case 'reload-later':
      return new ReloadControl(parts, 10_000);
    case 'restart':
      return new RestartControl(parts);
    case 'kamal-proxy':
      return new KamalProxyControl(parts, control.program);
    case 'traefik':
      return new TraefikControl(parts, control.program);
  }
}
