/**
 * Makes from the schemas and the command line what must not drift from them: the types of the written
 * forms and the reference in README.md. `npm run generate` writes, `npm run generate -- --check` only
 * says what is stale and exits 1.
 */
import { mkdir } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import { replaceFile } from '../files.js';
import { repositoryRoot, staleFiles } from './generated-files.js';

async function main(args: readonly string[]): Promise<number> {
  const unknown = args.filter((argument) => argument !== '--check');
  if (unknown.length > 0) {
    process.stderr.write(`unknown argument ${unknown.join(' ')}: only --check is known\n`);
    return 2;
  }
  const isCheck = args.includes('--check');
  const stale = await staleFiles(repositoryRoot);
  for (const { path, content } of stale) {
    const name = relative(repositoryRoot, path);
    if (isCheck) {
      process.stderr.write(`${name} is stale: run npm run generate\n`);
      continue;
    }
    await mkdir(dirname(path), { recursive: true });
    await replaceFile(path, content, 0o644);
    process.stdout.write(`${name} written\n`);
  }
  return isCheck && stale.length > 0 ? 1 : 0;
}

process.exitCode = await main(process.argv.slice(2));
