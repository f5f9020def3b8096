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
import { startGitHttp, startGitSsh, type GitHttpServer, type GitSshServer } from '../support/git.js';
import { registryUser, startRegistry, type TestRegistry } from '../support/registry.js';
import { createScenario, type Scenario } from '../support/scenario.js';
import { contentsOf } from '../support/settled.js';

const execute = promisify(execFile);

const canaries = {
  secret: 'canary-secret-9f31c2',
  /** Of a project whose deployment fails in every way. */
  failing: 'canary-failing-77b0aa',
  token: 'canary-token-4f7a1c',
};
const [sshPort, registryPort] = [19320, 19420];

/** The forms in which a canary could travel. */
function formsOf(canary: string): readonly string[] {
  return [
    canary,
    Buffer.from(canary).toString('base64').replace(/=+$/, ''),
    Buffer.from(`x-access-token:${canary}`).toString('base64').replace(/=+$/, ''),
    Buffer.from(`${registryUser.name}:${canary}`).toString('base64').replace(/=+$/, ''),
    Buffer.from(canary).toString('hex'),
    encodeURIComponent(canary),
  ];
}

/** Of all canaries; the deploy key's come with its server. */
let forms: readonly string[];
let scenario: Scenario;
let server: GitHttpServer;
let ssh: GitSshServer;
let registry: TestRegistry;

beforeEach(async () => {
  scenario = await createScenario();
  server = await startGitHttp(scenario.folder, { token: canaries.token });
  ssh = await startGitSsh({ port: sshPort });
  registry = await startRegistry(registryPort, { signIn: true });
  const key = (await readFile(ssh.keyFile, 'utf8')).split('\n').slice(2, 4);
  forms = [...Object.values(canaries), registryUser.password, ...key].flatMap(formsOf);
});
afterEach(async () => {
  await scenario.stopAll();
  await server.close();
  await ssh.close();
  await registry.stop();
  await scenario.cleanup();
});

function expectNone(where: string, text: string): void {
  for (const form of forms) expect(`${where}: ${text.includes(form)}`).toBe(`${where}: false`);
}

/**
 * Command line and environment of every process of this machine but those in containers, as long as
 * `stop` is not called. Each is read when it is first seen and once more, after it has become its program.
 */
function watchProcesses(): { readonly seen: Set<string>; stop(): void } {
  const seen = new Set<string>();
  const looks = new Map<string, number>();
  const look = async (pid: string): Promise<void> => {
    const of = async (file: string): Promise<string> =>
      (await readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')).split('\0').join(' ');
    const words = await of('cmdline');
    const times = looks.get(`${pid} ${words}`) ?? 0;
    if (words === '' || times >= 2) return;
    looks.set(`${pid} ${words}`, times + 1);
    seen.add(words);
    // A container's own processes have its secrets; its maker's are on the way to be them.
    if (/docker|containerd|runc/.test(`${await of('cgroup')} ${words}`)) return;
    seen.add(await of('environ'));
  };
  const timer = setInterval(() => {
    void readdir('/proc').then((names) => Promise.all(names.filter((name) => /^\d+$/.test(name)).map(look)));
  }, 15);
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
    credentials: [{ prefix: ssh.url, sshKeyFile: ssh.keyFile, knownHostsFile: ssh.knownHostsFile }],
  });
  await writeFile(
    join(scenario.folder, 'config.json'),
    JSON.stringify({
      auths: {
        [registry.host]: {
          auth: Buffer.from(`${registryUser.name}:${registryUser.password}`).toString('base64'),
        },
      },
    }),
  );
  const [shop, sick, plain] = [scenario.name('shop'), scenario.name('sick'), scenario.name('plain')];
  const [keyed, pulled] = [scenario.name('keyed'), scenario.name('pulled')];
  await putSecret(shop, canaries.secret);
  await putSecret(sick, canaries.failing);
  const application = await scenario.application('shop');
  const release = { command: ['node', 'release.mjs'] };
  const run = { secrets: ['API_KEY'] };
  await scenario.commitManifest(shop, application, { run, release });
  await scenario.commitManifest(plain, application);
  // By a deploy key, and from a registry that lets nobody in without its password and then has no such image.
  await scenario.commitManifest(keyed, application, { source: { repo: `${ssh.url}${application.path}` } });
  await scenario.commitManifest(pulled, null, { image: `${registry.host}/team/none:1` });
  const processes = watchProcesses();
  const controller = scenario.start({ env: { DOCKER_CONFIG: scenario.folder } });
  for (const project of [shop, plain, keyed]) await controller.waitLive(project);
  const unpulled = await controller.waitFor('the pull failed', ({ status }) => {
    const found = status?.projects[pulled];
    return found?.reason === 'ImagePullFailed' ? found : null;
  });
  // It was let in: what is missing is the image.
  expect(unpulled.message).not.toMatch(/unauthorized|denied|sign in|authentication/i);

  // Everything that can go wrong on the way of a project with a secret.
  const broken = await scenario.application('sick', { exitAtStart: 3 });
  await scenario.commitManifest(sick, broken, { run, release: { command: ['node', 'no-such-file.mjs'] } });
  await controller.waitFor('the release failed', ({ status }) => status?.projects[sick]?.state === 'failed');
  const configCommit = await scenario.commitManifest(sick, broken, { run });
  await controller.waitFor('the start failed', ({ status }) => {
    const found = status?.projects[sick];
    return found?.state === 'failed' && found.desired?.configCommit === configCommit;
  });
  const unhealthy = await broken.commitVersion('v2', { healthStatus: 500 });
  const within = { health: { path: '/healthz', interval: '100ms', within: '2s' } };
  await scenario.commitManifest(sick, broken, { run, ...within });
  await controller.waitFor('the probes failed', ({ status }) => {
    const found = status?.projects[sick];
    return (
      found?.reason === 'ProbeFailed' && found.desired?.sourceCommit === unhealthy && found.phase === null
    );
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
    ['history', sick],
    ['status', sick],
    ['plan'],
    ['plan', '--json'],
    ['doctor'],
    ['doctor', '--json'],
    ['logs', sick, '--build'],
    ['logs', sick],
    ['logs', shop],
    ['logs', pulled, '--build'],
    ['retry', sick],
    ['sync'],
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
  expect(processes.seen.size).toBeGreaterThan(20);
  expect([...processes.seen].some((words) => /ssh .*IdentityFile=/.test(words))).toBe(true);
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
