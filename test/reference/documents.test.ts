/** What the documents name is there. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { cli } from '../cli/cli.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const documents = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'SECURITY.md'];
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>;
};

describe.each(documents)('%s', (document) => {
  const text = readFileSync(join(root, document), 'utf8');

  it('names files and folders that are there', () => {
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, path = '']) => path);
    const paths = [...text.matchAll(/(?<![\w./-])(?:src|schemas|examples|test|deploy)\/[\w./-]*[\w/]/g)];
    const named = [...new Set([...links, ...paths.map(([path]) => path)])];
    expect(named.length).toBeGreaterThan(0);
    const isThere = (path: string) =>
      existsSync(join(root, path)) || existsSync(join(root, `${path}.test.ts`));
    expect(named.filter((path) => !isThere(path))).toEqual([]);
  });

  it('names scripts that package.json has', () => {
    const named = [...text.matchAll(/\bnpm run ([\w:]+)/g)].map(([, name = '']) => name);
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });

  it('names commands that pointsman has', async () => {
    const named = new Set([...text.matchAll(/[`"]pointsman ([a-z]+)/g)].map(([, name = '']) => name));
    const { out } = await cli(['--help']);
    const known = [...out.matchAll(/^ {2}([a-z]+) /gm)].map(([, name = '']) => name);
    expect([...named].filter((name) => !known.includes(name))).toEqual([]);
  });
});
