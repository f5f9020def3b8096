import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { validatePaths } from '../../src/cli/validate.js';
import { cli, temporaryFolder } from './cli.js';

it('writes a config repository that validates, with the schema that editors use', async () => {
  const cwd = await temporaryFolder();
  const { code, out } = await cli(['init', 'deploy'], { cwd });
  expect(code).toBe(0);
  const files = [
    'projects/hello.yaml',
    '.pointsman/project.schema.json',
    '.github/workflows/validate.yaml',
    'projects/README.md',
  ];
  for (const name of files) expect(out).toContain(`wrote deploy/${name}\n`);
  const folder = join(cwd, 'deploy');
  for (const place of [join(folder, 'projects'), folder])
    expect(await validatePaths([place])).toEqual({ problems: [], projects: 1 });
  const [first = ''] = (await readFile(join(folder, 'projects/hello.yaml'), 'utf8')).split('\n');
  const named = /^# yaml-language-server: \$schema=(.+)$/.exec(first)?.[1] ?? '';
  expect(JSON.parse(await readFile(join(folder, 'projects', named), 'utf8'))).toHaveProperty(
    'properties.name',
  );
  expect(await readFile(join(folder, '.github/workflows/validate.yaml'), 'utf8')).toMatch(
    /pointsman@\d+\.\d+\.\d+ validate --format github projects/,
  );
});

it('overwrites nothing, and then writes nothing', async () => {
  const cwd = await temporaryFolder();
  await mkdir(join(cwd, 'projects'));
  await writeFile(join(cwd, 'projects/hello.yaml'), 'mine');
  const { code, err } = await cli(['init'], { cwd });
  expect(code).toBe(1);
  expect(err).toContain('has projects/hello.yaml already; nothing was written');
  expect(await readFile(join(cwd, 'projects/hello.yaml'), 'utf8')).toBe('mine');
  expect(await readdir(cwd)).toEqual(['projects']);
});

it('makes the folders on the way', async () => {
  const cwd = await temporaryFolder();
  expect((await cli(['init', 'one/two'], { cwd })).code).toBe(0);
  expect(await readdir(join(cwd, 'one/two'))).toContain('projects');
});

it.each([
  ['a file', 'file'],
  ['a folder below a file', 'file/deep'],
])('says that %s is no folder', async (_name, dir) => {
  const cwd = await temporaryFolder();
  await writeFile(join(cwd, 'file'), 'mine');
  expect(await cli(['init', dir], { cwd })).toEqual({
    code: 2,
    out: '',
    err: `error: ${cwd}/file is not a folder; name another one, or move it away\n`,
  });
  expect(await readFile(join(cwd, 'file'), 'utf8')).toBe('mine');
});

it('writes no file when one of its own folders is a file', async () => {
  const cwd = await temporaryFolder();
  await writeFile(join(cwd, '.github'), 'mine');
  const { code, err } = await cli(['init'], { cwd });
  expect([code, err]).toEqual([
    2,
    `error: ${cwd}/.github is not a folder; name another one, or move it away\n`,
  ]);
  expect(await readdir(join(cwd, 'projects'))).toEqual([]);
});

it('ends where no folder can be made', async () => {
  const { code, err } = await cli(['init', '/proc/foo/bar']);
  expect(code).not.toBe(0);
  // Whoever is not root may not even try.
  expect(err).toMatch(/^error: (?:no folder can be made in \/proc; name another one|EACCES: .*)\n$/);
});

it('prints the files as JSON', async () => {
  const cwd = await temporaryFolder();
  const { out } = await cli(['init', '--json'], { cwd });
  expect(JSON.parse(out)).toMatchObject({
    folder: cwd,
    files: expect.arrayContaining(['projects/hello.yaml']) as string[],
  });
});
