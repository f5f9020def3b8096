import { mkdir, readFile, readdir, stat, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { DeploymentLogs } from '../../src/apply/deployment-log.js';
import { temporaryFolder } from '../record/fixtures.js';

const dayMs = 24 * 3_600_000;

it('keeps the logs of a removed project for a day, and those of a known one for good', async () => {
  const stateDir = await temporaryFolder();
  const logs = new DeploymentLogs(stateDir);
  const now = Date.now();
  for (const project of ['gone', 'known', 'old']) {
    const log = await logs.open(project, 'd1');
    log.line('built');
    await log.close();
    const longAgo = new Date(now - 30 * dayMs);
    await utimes(join(stateDir, 'logs', project), longAgo, longAgo);
  }
  await logs.retire('gone', now);
  const known = new Set(['known']);
  expect(await logs.collect(known, now + dayMs - 1)).toEqual(['old']);
  expect(await readdir(join(stateDir, 'logs', 'gone'))).toEqual(['d1.log']);
  expect(await logs.collect(known, now + dayMs + 1)).toEqual(['gone']);
  expect(await readdir(join(stateDir, 'logs'))).toEqual(['known']);
});

it('has nothing to collect where nothing was ever deployed', async () => {
  const logs = new DeploymentLogs(await temporaryFolder());
  await logs.retire('shop', Date.now());
  expect(await logs.collect(new Set(), Date.now())).toEqual([]);
});

it('begins anew for a project that comes back', async () => {
  const stateDir = await temporaryFolder();
  const logs = new DeploymentLogs(stateDir);
  await mkdir(join(stateDir, 'logs', 'shop'), { recursive: true });
  await utimes(join(stateDir, 'logs', 'shop'), 0, 0);
  await (await logs.open('shop', 'd2')).close();
  expect(await logs.collect(new Set(), Date.now())).toEqual([]);
});

it('makes one line of whatever a build, a registry or an entry of a context is called', async () => {
  const logs = new DeploymentLogs(await temporaryFolder());
  const log = await logs.open('shop', 'd1');
  log.line('one\n2026-01-01T00:00:00.000Z two\r\u001b[2J\u009b2J\u0000\tthree');
  await log.close();
  expect(await readFile(logs.path('shop', 'd1'), 'utf8')).toMatch(
    /^\S+ one 2026-01-01T00:00:00\.000Z two {2}\[2J 2J \tthree\n$/,
  );
});

it('keeps no password of an address, and is for its owner alone', async () => {
  const logs = new DeploymentLogs(await temporaryFolder());
  const log = await logs.open('shop', 'd1');
  log.line('fetching https://user:s3cret@registry.example.com/v2/');
  await log.close();
  expect(await readFile(logs.path('shop', 'd1'), 'utf8')).toMatch(
    / fetching https:\/\/registry\.example\.com\/v2\/\n$/,
  );
  expect((await stat(logs.path('shop', 'd1'))).mode & 0o777).toBe(0o600);
  expect((await stat(dirname(logs.path('shop', 'd1')))).mode & 0o777).toBe(0o700);
});
