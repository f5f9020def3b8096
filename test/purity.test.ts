import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const source = join(import.meta.dirname, '..', 'src');

function filesIn(folder: string): readonly string[] {
  return readdirSync(join(source, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name));
}

function importsOf(file: string): readonly { readonly from: string; readonly typeOnly: boolean }[] {
  const text = readFileSync(join(source, file), 'utf8');
  return [...text.matchAll(/^(?:import|export)\s+(type\s+)?[^;]*?from\s+'([^']+)'/gm)].map((match) => ({
    from: match[2] ?? '',
    typeOnly: match[1] !== undefined,
  }));
}

/** Modules that a pure folder may import values from; types may come from anywhere. */
const pureModules =
  /^(\.\/|\.\.\/(manifest|plan)\/|\.\.\/errors\.js$|\.\.\/observe\/observed\.js$|\.\.\/record\/port\.js$|\.\.\/router\/port\.js$)/;

describe('plan/', () => {
  it.each(filesIn('plan'))('%s imports nothing impure', (file) => {
    const impure = importsOf(file).filter(({ from, typeOnly }) => !typeOnly && !pureModules.test(from));
    expect(impure).toEqual([]);
  });

  it('what it may import of the top level imports nothing itself', () => {
    expect(importsOf('errors.ts')).toEqual([]);
  });

  it.each(filesIn('plan'))('%s reads no clock, randomness or environment and is not async', (file) => {
    const text = readFileSync(join(source, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
    expect(text).not.toMatch(
      /Date\.now|new Date\(\)|Math\.random|process\.|performance\.|\basync\b|\bawait\b|Promise/,
    );
  });
});

describe('adapters', () => {
  const all = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );

  it.each([
    ['dockerode', 'runtime/'],
    ['isomorphic-git', 'source/'],
  ])('%s stays in %s', (library, folder) => {
    const users = all.filter((file) =>
      importsOf(file).some(({ from }) => from === library || from.startsWith(`${library}/`)),
    );
    expect(users.filter((file) => !file.startsWith(folder))).toEqual([]);
    expect(users.length).toBeGreaterThan(0);
  });

  it('only main.ts ends the process', () => {
    expect(
      all.filter(
        (file) =>
          /process\.exit\(/.test(readFileSync(join(source, file), 'utf8')) &&
          file !== 'main.ts' &&
          !file.startsWith('reference/'),
      ),
    ).toEqual([]);
  });
});
