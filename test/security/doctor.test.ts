import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { checkDocker, type AskEngine } from '../../src/cli/doctor/docker.js';
import { checkNginxProgram } from '../../src/cli/doctor/nginx.js';
import { checkPermissions } from '../../src/cli/doctor/permissions.js';
import { vulnerabilitiesOf } from '../../src/cli/doctor/vulnerabilities.js';
import { SecretFiles } from '../../src/resolve/secrets.js';

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'pointsman-security-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

it.each([
  ['runc', '1.1.5+ds1', 2],
  ['runc', '1.1.12', 1],
  ['runc', '1.2.7', 1],
  ['runc', '1.2.8', 0],
  ['runc', '1.3.2', 1],
  ['runc', 'v1.3.3', 0],
  ['runc', '1.4.0', 0],
  ['engine', '20.10.24+dfsg1', 3],
  ['engine', '24.0.9', 2],
  ['engine', '25.0.1', 3],
  ['engine', '28.0.0', 1],
  ['engine', '29.0.0', 0],
  ['nginx', '1.22.1', 2],
  ['nginx', '1.26.3', 1],
  ['nginx', '1.30.2', 0],
  ['nginx', '1.31.0', 1],
  ['nginx', '', 0],
  ['runc', 'a4b5c6d', 0],
] as const)('warns of the weaknesses of %s %s', (component, version, count) => {
  const findings = vulnerabilitiesOf(component, version);
  expect(findings).toHaveLength(Math.min(count, 1));
  expect(findings.flatMap(({ message }) => message.match(/mended in/g) ?? [])).toHaveLength(count);
  for (const { level, message, mend } of findings) {
    expect(level).toBe('warn');
    expect(message).toMatch(/CVE-\d{4}-\d+/);
    expect(mend).toContain('distribution');
  }
});

it('asks the nginx program for its version, and warns of the weaknesses of that one', async () => {
  const said = async (version: string): Promise<readonly string[]> => {
    const execute = async (program: string, args: readonly string[]) => {
      expect([program, ...args]).toEqual(['nginx', '-V']);
      return { exitCode: 0, stdout: '', stderr: `nginx version: nginx/${version}\nconfigure arguments:\n` };
    };
    const findings = await checkNginxProgram(execute, false, new AbortController().signal);
    return findings.flatMap(({ message }) => message.match(/CVE-\d{4}-\d+/g) ?? []);
  };
  expect(await said('1.22.1')).toEqual(['CVE-2025-23419', 'CVE-2026-42945', 'CVE-2026-9256']);
  expect(await said('1.30.2')).toEqual([]);
});

it("asks the engine for its version and runc's, and warns of the weaknesses of these", async () => {
  const said = async (ServerVersion: string, runc: string): Promise<readonly string[]> => {
    const bodies: Readonly<Record<string, object>> = {
      '/info': { ServerVersion, LiveRestoreEnabled: true, InitBinary: 'docker-init' },
      '/version': { Components: [{ Name: 'runc', Version: runc }] },
    };
    const ask = (path: string): ReturnType<AskEngine> =>
      Promise.resolve({
        status: 200,
        headers: { 'api-version': '1.41' },
        body: JSON.stringify(bodies[path] ?? {}),
      });
    const findings = await checkDocker(ask, 'tcp://127.0.0.1:1', new AbortController().signal);
    return findings.flatMap(({ message }) => message.match(/CVE-\d{4}-\d+/g) ?? []);
  };
  expect(await said('20.10.24+dfsg1', '1.4.0')).toEqual([
    'CVE-2024-23651',
    'CVE-2024-23652',
    'CVE-2024-23653',
    'CVE-2025-54410',
    'CVE-2025-54388',
  ]);
  expect(await said('29.0.0', '1.1.12')).toEqual(['CVE-2025-31133', 'CVE-2025-52565', 'CVE-2025-52881']);
  expect(await said('29.0.0', '1.4.0')).toEqual([]);
});

it('warns of an engine that others can reach', async () => {
  const socket = join(await folder(), 'docker.sock');
  await writeFile(socket, '');
  const ask = (path: string): Promise<{ status: number; headers: Record<string, string>; body: string }> =>
    Promise.resolve({
      status: 200,
      headers: { 'api-version': '1.47' },
      body: JSON.stringify(
        path === '/version'
          ? { Components: [{ Name: 'runc', Version: '1.1.5' }] }
          : {
              ServerVersion: '29.0.0',
              LiveRestoreEnabled: true,
              InitBinary: 'docker-init',
              Warnings: ['WARNING: API is accessible on http://0.0.0.0:2375 without encryption.\n  Access'],
            },
      ),
    });
  const warnings = async (): Promise<readonly string[]> =>
    (await checkDocker(ask, socket, new AbortController().signal))
      .filter(({ level }) => level !== 'ok')
      .map(({ message }) => message);
  await chmod(socket, 0o660);
  expect((await warnings()).filter((message) => message.includes('own'))).toHaveLength(1);
  await chmod(socket, 0o666);
  const both = await warnings();
  expect(both.join('\n')).toContain('0.0.0.0:2375');
  expect(both.join('\n')).toContain(`may write to ${socket}`);
  expect(both.join('\n')).toContain('CVE-2024-21626');
});

it.skipIf(process.geteuid?.() !== 0)('refuses a secret that belongs to another user', async () => {
  const dir = await folder();
  const secrets = new SecretFiles(dir);
  await secrets.ensureKey(false);
  await mkdir(join(dir, 'shop'));
  const path = join(dir, 'shop', 'TOKEN');
  await writeFile(path, 'canary-value\n', { mode: 0o600 });
  expect((await secrets.read('shop', ['TOKEN'])).values).toEqual({ TOKEN: 'canary-value' });
  await chown(path, 12_345, 12_345);
  const refusal = await secrets.read('shop', ['TOKEN']).catch((error: unknown) => String(error));
  expect(refusal).toContain('belongs to user 12345');
  expect(refusal).not.toContain('canary-value');
  const findings = await checkPermissions({ stateDir: dir, secretsDir: dir, credentialFiles: [] });
  expect(findings.some(({ message }) => message.includes('belongs to another user'))).toBe(true);
});
