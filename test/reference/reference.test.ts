import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { Command } from 'commander';
import { check } from 'prettier';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { renderCommands } from '../../src/reference/command-reference.js';
import { repositoryRoot, staleFiles } from '../../src/reference/generated-files.js';
import { prettierOptions } from '../../src/reference/prettier-options.js';
import { renderSchemaTable } from '../../src/reference/schema-reference.js';
import { splice } from '../../src/reference/splice.js';
import { loadSchema } from '../../src/schemas.js';

describe('splice', () => {
  const text = 'a\n\n<!-- generated:x -->\n\nold\n\n<!-- /generated:x -->\n\nb\n';

  it('replaces what stands between the markers and nothing else', () => {
    expect(splice(text, 'x', 'new\n')).toBe(text.replace('old', 'new'));
  });

  it('changes nothing the second time', () => {
    const once = splice(text, 'x', 'new');
    expect(splice(once, 'x', 'new')).toBe(once);
  });

  it.each(['a', '<!-- generated:x -->', '<!-- /generated:x --><!-- generated:x -->', text + text])(
    'refuses %j, where the markers are missing or unclear',
    (unclear) => {
      expect(() => splice(unclear, 'x', 'new')).toThrow('<!-- generated:x -->');
    },
  );
});

describe('schema reference', () => {
  it.each(['project', 'settings'] as const)('has a row for every key of the %s schema', async (name) => {
    const table = await renderSchemaTable(loadSchema(name));
    const keys = [...table.matchAll(/^\| `([^`]+)`/gm)].map((match) => match[1]);
    expect(keys).toContain(name === 'project' ? 'run.volumes[].path' : 'credentials[].prefix');
    expect(keys.length).toBeGreaterThan(40);
    expect(table).not.toContain('undefined');
  });

  it.each(['project', 'settings'] as const)('every key of the %s schema has a meaning and bounds', (name) => {
    const lacking: string[] = [];
    const visit = (schema: ReturnType<typeof loadSchema>, path: string): void => {
      for (const [key, inner] of Object.entries(schema.properties ?? {})) {
        const at = `${path}.${key}`;
        if (inner.description === undefined) lacking.push(`${at}: description`);
        if (inner.properties !== undefined && inner['additionalProperties'] !== false)
          lacking.push(`${at}: closed`);
        if (inner.type === 'integer' || inner.type === 'number') {
          if (inner['minimum'] === undefined || inner['maximum'] === undefined) lacking.push(`${at}: bounds`);
        }
        if (inner['x-expected'] === 'a duration' && inner['x-duration'] === undefined)
          lacking.push(`${at}: bounds`);
        if (inner.type === 'array' && inner['maxItems'] === undefined) lacking.push(`${at}: maxItems`);
        visit(inner, at);
        if (inner.items !== undefined) visit(inner.items, `${at}[]`);
      }
    };
    visit(loadSchema(name), '');
    expect(lacking).toEqual([]);
  });
});

describe('command reference', () => {
  it('shows the help of every command, examples included, whatever the terminal', async () => {
    const program = new Command('tool').description('does things');
    program
      .command('run')
      .description('runs')
      .option('--once', 'one time')
      .addHelpText('after', '\nExamples:\n  tool run --once');
    program.command('secret', { hidden: true });
    const text = await renderCommands(program);
    expect(text).toContain('### `tool`');
    expect(text).toContain('### `tool run`');
    expect(text).toContain('tool run --once');
    expect(text).not.toContain('secret');
    expect(await check(text, await prettierOptions('markdown'))).toBe(true);
  });
});

describe('staleFiles', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pointsman-reference-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const names = async () => (await staleFiles(folder)).map(({ path }) => relative(folder, path));

  it('names the type files that are missing', async () => {
    expect(await names()).toEqual([
      'src/manifest/written.generated.ts',
      'src/settings/written.generated.ts',
      'src/record/status.generated.ts',
      'src/record/journal.generated.ts',
    ]);
  });

  it('names the README until it holds what it should, in the form of prettier', async () => {
    const path = join(folder, 'README.md');
    const sections = ['manifest', 'settings', 'cli'].map(
      (name) => `## ${name}\n\n<!-- generated:${name} -->\n\n<!-- /generated:${name} -->\n`,
    );
    writeFileSync(path, sections.join('\n'));
    const readme = (await staleFiles(folder)).find((file) => file.path === path);
    expect(await check(readme?.content ?? '', await prettierOptions('markdown'))).toBe(true);
    writeFileSync(path, readme?.content ?? '');
    expect(await names()).not.toContain('README.md');
    writeFileSync(path, readFileSync(path, 'utf8').replace('`run.port`', '`run.prot`'));
    expect(await names()).toContain('README.md');
  });

  it('finds the types of this repository up to date', async () => {
    const stale = await staleFiles(repositoryRoot);
    expect(stale.map(({ path }) => path).filter((path) => path.endsWith('.ts'))).toEqual([]);
  });
});
