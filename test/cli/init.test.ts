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

it('prints the files as JSON', async () => {
  const cwd = await temporaryFolder();
  const { out } = await cli(['init', '--json'], { cwd });
  expect(JSON.parse(out)).toMatchObject({
    folder: cwd,
    files: expect.arrayContaining(['projects/hello.yaml']) as string[],
  });
});
