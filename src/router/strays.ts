import { readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { isProjectName } from './layout.js';

/**
 * Files that somebody put between ours: nginx reads every `*.conf` there, and one that it cannot take
 * would refuse every reload and its next start. They are kept as `<name>.set-aside`, which it does not
 * read. Resolves to their names.
 */
export async function setStraysAside(sites: string): Promise<readonly string[]> {
  const strays = (await readdir(sites)).filter(
    (name) => name.endsWith('.conf') && !name.startsWith('.') && !isProjectName(name.slice(0, -5)),
  );
  for (const name of strays) await rename(join(sites, name), join(sites, `${name}.set-aside`));
  return strays;
}
