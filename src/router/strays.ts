import { readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { isProjectName } from './layout.js';

/**
 * What somebody put between our files: nginx reads every `*.conf` there, and one that it cannot take would
 * refuse every reload and its next start. That is a name which is none of a project, and a folder or pipe in
 * the place of a file. They are kept as `<name>.set-aside`, which it does not read. Resolves to their names.
 */
export async function setStraysAside(sites: string): Promise<readonly string[]> {
  const strays = (await readdir(sites, { withFileTypes: true }))
    .filter(({ name }) => name.endsWith('.conf') && !name.startsWith('.'))
    .filter((entry) => !isProjectName(entry.name.slice(0, -5)) || !(entry.isFile() || entry.isSymbolicLink()))
    .map(({ name }) => name);
  for (const name of strays) await rename(join(sites, name), join(sites, `${name}.set-aside`));
  return strays;
}
