/**
 * Bundles the simulation with the controller's code on the simulated disk. `mutation`: one planted
 * bug, `{ file, from, to }`; fails when the snippet is not there exactly once.
 */
import { build } from 'esbuild';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Code that works on the state directory. The adapters of the real nginx, Docker and Git are only linked in. */
const onDisk = /^src\/(files|compose|record\/.*|resolve\/.*|apply\/.*)\.ts$/;

export async function bundle(entry, outfile, mutation = null) {
  let isPlanted = mutation === null;
  const world = {
    name: 'simulated-world',
    setup(setup) {
      setup.onResolve({ filter: /^node:fs\/promises$/ }, ({ importer }) =>
        onDisk.test(importer.slice(root.length))
          ? { path: `${root}test/simulation/world/disk.ts` }
          : undefined,
      );
      if (mutation === null) return;
      setup.onLoad({ filter: /\/src\/.*\.ts$/ }, async ({ path }) => {
        if (path !== `${root}${mutation.file}`) return undefined;
        const text = await readFile(path, 'utf8');
        if (text.split(mutation.from).length !== 2)
          throw new Error(`${mutation.file} does not hold once: ${mutation.from}`);
        isPlanted = true;
        return { contents: text.replace(mutation.from, () => mutation.to), loader: 'ts' };
      });
    },
  };
  await build({
    entryPoints: [`${root}${entry}`],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    sourcemap: 'inline',
    define: { 'import.meta.url': JSON.stringify(`file://${root}src/any.js`) },
    plugins: [world],
    logLevel: 'error',
  });
  if (!isPlanted) throw new Error(`${mutation.file} is not part of the simulation`);
}
