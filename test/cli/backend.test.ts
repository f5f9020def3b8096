/** The real backend, over an engine that has nothing. */
import { execFileSync } from 'node:child_process';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { commandBackend } from '../../src/backend.js';
import type { PlanReport } from '../../src/cli/backend.js';
import { listen } from '../../src/record/listen.js';
import type { Settings } from '../../src/settings/settings.js';
import { cli, settingsIn, temporaryFolder } from './cli.js';

interface Machine {
  readonly folder: string;
  readonly stateDir: string;
  readonly settings: Settings;
  run(...argv: readonly string[]): ReturnType<typeof cli>;
}

async function machine(): Promise<Machine> {
  const folder = await temporaryFolder();
  const socket = join(folder, 'engine.sock');
  const engine = createServer((request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(request.url?.includes('/volumes') === true ? '{"Volumes":[]}' : '[]');
  });
  await listen(engine, socket);
  onTestFinished(() => void engine.close());
  const stateDir = join(folder, 'state');
  const plain = settingsIn(stateDir);
  const settings: Settings = {
    ...plain,
    configRepo: { ...plain.configRepo, url: join(folder, 'deploy') },
    docker: { ...plain.docker, socket },
  };
  return {
    folder,
    stateDir,
    settings,
    run: (...argv) =>
      cli(argv, { cwd: folder, backend: commandBackend, deps: { loadSettings: async () => settings } }),
  };
}

/** The config repository with these files at its tip. Resolves to that commit. */
async function commit({ settings }: Machine, files: Readonly<Record<string, string>>): Promise<string> {
  const { url } = settings.configRepo;
  const git = (...args: readonly string[]): string => {
    const identity = ['-c', 'user.name=test', '-c', 'user.email=test@example.com'];
    return execFileSync('git', ['-C', url, ...identity, ...args], { encoding: 'utf8' }).trim();
  };
  await mkdir(join(url, 'projects'), { recursive: true });
  git('init', '--quiet', '--initial-branch=main');
  for (const [name, text] of Object.entries(files)) await writeFile(join(url, 'projects', name), text);
  git('add', '--all');
  git('commit', '--quiet', '--message=change');
  return git('rev-parse', 'HEAD');
}

const wrong = 'apiVersion: pointsman.dev/v1\nkind: Project\nname: shop\nimage: nginx\nruns: {}\n';

it('plans a folder and says each problem once', async () => {
  const subject = await machine();
  await mkdir(join(subject.folder, 'projects'));
  await writeFile(join(subject.folder, 'projects', 'shop.yaml'), wrong);
  const { code, out, err } = await subject.run('plan', '--dir', 'projects');
  expect([code, err]).toEqual([1, '']);
  expect(out.match(/^! shop\.yaml:5:1/gm)).toHaveLength(1);
});

it('plans the newest commit and says each problem once', async () => {
  const subject = await machine();
  await commit(subject, { 'shop.yaml': wrong });
  const { code, out, err } = await subject.run('plan');
  expect([code, err]).toEqual([1, '']);
  expect(out.match(/^! projects\/shop\.yaml:5:1/gm)).toHaveLength(1);
});

const right = 'apiVersion: pointsman.dev/v1\nkind: Project\nname: shop\nimage: nginx\n';

it('plans a commit by the beginning of its hash', async () => {
  const subject = await machine();
  const first = await commit(subject, { 'shop.yaml': wrong });
  const second = await commit(subject, { 'shop.yaml': right });
  for (const [hash, problems] of [
    [first, 1],
    [second, 0],
  ] as const) {
    for (const digits of [7, 8, 39, 40]) {
      const { out } = await subject.run('plan', '--commit', hash.slice(0, digits).toUpperCase(), '--json');
      const report = JSON.parse(out) as PlanReport;
      expect([report.commit, report.problems.length]).toEqual([hash, problems]);
    }
  }
});

it('asks for more where a short hash tells no commit', async () => {
  const subject = await machine();
  const tip = await commit(subject, { 'shop.yaml': right });
  const other = tip.startsWith('0000000') ? '1111111' : '0000000';
  const { code, err } = await subject.run('plan', '--commit', other);
  expect(code).toBe(1);
  expect(err).toMatch(
    /^error: no commit of .* that begins with \S+ is known here; write all 40 hex digits\n$/,
  );
  const tree = execFileSync('git', ['-C', subject.settings.configRepo.url, 'rev-parse', `${tip}^{tree}`]);
  expect((await subject.run('plan', '--commit', tree.toString().slice(0, 12))).err).toContain('no commit of');
  const branch = await subject.run('plan', '--commit', 'main');
  expect(branch.err).toBe('error: "main" is not a commit hash; write its 40 hex digits\n');
});

it('says once why there is nothing to plan', async () => {
  const { run, settings } = await machine();
  const { code, out, err } = await run('plan');
  expect([code, out]).toEqual([1, '']);
  expect(err).toMatch(new RegExp(`^error: .*${settings.configRepo.url}[^\\n]*\\n$`));
});

it('asks for the tip of the config repository and makes nothing in stateDir', async () => {
  const subject = await machine();
  const tip = await commit(subject, { 'shop.yaml': wrong });
  execFileSync('git', ['-C', subject.settings.configRepo.url, 'pack-refs', '--all']);
  const before = await readdir(subject.folder);
  expect(await commandBackend.configTip(subject.settings, AbortSignal.timeout(30_000))).toBe(tip);
  expect(await readdir(subject.folder)).toEqual(before);
  expect(before).not.toContain('state');
});
