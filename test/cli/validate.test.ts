import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { cli, temporaryFolder } from './cli.js';

async function manifests(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await temporaryFolder();
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return folder;
}

const good = 'apiVersion: pointsman.dev/v1\nkind: Project\nname: shop\nimage: nginx:1.27\n';
const bad =
  'apiVersion: pointsman.dev/v1\nkind: Project\nname: api\nimage: nginx:1.27\nrun: { port: 99999 }\n';
/** Neither settings nor anything else of a server is looked at. */
const none = {
  deps: {
    loadSettings: () => Promise.reject(new Error('not needed')),
    backend: () => Promise.reject(new Error('not needed')),
  },
};

it('ends with 0 when all is well', async () => {
  expect(await cli(['validate', await manifests({ 'a.yaml': good })], none)).toEqual({
    code: 0,
    out: '1 valid project\n',
    err: '',
  });
});

it('ends with 1 and names the place', async () => {
  const folder = await manifests({ 'a.yaml': good, 'b.yaml': bad });
  const { code, out } = await cli(['validate', folder], none);
  expect(code).toBe(1);
  expect(out).toContain(`${join(folder, 'b.yaml')}:5:14 /run/port `);
  expect(out).toMatch(/\n1 problem, 1 valid project\n$/);
});

it.each([['--json'], ['--format=json']])('prints JSON with %s', async (option) => {
  const { code, out } = await cli(
    ['validate', option, await manifests({ 'a.yaml': good, 'b.yaml': bad })],
    none,
  );
  expect(code).toBe(1);
  expect(JSON.parse(out)).toMatchObject({
    valid: false,
    projects: 1,
    problems: [{ line: 5, path: '/run/port' }],
  });
});

it('prints annotations for a forge, and nothing else', async () => {
  const { out } = await cli(['validate', '--format', 'github', await manifests({ 'b.yaml': bad })], none);
  expect(out).toMatch(/^::error file=.*b\.yaml,line=5,col=14::[^\n]+\n$/);
});
