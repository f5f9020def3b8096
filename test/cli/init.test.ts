import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
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
});

/** The name in the npm registry is nobody's yet, so whoever takes it would run code in the user's CI. */
it('writes a CI check that installs Pointsman from a checkout, as the README says, and from no registry', async () => {
  const cwd = await temporaryFolder();
  await cli(['init'], { cwd });
  const text = await readFile(join(cwd, '.github/workflows/validate.yaml'), 'utf8');
  expect(text).not.toMatch(/npx|npm i(nstall)? /);
  const { jobs } = parse(text) as { jobs: { validate: { steps: readonly Record<string, unknown>[] } } };
  const { steps } = jobs.validate;
  const named = steps.find(({ if: condition }) => condition === "vars.POINTSMAN_REPOSITORY == ''");
  expect(named?.['run']).toMatch(/^echo '::error::set the variable POINTSMAN_REPOSITORY .*'\nexit 1\n$/);
  const folder = '.pointsman/checkout';
  expect(steps).toContainEqual({
    uses: 'actions/checkout@v4',
    with: { repository: '${{ vars.POINTSMAN_REPOSITORY }}', path: folder },
  });
  const install = steps.find((step) => step['working-directory'] === folder);
  const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
  expect(install?.['run']).toBeDefined();
  expect(readme).toContain(String(install?.['run']));
  expect(steps.at(-1)).toEqual({ run: 'pointsman validate --format github projects' });
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
  expect(err).toMatch(
    /^error: (?:no folder can be made in \/proc; name another one|\/proc may not be written to by this user.*)\n$/,
  );
});

it('prints the files as JSON', async () => {
  const cwd = await temporaryFolder();
  const { out } = await cli(['init', '--json'], { cwd });
  expect(JSON.parse(out)).toMatchObject({
    folder: cwd,
    files: expect.arrayContaining(['projects/hello.yaml']) as string[],
  });
});
