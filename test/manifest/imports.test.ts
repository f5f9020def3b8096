import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const folder = join(import.meta.dirname, '../../src/manifest');

/** `schemas.js` reads the shipped schema files; everything else is a pure library. */
const allowed = [
  /^\.\/[a-z.-]+\.js$/,
  /^\.\.\/(errors|schemas)\.js$/,
  /^yaml$/,
  /^ajv\/dist\/2020\.js$/,
  /^node:crypto$/,
];

it.each(readdirSync(folder))('manifest/%s imports nothing impure', (file) => {
  const text = readFileSync(join(folder, file), 'utf8');
  const imports = [
    ...text.matchAll(/(?:\bfrom\s+|\bimport\s*\(?\s*|\brequire\s*\(\s*)['"]([^'"]+)['"]/g),
  ].map((match) => match[1] ?? '');
  expect(imports.filter((name) => !allowed.some((pattern) => pattern.test(name)))).toEqual([]);
});

it.each(readdirSync(folder))('manifest/%s reads neither clock nor environment and is not async', (file) => {
  const text = readFileSync(join(folder, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
  expect(text).not.toMatch(/Date\.now|new Date\(|Math\.random|process\.|performance\.|\basync\b|\bawait\b/);
});
