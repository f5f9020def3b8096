/** The state directory, its lock and its journal: lost, held, damaged, not writable. */
import { execFile } from 'node:child_process';
import { appendFile, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, expect, it } from 'vitest';
import { readJournal } from '../../src/record/journal.js';
import { engine } from '../support/engine.js';
import { effectOf, proxyEngine } from '../support/engine-proxy.js';
import { deploymentsOf } from '../support/history.js';
import { processesOf } from '../support/processes.js';
import { createScenario, type Scenario } from '../support/scenario.js';
import { contentsOf, effects, endState, expectSettled, expectUnnoticed } from '../support/settled.js';

const execute = promisify(execFile);

let scenario: Scenario;
const undo: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const each of undo.splice(0).reverse()) await each();
  await scenario.cleanup();
});

it('refuses a second controller and names the one that runs', async () => {
  scenario = await createScenario();
  const shop = scenario.name('shop');
  await scenario.commitManifest(shop, await scenario.application('shop'));
  const first = scenario.start();
  await first.waitLive(shop);

  const sameState = await scenario.pointsman('run');
  expect(sameState.code).toBe(2);
  expect(sameState.stderr).toContain(`pid ${first.pid}, state directory ${scenario.stateDir}`);

  const elsewhere = join(scenario.folder, 'other');
  await mkdir(elsewhere);
  await scenario.writeSettings({ stateDir: elsewhere });
  for (const args of [['run'], ['run', '--once']]) {
    const sameInstance = await scenario.pointsman(...args);
    expect(sameInstance.code).toBe(2);
    expect(sameInstance.stderr).toContain(`pid ${first.pid}, state directory ${scenario.stateDir}`);
  }
  // It must not have started an nginx of its own before it was refused.
  expect(await processesOf(elsewhere)).toEqual([]);
  expect(await scenario.version(shop)).toBe('v1');
});

it('replaces a control socket that a dead controller left, and cuts off a torn line', async () => {
  scenario = await createScenario();
  const shop = scenario.name('shop');
  await scenario.commitManifest(shop, await scenario.application('shop'));
  const first = scenario.start();
  await first.waitLive(shop);
  await first.kill();
  const socket = join(scenario.stateDir, 'control.sock');
  await rm(socket, { force: true });
  const stale = createServer();
  await new Promise<void>((resolve) => stale.listen(`${socket}.held`, resolve));
  await execute('mv', ['--', `${socket}.held`, socket]);
  await new Promise((resolve) => stale.close(resolve));
  await appendFile(join(scenario.stateDir, 'journal.jsonl'), '{"version":1,"seq":');

  const second = scenario.start();
  await second.waitLive(shop);
  expect((await scenario.pointsman('sync')).code).toBe(0);
  const lines = (await readFile(join(scenario.stateDir, 'journal.jsonl'), 'utf8')).trimEnd().split('\n');
  expect(() => lines.map((line) => JSON.parse(line) as unknown)).not.toThrow();
  expect((await readdir(scenario.stateDir)).filter((name) => name.includes('torn'))).toHaveLength(1);
  await expectSettled(scenario);
});

it('carries on when all of the state directory but nginx/ is lost', async () => {
  scenario = await createScenario();
  const shop = scenario.name('shop');
  const application = await scenario.application('shop');
  await scenario.commitManifest(shop, application);
  const first = scenario.start();
  await first.waitLive(shop);
  await application.commitVersion('v2');
  const configCommit = await scenario.config.head();
  const sourceCommit = await application.head();
  await first.waitLive(shop, { sourceCommit });
  await first.waitIdle({ configCommit });
  await first.kill();
  const before = await endState(scenario);
  const client = scenario.client(shop, 'v2');
  for (const name of await readdir(scenario.stateDir)) {
    if (name !== 'nginx') await rm(join(scenario.stateDir, name), { recursive: true });
  }
  const since = Date.now();
  const second = scenario.start();
  const { live, previous } = await second.waitLive(shop, { sourceCommit });
  const status = await second.waitIdle({ configCommit });
  expect(live).toMatchObject({ sourceCommit, isRollback: false });
  expect(previous).not.toBeNull();
  expect(status.projects[shop]?.previous?.state).toBe('warm');
  expect(await scenario.engineActions(since)).toEqual([]);
  expect(await endState(scenario)).toEqual(before);
  await expectSettled(scenario);
  expectUnnoticed(client);
  client.expect({ from: 'v2', to: 'v1' });
  await application.revert();
  await second.waitLive(shop, { sourceCommit: await application.head() });
  expect(
    (await scenario.engineActions(since)).filter((action) => /^(create|start|build)/.test(action)),
  ).toEqual([]);
  expectUnnoticed(client);
});

it('sets a damaged journal aside, says so, and goes on', async () => {
  scenario = await createScenario();
  const shop = scenario.name('shop');
  await scenario.commitManifest(shop, await scenario.application('shop'));
  const first = scenario.start();
  await first.waitLive(shop);
  await first.stop();
  const path = join(scenario.stateDir, 'journal.jsonl');
  const lines = (await readFile(path, 'utf8')).split('\n');
  lines[2] = lines[2]?.replace('"version":1', '"version":7') ?? '';
  await writeFile(path, lines.join('\n'));
  const second = scenario.start();
  await second.waitLive(shop);
  const { problems } = (await second.status()) ?? { problems: [] };
  expect(problems.map(({ message }) => message)).toEqual([
    expect.stringContaining('set aside as journal.damaged-'),
  ]);
  expect(
    (await readdir(scenario.stateDir)).filter((name) => name.startsWith('journal.damaged-')),
  ).toHaveLength(1);
  await second.stop();
  await expectSettled(scenario);
});

it('starts no deployment while the journal cannot be written, repairs all the same, and heals', async () => {
  scenario = await createScenario();
  const shop = scenario.name('shop');
  const application = await scenario.application('shop');
  await scenario.commitManifest(shop, application);
  const first = scenario.start({
    killAt: { record: { type: 'deployment', to: 'active' }, when: 'after', skip: 1 },
  });
  await first.waitLive(shop);
  await first.kill();
  const path = join(scenario.stateDir, 'journal.jsonl');
  await execute('mount', ['--bind', path, path]);
  let mounted = true;
  const unmount = async (): Promise<void> => {
    if (mounted) await execute('umount', [path]);
    mounted = false;
  };
  undo.push(unmount);
  await execute('mount', ['-o', 'remount,ro,bind', path]);

  await engine.getContainer(`pointsman-${shop}-blue`).remove({ force: true });
  const sourceCommit = await application.commitVersion('v2');
  const second = scenario.start();
  await second.waitFor('the deployment is refused', ({ status }) => {
    return status?.projects[shop]?.reason === 'JournalUnwritable';
  });
  await second.waitFor('what is live is back', async () => (await scenario.version(shop)) === 'v1');
  const { problems } = (await second.status()) ?? { problems: [] };
  expect(problems.length).toBeGreaterThan(0);
  const actions = await scenario.engineActions();
  expect(actions.filter((action) => action.includes(`${shop}-green`))).toEqual([]);
  expect(await readdir(join(scenario.stateDir, 'logs', shop))).toHaveLength(1);

  await unmount();
  await second.waitLive(shop, { sourceCommit });
  expect(await scenario.version(shop)).toBe('v2');
  expect((await second.status())?.problems).toEqual([]);
});

it('does nothing at all in a second `run --once`', async () => {
  scenario = await createScenario();
  const proxy = await proxyEngine();
  undo.push(() => proxy.cut());
  await scenario.writeSettings({ docker: { socket: proxy.socket } });
  const mutations = (): readonly string[] => proxy.requests.map(effectOf).filter((effect) => effect !== null);
  const shop = scenario.name('shop');
  await scenario.commitManifest(shop, await scenario.application('shop'));
  const first = await scenario.pointsman('run', '--once');
  expect(first.code).toBe(0);
  expect(mutations().length).toBeGreaterThan(0);
  const asked = mutations().length;
  const nginx = (): Promise<ReadonlyMap<string, string>> => contentsOf(join(scenario.stateDir, 'nginx'));
  const times = async (): Promise<string> =>
    (
      await execute('find', [
        join(scenario.stateDir, 'nginx'),
        '-not',
        '-path',
        '*/logs/*',
        '-printf',
        '%p %i %T@\n',
      ])
    ).stdout;
  const before = { times: await times(), files: [...(await nginx()).keys()], effects: await records() };

  expect((await scenario.pointsman('run', '--once')).code).toBe(0);
  expect(mutations().slice(asked)).toEqual([]);
  expect(await records()).toEqual(before.effects);
  expect([...(await nginx()).keys()]).toEqual(before.files);
  expect(await times()).toBe(before.times);
  await expectSettled(scenario);
  // The proxy is no part of the scenario: what cleanup removes is the engine's.
});

it('deploys what has no secrets where the folder of secrets cannot be made, and names it to what has', async () => {
  scenario = await createScenario();
  await writeFile(join(scenario.folder, 'file'), '');
  await scenario.writeSettings({ secrets: { dir: join(scenario.folder, 'file', 'secrets') } });
  const [shop, secretive] = [scenario.name('shop'), scenario.name('secretive')];
  const application = await scenario.application('shop');
  await scenario.commitManifest(shop, application);
  await scenario.commitManifest(secretive, application, { run: { secrets: ['TOKEN'] } });
  const controller = scenario.start();
  await controller.waitLive(shop);
  const message = await controller.waitFor(
    'the other one is told',
    ({ status }) => status?.projects[secretive]?.message,
  );
  expect(message).toContain(join(scenario.folder, 'file', 'secrets'));
  expect((await controller.status())?.components.docker).toEqual({ ok: true, message: null });
});

it('answers `run --once` by its exit code', async () => {
  scenario = await createScenario();
  const shop = scenario.name('shop');
  const application = await scenario.application('shop', { exitAtStart: 3 });
  await scenario.commitManifest(shop, application, { health: { within: '2s' } });
  expect((await scenario.pointsman('run', '--once')).code).toBe(1);
  await scenario.commitManifest(shop, application, { suspend: true });
  expect((await scenario.pointsman('run', '--once')).code).toBe(0);
  await scenario.config.commit({ 'projects/bad.yaml': 'kind: Project\n' });
  expect((await scenario.pointsman('run', '--once')).code).toBe(1);
  await scenario.config.commit({ 'projects/bad.yaml': null });
  await scenario.writeSettings({ configRepo: { url: join(scenario.folder, 'nowhere'), interval: '1s' } });
  expect((await scenario.pointsman('run', '--once')).code).toBe(1);
  await scenario.writeSettings({ nginx: { mode: 'neither' } });
  expect((await scenario.pointsman('run', '--once')).code).toBe(2);
});

it.each([
  { command: 'run', args: [], code: 0 },
  { command: 'run --once', args: ['--once'], code: 130 },
])('leaves a deployment in hand at a signal: $command', async ({ args, code }) => {
  scenario = await createScenario();
  const shop = scenario.name('shop');
  // Not healthy before somebody says so: it cannot end by itself while it is looked at.
  const application = await scenario.application('shop', { healthStatus: 500 });
  await scenario.commitManifest(shop, application, { health: { within: '10m' } });
  const run = scenario.start({ args });
  await run.waitFor('it probes', ({ journal }) =>
    journal.some((record) => record.type === 'deployment' && record.to === 'probing'),
  );
  run.signal('SIGINT');
  expect(await run.exited).toEqual({ code, signal: null });
  expect((await run.status())?.controller.state).toBe('stopped');
  const [left, ...others] = deploymentsOf(await run.journal(), shop);
  expect(left?.phases).toBe('queued building starting probing');
  expect(others).toEqual([]);
  const candidate = engine.getContainer(`pointsman-${shop}-blue`);
  const { Id, State } = await candidate.inspect();
  expect(State.Running).toBe(true);

  const again = scenario.start();
  await again.waitFor('it probes again', ({ status }) => status?.projects[shop]?.phase === 'probing');
  expect((await candidate.inspect()).Id).toBe(Id);
  expect(deploymentsOf(await again.journal(), shop).map(({ id }) => id)).toEqual([left?.id]);
  const healthy = await application.commitVersion('v2');
  await again.waitLive(shop, { sourceCommit: healthy });
  expect(deploymentsOf(await again.journal(), shop)[0]?.last.to).toBe('cancelled');
});

it('ends at once at the second signal', async () => {
  scenario = await createScenario();
  const shop = scenario.name('shop');
  await scenario.commitManifest(shop, await scenario.application('shop'));
  const controller = scenario.start();
  await controller.waitLive(shop);
  await controller.waitIdle({ configCommit: await scenario.config.head() });
  controller.signal('SIGTERM');
  controller.signal('SIGINT');
  const { code } = await controller.exited;
  // Which comes first is the kernel's choice, and the second may come when the first has done its work.
  expect([0, 130, 143]).toContain(code);
});

async function records(): Promise<number> {
  const all = [];
  for await (const record of readJournal(scenario.stateDir)) all.push(record);
  return effects(all).length;
}
