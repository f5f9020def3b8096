import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { fullStatus, writeWholeStatus } from '../record/status-fixture.js';
import { temporaryFolder } from './cli.js';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** The program as a process of its own. */
function start(...argv: readonly string[]): ChildProcessWithoutNullStreams {
  const child = spawn(process.execPath, ['--import', 'tsx', main, ...argv], { stdio: 'pipe' });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

async function ended(child: ChildProcessWithoutNullStreams): Promise<{ code: number | null; err: string }> {
  let err = '';
  child.stderr.setEncoding('utf8').on('data', (part: string) => (err += part));
  const [code] = (await once(child, 'exit')) as [number | null];
  return { code, err };
}

async function settingsWithStatus(): Promise<string> {
  const stateDir = await temporaryFolder();
  await writeWholeStatus(stateDir, { ...fullStatus, writtenAt: new Date().toISOString() });
  const file = join(stateDir, 'pointsman.yaml');
  await writeFile(
    file,
    `apiVersion: pointsman.dev/v1\nkind: Settings\nconfigRepo: { url: /srv/deploy.git }\nstateDir: ${stateDir}\n`,
  );
  return file;
}

it.each([
  [['--version'], 0],
  [['nosuch'], 2],
  [['status', '--config', '/nonexistent.yaml'], 2],
  [['validate', '/nonexistent'], 1],
] as const)('%j ends with %i', async (argv, code) => {
  expect((await ended(start(...argv))).code).toBe(code);
});

it.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('ends with %s as shells count it', async (signal, code) => {
  const child = start('status', '--watch', '--config', await settingsWithStatus());
  await once(child.stdout, 'data');
  const end = ended(child);
  child.kill(signal);
  expect(await end).toEqual({ code, err: '' });
});

it('ends quietly when nobody reads its output any more', async () => {
  const file = await settingsWithStatus();
  const child = start('status', '--watch', '--json', '--config', file);
  await once(child.stdout, 'data');
  child.stdout.destroy();
  const end = ended(child);
  // The next line has no reader.
  await writeWholeStatus(join(file, '..'), { ...fullStatus, writtenAt: new Date().toISOString() });
  expect(await end).toEqual({ code: 0, err: '' });
});
