import { symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { commandBackend } from '../src/backend.js';
import { systemClock } from '../src/clock.js';
import { configRepository, logUnwell, makeAdapters, makeStateDir } from '../src/compose.js';
import { DesiredProjects } from '../src/desired-projects.js';
import { createLogger, silentLogger } from '../src/log.js';
import type { Settings } from '../src/settings/settings.js';
import { MirrorStore } from '../src/source/mirror-store.js';
import { cli, settingsIn, temporaryFolder } from './cli/cli.js';

/** A logger, and the lines that it has written. */
function recorded() {
  const output = new PassThrough();
  const lines = (): readonly Record<string, unknown>[] =>
    String((output.read() as Buffer | null) ?? '')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { log: createLogger({ level: 'info', output }), lines };
}

const never = new AbortController().signal;

it('names the setting when there can be no state directory, and ends as for wrong settings', async () => {
  const folder = await temporaryFolder();
  await writeFile(join(folder, 'file'), '');
  await symlink(join(folder, 'nothing'), join(folder, 'link'));
  for (const stateDir of [
    join(folder, 'file'),
    join(folder, 'file', 'deep'),
    join(folder, 'link'),
    join(folder, 'link', 'deep'),
    '/proc/foo',
  ]) {
    await expect(makeStateDir(stateDir)).rejects.toMatchObject({
      code: 'SettingsInvalid',
      message: expect.stringMatching(/^stateDir \S+ cannot be made: .*; set stateDir to a folder/) as string,
    });
    for (const command of ['run', 'plan']) {
      const settings = settingsIn(stateDir);
      const { code, err } = await cli([command], {
        backend: commandBackend,
        deps: { loadSettings: async () => settings },
      });
      expect([code, err]).toEqual([
        2,
        expect.stringMatching(/^error: stateDir \S+ cannot be made: (?!E[A-Z]+)/) as string,
      ]);
    }
  }
});

it('makes no client of an engine behind a $DOCKER_HOST that is no socket', async () => {
  const plain = settingsIn(await temporaryFolder());
  const settings: Settings = { ...plain, docker: { ...plain.docker, socket: 'tcp://x:1' } };
  expect(() => makeAdapters(settings, silentLogger)).toThrow(
    '$DOCKER_HOST is "tcp://x:1": only unix:///path',
  );
});

it('logs once that the config repository could not be read', async () => {
  const folder = await temporaryFolder();
  const plain = settingsIn(folder);
  const settings: Settings = { ...plain, configRepo: { ...plain.configRepo, url: join(folder, 'nothing') } };
  const { log, lines } = recorded();
  const config = configRepository(settings, { sites: async () => [] }, new MirrorStore(settings), log);
  const adapters = makeAdapters(settings, silentLogger);
  const desired = new DesiredProjects({
    ...adapters,
    settings,
    log,
    config,
    clock: systemClock,
    journal: { memory: { isConfirmed: () => false } },
    policy: settings.policy,
  } as never);
  await desired.sync(never);
  expect(desired.source.failures).toBe(1);
  expect(lines()).toMatchObject([
    { level: 'warn', msg: 'config repository could not be read', commit: null },
  ]);
  await config.close();
  await adapters.close();
});

it.each([
  ['progressing', true, 'warn', 'interrupted before the project was as it should be'],
  ['progressing', false, 'error', 'project is not as it should be'],
  ['failed', true, 'error', 'project is not as it should be'],
] as const)(
  'says of a project that is %s (interrupted: %s) what it is',
  (state, isInterrupted, level, msg) => {
    const { log, lines } = recorded();
    const status = { state, reason: null, message: null } as unknown as Parameters<
      typeof logUnwell
    >[0]['status'];
    logUnwell({ project: 'shop', status }, isInterrupted, log);
    expect(lines()).toMatchObject([{ level, msg, project: 'shop', state }]);
  },
);
