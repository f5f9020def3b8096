import { join } from 'node:path';
import type { Slot } from '../manifest/project.js';
import type { Settings } from '../settings/settings.js';

/** Where everything of nginx stands. */
export interface Layout {
  /** `<stateDir>/nginx` */
  readonly root: string;
  readonly sites: string;
  readonly switches: string;
  /** Site files that wait for their test. */
  readonly staged: string;
  /** The batch of site files that is being put in place. */
  readonly batch: string;
  readonly logs: string;
  readonly temporary: string;
  readonly pid: string;
  /** Managed mode: the whole configuration. */
  readonly main: string;
  /** Maps, verify server and the include of the sites; in system mode inside `confDir`. */
  readonly shared: string;
  readonly mainTest: string;
  readonly sharedTest: string;
}

export function layoutOf(settings: Pick<Settings, 'stateDir' | 'nginx'>): Layout {
  const root = join(settings.stateDir, 'nginx');
  return {
    root,
    sites: join(root, 'sites'),
    switches: join(root, 'switch'),
    staged: join(root, 'staged'),
    batch: join(root, 'staged', 'batch.json'),
    logs: join(root, 'logs'),
    temporary: join(root, 'tmp'),
    pid: join(root, 'nginx.pid'),
    main: join(root, 'nginx.conf'),
    shared:
      settings.nginx.mode === 'managed'
        ? join(root, 'shared.conf')
        : join(settings.nginx.confDir, 'pointsman.conf'),
    mainTest: join(root, 'staged', 'nginx.conf'),
    sharedTest: join(root, 'staged', 'shared.conf'),
  };
}

export function siteFile(layout: Layout, project: string): string {
  return join(layout.sites, `${project}.conf`);
}

export function switchFile(layout: Layout, project: string, slot: Slot): string {
  return join(layout.switches, `${project}.${slot}`);
}

/** The grammar of project names: nothing else becomes part of a path or a directive. */
export function isProjectName(text: string): boolean {
  return /^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/.test(text);
}
