import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { PlanOptions, PlanReport } from '../../src/cli/backend.js';
import { cli, temporaryFolder } from './cli.js';

const nothing: PlanReport = {
  commit: '4f5e6d7c8b9a',
  projects: [{ project: 'shop', state: 'live', steps: [], blocked: null }],
  problems: [],
  removals: [],
  removalsHeldBecause: null,
};
const problem = {
  file: 'projects/a.yaml',
  line: 4,
  column: 9,
  path: '/run/port',
  message: 'port 99999 is above 65535',
};
const changes: PlanReport = {
  ...nothing,
  projects: [
    {
      project: 'web',
      state: 'failed',
      steps: [],
      blocked: { code: 'NameTaken', message: 'pointsman-web-blue belongs to a stranger' },
    },
    { project: 'shop', state: 'live', steps: [], blocked: null },
    {
      project: 'api',
      state: 'progressing',
      steps: [
        { action: 'build', why: 'no image for key 1234' },
        { action: 'switch to green', why: 'revision abcd is wanted' },
      ],
      blocked: null,
    },
  ],
  removals: ['old'],
};

function planning(report: PlanReport) {
  const asked: PlanOptions['from'][] = [];
  const plan = (_settings: unknown, options: PlanOptions): Promise<PlanReport> => {
    asked.push(options.from);
    return Promise.resolve(report);
  };
  return { asked, backend: { plan } };
}

it('says when there is nothing to do', async () => {
  expect(await cli(['plan', '--exit-code'], planning(nothing))).toEqual({
    code: 0,
    out: 'nothing to do at 4f5e6d7c\n',
    err: '',
  });
});

it('lists every action with its reason, what is blocked, and what would go', async () => {
  const { code, out } = await cli(['plan'], planning(changes));
  expect(code).toBe(0);
  expect(out).toBe(`api (progressing)
  build  no image for key 1234
  switch to green  revision abcd is wanted

web (failed)
  blocked: NameTaken  pointsman-web-blue belongs to a stranger

removals
  - old

2 actions at 4f5e6d7c; 1 project is blocked, 1 project is as it should be
`);
});

it.each([
  ['nothing', nothing, 0, 0],
  ['actions', { ...changes, removals: [] }, 0, 1],
  ['removals alone', { ...nothing, removals: ['old'] }, 0, 1],
  ['held removals', { ...nothing, removalsHeldBecause: 'the folder is empty' }, 0, 0],
  ['an invalid manifest', { ...nothing, problems: [problem] }, 1, 1],
] as const)('ends for %s with its exit code', async (_name, report, without, withExitCode) => {
  expect((await cli(['plan'], planning(report))).code).toBe(without);
  expect((await cli(['plan', '--exit-code'], planning(report))).code).toBe(withExitCode);
});

it('shows problems and why removals are held', async () => {
  const { out } = await cli(
    ['plan'],
    planning({ ...nothing, problems: [problem], removalsHeldBecause: 'too many at once' }),
  );
  expect(out).toContain('! projects/a.yaml:4:9 /run/port: port 99999 is above 65535\n');
  expect(out).toContain('too many at once\n\nPROBLEMS\n');
});

it('says what is blocked rather than that there is nothing to do', async () => {
  const [blocked] = changes.projects;
  const { out } = await cli(['plan'], planning({ ...nothing, projects: [blocked!] }));
  expect(out).toMatch(/\n0 actions at 4f5e6d7c; 1 project is blocked\n$/);
});

it('tells why once, whatever it blocks, and leaves no blanks at the end of a line', async () => {
  const held = 'removal of old, older is held back: the folder is empty';
  const message = 'projects/a.yaml:4:9 /run/port: port 99999 is above 65535';
  const { out } = await cli(
    ['plan'],
    planning({
      ...nothing,
      projects: [
        { project: 'a', state: 'invalid', steps: [], blocked: { code: 'ManifestInvalid', message } },
        { project: 'old', state: 'removing', steps: [], blocked: { code: 'RemovalHeld', message: held } },
        { project: 'older', state: 'removing', steps: [], blocked: { code: 'RemovalHeld', message: held } },
        { project: 'shop', state: 'progressing', steps: [{ action: 'build', why: '' }], blocked: null },
      ],
      problems: [problem],
      removalsHeldBecause: held,
    }),
  );
  expect(out.split('port 99999')).toHaveLength(2);
  expect(out.split('held back')).toHaveLength(2);
  expect(out).toContain('  blocked: RemovalHeld  see below\n');
  expect(out).toContain('  build\n');
});

it('names a commit that is no hash as it was typed', async () => {
  const { asked, backend } = planning(nothing);
  expect(await cli(['plan', '--commit', 'HEAD'], { backend })).toEqual({
    code: 2,
    out: '',
    err: 'error: "HEAD" is not a commit hash; write its 40 hex digits\n',
  });
  expect(asked).toEqual([]);
});

it('reads the manifests where it is told to', async () => {
  const { asked, backend } = planning(nothing);
  await cli(['plan'], { backend });
  await cli(['plan', '--commit', 'abcdef0'], { backend });
  const cwd = await temporaryFolder();
  await mkdir(join(cwd, 'there'));
  await cli(['plan', '--dir', 'there'], { backend, cwd });
  expect(asked).toEqual([
    { kind: 'tip' },
    { kind: 'commit', commit: 'abcdef0' },
    { kind: 'folder', folder: join(cwd, 'there') },
  ]);
});

it('names the folder that is not there, and plans nothing', async () => {
  const { asked, backend } = planning(nothing);
  const cwd = await temporaryFolder();
  await writeFile(join(cwd, 'shop.yaml'), '');
  const missing = `error: --dir ${cwd}/none is not there; name the folder of the manifests\n`;
  expect(await cli(['plan', '--dir', 'none'], { backend, cwd })).toEqual({ code: 2, out: '', err: missing });
  const file = `error: --dir ${cwd}/shop.yaml is not a folder; name the folder of the manifests\n`;
  expect(await cli(['plan', '--dir', 'shop.yaml'], { backend, cwd })).toEqual({
    code: 2,
    out: '',
    err: file,
  });
  expect(asked).toEqual([]);
});

it('prints the report as JSON', async () => {
  expect(JSON.parse((await cli(['plan', '--json'], planning(changes))).out)).toEqual(changes);
});
