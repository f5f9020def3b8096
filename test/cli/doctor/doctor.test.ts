import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { examine } from '../../../src/cli/doctor/doctor.js';
import type { DoctorDeps } from '../../../src/cli/doctor/doctor.js';
import type { Finding } from '../../../src/cli/doctor/finding.js';
import { loadSettingsOrThrow } from '../../../src/cli/load-settings.js';
import { PointsmanError } from '../../../src/errors.js';
import { parseSettings } from '../../../src/settings/load.js';
import type { Settings } from '../../../src/settings/settings.js';
import { cli, settingsIn, temporaryFolder } from '../cli.js';

const deps: DoctorDeps = {
  execute: (program) =>
    Promise.resolve({
      exitCode: 0,
      stdout: program === 'git' ? 'git version 2.39.5' : '',
      stderr: 'nginx version: nginx/1.22.1',
    }),
  listeners: () => Promise.resolve([]),
  configTip: () => Promise.resolve('0123456789abcdef'),
  now: () => Date.parse('2026-11-20'),
  env: {},
};
const never = new AbortController().signal;

it('looks at every area', async () => {
  const findings = await examine(settingsIn(await temporaryFolder()), deps, never);
  const areas: Finding['area'][] = [
    'settings',
    'docker',
    'nginx',
    'git',
    'config repository',
    'addresses',
    'permissions',
    'machine',
    'weaknesses',
  ];
  expect(new Set(findings.map(({ area }) => area))).toEqual(new Set(areas));
});

it('looks at what it can without settings, each problem of which is a finding', async () => {
  const error = new PointsmanError('SettingsInvalid', 'a.yaml:1:1 first\na.yaml:2:1 second');
  const findings = await examine({ error }, { ...deps, env: { DOCKER_HOST: '/nonexistent.sock' } }, never);
  expect(
    findings.filter(({ area }) => area === 'settings').map(({ level, message }) => `${level} ${message}`),
  ).toEqual(['fail a.yaml:1:1 first', 'fail a.yaml:2:1 second']);
  expect(findings.map(({ area }) => area)).toEqual(
    expect.arrayContaining(['docker', 'nginx', 'git', 'machine']),
  );
});

it('has a finding for a check that fails itself', async () => {
  const broken = { ...deps, listeners: () => Promise.reject(new Error('no /proc')) };
  const findings = await examine(settingsIn(await temporaryFolder()), broken, never);
  expect(findings).toContainEqual({
    area: 'nginx',
    level: 'fail',
    message: 'cannot be checked: no /proc',
    mend: expect.any(String) as string,
  });
});

it('says last what versions are known for, in one finding a program', async () => {
  const findings = await examine(settingsIn(await temporaryFolder()), deps, never);
  expect(findings.filter(({ area }) => area === 'weaknesses')).toEqual([findings.at(-1)]);
});

it.each([null, '/nonexistent'])(
  'says once that $DOCKER_HOST is of no use (stateDir: %s)',
  async (stateDir) => {
    const host = 'ssh://someone@host';
    const { settings } = parseSettings(
      '/p.yaml',
      new TextEncoder().encode(`configRepo: { url: /srv/deploy }\n`),
      { DOCKER_HOST: host },
    ) as { settings: Settings };
    const given = stateDir === null ? { error: new Error('no settings') } : { ...settings, stateDir };
    const findings = await examine(given, { ...deps, env: { DOCKER_HOST: host } }, never);
    const said = findings.filter(({ level, area }) => level === 'fail' && area === 'docker');
    expect(said).toEqual([
      {
        area: 'docker',
        level: 'fail',
        message: '$DOCKER_HOST is "ssh://…@host": only unix:///path is used',
        mend: 'unset it or set docker.socket',
      },
    ]);
    expect(JSON.stringify(findings.filter((each) => !said.includes(each)))).not.toContain('DOCKER_HOST');
  },
);

it('stops when it is interrupted', async () => {
  await expect(
    examine(settingsIn('/nonexistent'), deps, AbortSignal.abort(new Error('interrupted'))),
  ).rejects.toThrow('interrupted');
});

describe('pointsman doctor', () => {
  async function withWrongSettings(argv: readonly string[]) {
    const file = join(await temporaryFolder(), 'p.yaml');
    await writeFile(file, 'apiVersion: pointsman.dev/v1\nkind: Settings\n');
    return cli([...argv, '--config', file], {
      deps: { loadSettings: loadSettingsOrThrow },
      env: { DOCKER_HOST: 'unix:///nonexistent.sock' },
    });
  }

  it('ends with 1 for what will not work, and says how to mend it', async () => {
    const { code, out } = await withWrongSettings(['doctor']);
    expect(code).toBe(1);
    expect(out).toMatch(/^fail {2}settings .*configRepo.*\n +→ mend the settings file/);
    expect(out).toMatch(/\n\d+ ok, \d+ to know, [1-9]\d* to mend\n$/);
  });

  it('prints findings as JSON', async () => {
    const { code, out } = await withWrongSettings(['doctor', '--json']);
    expect(code).toBe(1);
    const { summary, findings } = JSON.parse(out) as { summary: Record<string, number>; findings: Finding[] };
    expect(summary['fail']).toBe(findings.filter(({ level }) => level === 'fail').length);
    expect(findings[0]).toMatchObject({ area: 'settings', level: 'fail' });
  });
});
