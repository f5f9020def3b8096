/**
 * Secrets that can be told from everything else, and a search for them wherever something is written
 * down: only the one container's environment may have its own.
 */
import { execFile } from 'node:child_process';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { engine } from '../support/engine.js';
import { startGitHttp, type GitHttpServer } from '../support/git.js';
import { createScenario, type Scenario } from '../support/scenario.js';
import { contentsOf } from '../support/settled.js';

const execute = promisify(execFile);

const canaries = {
  secret: 'canary-secret-9f31c2',
  /** Of a project whose deployment fails in every way. */
  failing: 'canary-failing-77b0aa',
  token: 'canary-token-4f7a1c',
};
/** The forms in which each of them could travel. */
const forms = Object.values(canaries).flatMap((canary) => [
  canary,
  Buffer.from(canary).toString('base64').replace(/=+$/, ''),
  Buffer.from(`x-access-token:${canary}`).toString('base64').replace(/=+$/, ''),
  Buffer.from(canary).toString('hex'),
  encodeURIComponent(canary),
]);

let scenario: Scenario;
let server: GitHttpServer;

beforeEach(async () => {
  scenario = await createScenario();
  server = await startGitHttp(scenario.folder, { token: canaries.token });
});
afterEach(async () => {
  await scenario.stopAll();
  await server.close();
  await scenario.cleanup();
});

function expectNone(where: string, text: string): void {
  for (const form of forms) expect(`${where}: ${text.includes(form)}`).toBe(`${where}: false`);
}

/** Command lines of every process and the environment of all but containers, as long as `stop` is not called. */
function watchProcesses(): { readonly seen: Set<string>; stop(): void } {
  const seen = new Set<string>();
  const timer = setInterval(() => {
    void (async () => {
      for (const pid of await readdir('/proc')) {
        if (!/^\d+$/.test(pid)) continue;
        const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
        const words = commandLine.split('\0').join(' ');
        seen.add(words);
        if (/(?:^|\/)(?:git|nginx)[ :]/.test(words))
          seen.add(await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => ''));
      }
    })();
  }, 5);
  return { seen, stop: () => clearInterval(timer) };
}

async function putSecret(project: string, value: string): Promise<void> {
  await mkdir(join(scenario.secretsDir, project), { recursive: true, mode: 0o700 });
  await writeFile(join(scenario.secretsDir, project, 'API_KEY'), value, { mode: 0o600 });
}

it('writes secrets and tokens nowhere but into the container that has them', async () => {
  const tokenFile = join(scenario.folder, 'token');
  await writeFile(tokenFile, `${canaries.token}\n`, { mode: 0o600 });
  await scenario.writeSettings({
    configRepo: { url: `${server.url}/config/.git`, interval: '1s', tokenFile },
  });
  const [shop, sick, plain] = [scenario.name('shop'), scenario.name('sick'), scenario.name('plain')];
  await putSecret(shop, canaries.secret);
  await putSecret(sick, canaries.failing);
  const application = await scenario.application('shop');
  const release = { command: ['node', 'release.mjs'] };
  const run = { secrets: ['API_KEY'] };
  await scenario.commitManifest(shop, application, { run, release });
  await scenario.commitManifest(plain, application);
  const processes = watchProcesses();
  const controller = scenario.start();
  await controller.waitLive(shop);
  await controller.waitLive(plain);

  // Everything that can go wrong on the way of a project with a secret.
  const broken = await scenario.application('sick', { exitAtStart: 3 });
  await scenario.commitManifest(sick, broken, { run, release: { command: ['node', 'no-such-file.mjs'] } });
  await controller.waitFor('the release failed', ({ status }) => status?.projects[sick]?.state === 'failed');
  const configCommit = await scenario.commitManifest(sick, broken, { run });
  await controller.waitFor('the start failed', ({ status }) => {
    const found = status?.projects[sick];
    return found?.state === 'failed' && found.desired?.configCommit === configCommit;
  });
  await broken.commit({ Dockerfile: 'FROM node:base\nRUN exit 3\n' });
  await controller.waitFor('the build failed', ({ journal }) =>
    journal.some(
      (record) =>
        record.type === 'deployment' &&
        record.to === 'failed' &&
        record.project === sick &&
        record.from === 'building',
    ),
  );
  server.token = 'another';
  await controller.waitFor('the token is refused', ({ status }) => status?.source.error);
  const commands = [
    ['status'],
    ['status', '--json'],
    ['history'],
    ['history', '--json'],
    ['plan'],
    ['doctor'],
    ['logs', sick, '--build'],
  ];
  for (const args of commands) {
    const { stdout, stderr } = await scenario.pointsman(...args);
    expectNone(args.join(' '), stdout + stderr);
  }
  // Git's credential helper has the token in a file of its own as long as git runs.
  await controller.stop();
  processes.stop();
  expectNone('log', controller.log.map((line) => JSON.stringify(line)).join('\n'));
  expectNone('stderr', controller.errors);
  for (const [path, text] of await contentsOf(scenario.stateDir)) expectNone(path, text);
  expect(processes.seen.size).toBeGreaterThan(10);
  for (const text of processes.seen) expectNone('a process', text);

  const filters = { label: [`dev.pointsman.instance=${scenario.instance}`] };
  let holders = 0;
  for (const { Id } of await engine.listContainers({ all: true, filters })) {
    const inspected = await engine.getContainer(Id).inspect();
    const env = inspected.Config.Env.join('\n');
    const own = inspected.Name.includes(shop) ? canaries.secret : canaries.failing;
    if (env.includes(`API_KEY=${own}`) && !inspected.Name.includes(plain)) holders += 1;
    const rest = JSON.stringify(inspected).replaceAll(`API_KEY=${own}`, '');
    expectNone(inspected.Name, rest);
  }
  expect(holders).toBeGreaterThan(0);
  for (const { Id } of await engine.listImages({ filters: { label: filters.label } })) {
    expectNone('image', JSON.stringify(await engine.getImage(Id).inspect()));
    expectNone('history of an image', JSON.stringify(await engine.getImage(Id).history()));
  }
  const { stdout } = await execute('docker', ['network', 'ls', '--no-trunc', '--format', '{{json .}}']);
  expectNone('networks', stdout);
});
