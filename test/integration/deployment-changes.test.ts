import { chmod, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { JournalRecord } from '../../src/record/port.js';
import type { Controller } from '../support/controller.js';
import { contextOf, engine } from '../support/engine.js';
import { deploymentsOf } from '../support/history.js';
import { createScenario, merge, type Fields, type Scenario } from '../support/scenario.js';
import { contentsOf } from '../support/settled.js';
import { until } from '../support/waiting.js';

let scenario: Scenario;
afterEach(async () => scenario.cleanup());

function reloads(controller: Controller): number {
  return controller.log.filter(({ msg }) => msg === 'nginx reloaded').length;
}

function effectKinds(before: readonly string[]): readonly string[] {
  const kinds = scenario.effectsSince(before).map((effect) => effect.split(' ')[0] ?? '');
  return kinds.filter((kind) => kind !== 'update').sort();
}

async function environmentOf(project: string): Promise<Readonly<Record<string, string>>> {
  return JSON.parse((await scenario.get(`${project}.localhost`, '/env')).body) as Record<string, string>;
}

describe('the least work that is enough', () => {
  it('is one container for an environment, one reload for a route, and nothing for the rest', async () => {
    scenario = await createScenario({ counted: true });
    const shop = scenario.name('shop');
    const application = await scenario.application('shop');
    await scenario.commitManifest(shop, application);
    const controller = scenario.start();
    await controller.waitLive(shop);
    const first = reloads(controller);
    const client = scenario.client(shop, 'v1');

    const environment: Fields = { run: { env: { COLOUR: 'red' } }, rollout: { keepPrevious: '0s' } };
    let before = scenario.effects();
    let workers = await scenario.nginxWorkers();
    let configCommit = await scenario.commitManifest(shop, application, environment);
    const { live } = await controller.waitLive(shop, { configCommit });
    await controller.waitFor(
      'the other slot is gone',
      ({ status }) => status?.projects[shop]?.previous === null,
    );
    await until(async () => effectKinds(before).includes('remove'));
    expect(await environmentOf(shop)).toMatchObject({ COLOUR: 'red', PORT: '3000' });
    expect(effectKinds(before)).toEqual(['create', 'remove', 'start', 'stop']);
    expect(await scenario.nginxWorkers()).toEqual(workers);
    expect(reloads(controller)).toBe(first);

    // health, rollout and the writing: counted, nothing at all.
    before = scenario.effects();
    const seq = (await controller.journal()).at(-1)?.seq ?? 0;
    const site = join(scenario.stateDir, 'nginx', 'sites', `${shop}.conf`);
    const written = await stat(site);
    const keeping = { health: { within: '40s', bake: '3s' }, rollout: { drain: '7s', keepPrevious: '3m' } };
    configCommit = await scenario.commitManifest(shop, application, merge(environment, keeping));
    await controller.waitLive(shop, { configCommit });
    const text = scenario.manifest(shop, application, merge(environment, keeping));
    const spelledOut = text.replace(/^run:$/m, 'suspend: false # the default\nrun:\n  port: 3000');
    expect(spelledOut).not.toBe(text);
    configCommit = await scenario.config.commit({
      [`projects/${shop}.yaml`]: null,
      'projects/moved.yml': spelledOut,
    });
    await controller.waitFor('it is read', ({ status }) => status?.source.commit === configCommit);
    await controller.waitLooks();
    expect(scenario.effectsSince(before)).toEqual([]);
    const since = (await controller.journal()).filter((record: JournalRecord) => record.seq > seq);
    expect(since.map(({ type }) => type)).toEqual(['sync', 'sync']);
    expect((await controller.project(shop))?.live).toEqual(live);
    expect(await stat(site)).toMatchObject({ ino: written.ino, mtimeMs: written.mtimeMs });
    expect(await scenario.nginxWorkers()).toEqual(workers);
    expect(await client.stop()).toMatchObject({ failed: 0, wrong: 0, reasons: {} });

    workers = await scenario.nginxWorkers();
    const domains = [`www-${shop}.localhost`, `${shop}.localhost`];
    const routed = merge(merge(environment, keeping), { route: { domains } });
    configCommit = await scenario.config.commit({
      'projects/moved.yml': scenario.manifest(shop, application, routed),
    });
    const status = await controller.waitLive(shop, { configCommit });
    expect(status.urls).toEqual(domains.map((domain) => `http://${domain}:${scenario.ports.listen}/`));
    expect(JSON.parse((await scenario.get(`www-${shop}.localhost`)).body)).toMatchObject({ version: 'v1' });
    expect(scenario.effectsSince(before)).toEqual([]);
    expect(reloads(controller)).toBe(first + 1);
    expect(await scenario.nginxWorkers()).not.toEqual(workers);
    expect(status.live?.container).toBe(live?.container);
  });

  it('is a new container and its address in the site for another run.port', async () => {
    scenario = await createScenario({ counted: true });
    const shop = scenario.name('shop');
    const application = await scenario.application('shop');
    await scenario.commitManifest(shop, application);
    const controller = scenario.start();
    await controller.waitLive(shop);
    const before = scenario.effects();
    const configCommit = await scenario.commitManifest(shop, application, { run: { port: 8080 } });
    const moved = await controller.waitLive(shop, { configCommit });
    expect(moved.live?.address).toMatch(/^10\.214\.\d+\.\d+:8080$/);
    expect(await environmentOf(shop)).toMatchObject({ PORT: '8080' });
    expect(effectKinds(before)).toEqual(['create', 'start']);

    const reverted = await scenario.config.revert();
    const back = await controller.waitLive(shop, { configCommit: reverted });
    expect(back.live?.address).toMatch(/:3000$/);
    expect(await environmentOf(shop)).toMatchObject({ PORT: '3000' });
    expect(effectKinds(before)).toEqual(['create', 'start']);
  });
});

describe('secrets', () => {
  it('are injected, roll out when they change, and are a problem but no change when they cannot be read', async () => {
    scenario = await createScenario({ counted: true });
    const shop = scenario.name('shop');
    const application = await scenario.application('shop');
    const file = join(scenario.secretsDir, shop, 'API_KEY');
    await mkdir(dirname(file), { mode: 0o700 });
    await writeFile(file, 'first-4711\n', { mode: 0o600 });
    await scenario.commitManifest(shop, application, { run: { secrets: ['API_KEY'] } });
    const controller = scenario.start();
    const { live: first } = await controller.waitLive(shop);
    expect(await environmentOf(shop)).toMatchObject({ API_KEY: 'first-4711' });
    const client = scenario.client(shop, 'v1');

    let before = scenario.effects();
    await writeFile(file, 'second-4711');
    const { live } = await controller.waitFor('the new value is live', ({ status }) => {
      const found = status?.projects[shop];
      return found?.state === 'live' && found.live?.revision !== first?.revision ? found : null;
    });
    expect(await environmentOf(shop)).toMatchObject({ API_KEY: 'second-4711' });
    expect(effectKinds(before)).toEqual(['create', 'start']);
    // When it is drained, the other slot's restart policy changes.
    await controller.waitIdle({ configCommit: await scenario.config.head() });

    before = scenario.effects();
    const deployments = deploymentsOf(await controller.journal(), shop).length;
    const spoil: readonly (readonly [reason: string, how: () => Promise<void>])[] = [
      ['SecretUnreadable', () => chmod(file, 0o644)],
      ['SecretMissing', () => rm(file)],
    ];
    for (const [reason, how] of spoil) {
      await how();
      const status = await controller.waitFor(reason, ({ status: now }) =>
        now?.projects[shop]?.reason === reason ? now.projects[shop] : null,
      );
      expect(status).toMatchObject({ state: 'failed', live });
      expect(status?.message).toContain(file);
    }
    await writeFile(file, 'second-4711\n', { mode: 0o600 });
    await chmod(file, 0o600);
    await controller.waitLive(shop);
    expect(scenario.effectsSince(before)).toEqual([]);
    expect(deploymentsOf(await controller.journal(), shop)).toHaveLength(deployments);
    expect(await client.stop()).toMatchObject({ failed: 0, wrong: 0, reasons: {} });

    // Nowhere but in the container's environment.
    for (const [path, contents] of await contentsOf(scenario.stateDir))
      expect(contents, path).not.toMatch(/(first|second)-4711/);
    expect(JSON.stringify(controller.log)).not.toMatch(/(first|second)-4711/);
    const image = await engine.getImage(live?.image ?? '').inspect();
    const { Config } = await engine.getContainer(live?.container ?? '').inspect();
    expect(JSON.stringify([image, Config.Labels])).not.toMatch(/(first|second)-4711/);
  });
});

describe('secrets that change while nobody looks', () => {
  it('are never served under the old revision by a live container that is made again', async () => {
    scenario = await createScenario();
    const shop = scenario.name('shop');
    const application = await scenario.application('shop');
    const file = join(scenario.secretsDir, shop, 'API_KEY');
    await mkdir(dirname(file), { mode: 0o700 });
    await writeFile(file, 'first', { mode: 0o600 });
    await scenario.commitManifest(shop, application, { run: { secrets: ['API_KEY'] } });
    const before = scenario.start();
    const { live: first } = await before.waitLive(shop);
    await before.stop();
    await engine.getContainer(first?.container ?? '').remove({ force: true });
    await writeFile(file, 'second', { mode: 0o600 });

    const controller = scenario.start();
    const { live: second } = await controller.waitFor('the new value is deployed', ({ status }) => {
      const found = status?.projects[shop];
      return found?.state === 'live' && found.live?.slot === 'green' ? found : null;
    });
    expect(await environmentOf(shop)).toMatchObject({ API_KEY: 'second' });
    const again = await engine.getContainer(`pointsman-${shop}-blue`).inspect();
    expect(again.Config.Env).toContain('API_KEY=second');
    const label = again.Config.Labels['dev.pointsman.revision'];
    expect([first?.revision, second?.revision]).not.toContain(label);
    expect(deploymentsOf(await controller.journal(), shop).map(({ last }) => last.revision)).toEqual([
      first?.revision,
      second?.revision,
    ]);

    // The container in blue still runs, and is no way back to the first value.
    await writeFile(file, 'first', { mode: 0o600 });
    const { live: third } = await controller.waitFor('the first value is back', ({ status }) => {
      const found = status?.projects[shop];
      return found?.state === 'live' && found.live?.slot === 'blue' ? found : null;
    });
    expect(third?.revision).toBe(first?.revision);
    expect(await environmentOf(shop)).toMatchObject({ API_KEY: 'first' });
  });
});

describe('the key of secret hashes', () => {
  it('is made when the first project with a secret comes, and never anew while containers have secrets', async () => {
    scenario = await createScenario();
    const [plain, shop] = [scenario.name('plain'), scenario.name('shop')];
    await scenario.commitManifest(plain, await scenario.application('plain'));
    const controller = scenario.start();
    await controller.waitLive(plain);
    const key = join(scenario.secretsDir, '.key');
    await rm(key);
    const file = join(scenario.secretsDir, shop, 'API_KEY');
    await mkdir(dirname(file), { mode: 0o700 });
    await writeFile(file, 'first', { mode: 0o600 });
    await scenario.commitManifest(shop, await scenario.application('shop'), {
      run: { secrets: ['API_KEY'] },
    });
    const { live } = await controller.waitLive(shop);
    const made = await readFile(key, 'utf8');

    await rm(key);
    const missing = await controller.waitFor('the key is missed', ({ status }) =>
      status?.projects[shop]?.reason === 'SecretKeyMissing' ? status.projects[shop] : null,
    );
    expect(missing).toMatchObject({ state: 'failed', live });
    expect(missing?.message).toBe(
      `${key} is missing: restore it; a new one is made once no container of ours has secrets`,
    );
    await expect(readFile(key)).rejects.toMatchObject({ code: 'ENOENT' });
    await writeFile(key, made, { mode: 0o600 });
    expect((await controller.waitLive(shop)).live).toEqual(live);

    await rm(key);
    await engine.getContainer(live?.container ?? '').remove({ force: true });
    const again = await controller.waitFor('there is a new key and a new revision', ({ status }) => {
      const found = status?.projects[shop];
      return found?.state === 'live' && found.live?.revision !== live?.revision ? found : null;
    });
    expect(again.live?.slot).toBe('green');
    expect(await readFile(key, 'utf8')).not.toBe(made);
    expect(await environmentOf(shop)).toMatchObject({ API_KEY: 'first' });
  });
});

describe('a container', () => {
  it('has the limits and the hardening that it should have', async () => {
    scenario = await createScenario();
    const [shop, plain] = [scenario.name('shop'), scenario.name('plain')];
    const application = await scenario.application('shop');
    const run = {
      memory: '128Mi',
      cpus: 0.5,
      pids: 64,
      user: '1000:1000',
      readOnly: true,
      stopTimeout: '3s',
    };
    await scenario.config.commit({
      'projects/both.yaml': `${scenario.manifest(shop, application, { run })}---\n${scenario.manifest(plain, application)}`,
    });
    const controller = scenario.start();
    await controller.waitLive(shop);
    await controller.waitLive(plain);

    const limited = await engine.getContainer(`pointsman-${shop}-blue`).inspect();
    expect(limited.HostConfig).toMatchObject({
      Memory: 128 * 1024 * 1024,
      MemorySwap: 128 * 1024 * 1024,
      NanoCpus: 500_000_000,
      PidsLimit: 64,
      ReadonlyRootfs: true,
      Privileged: false,
    });
    expect(limited.Config).toMatchObject({ User: '1000:1000', StopTimeout: 3 });
    const usual = await engine.getContainer(`pointsman-${plain}-blue`).inspect();
    expect(usual.HostConfig).toMatchObject({
      PidsLimit: 512,
      ReadonlyRootfs: false,
      Privileged: false,
      PidMode: '',
      LogConfig: { Type: 'local' },
    });
    expect(usual.HostConfig.NetworkMode).toBe(`pointsman-${plain}`);
    expect(usual.HostConfig.Binds ?? []).toEqual([]);
    expect(usual.HostConfig.Devices ?? []).toEqual([]);

    for (const { State } of [limited, usual]) {
      const facts = await readFile(`/proc/${State.Pid}/status`, 'utf8');
      expect(facts).toMatch(/^NoNewPrivs:\s1$/m);
      const bounding = BigInt(`0x${/^CapBnd:\s([0-9a-f]+)$/m.exec(facts)?.[1]}`);
      // MKNOD 27, NET_RAW 13, AUDIT_WRITE 29, SYS_ADMIN 21 of linux/capability.h; CHOWN 0 is left.
      for (const capability of [27n, 13n, 29n, 21n]) expect((bounding >> capability) & 1n).toBe(0n);
      expect(bounding & 1n).toBe(1n);
    }
    expect(await readFile(`/proc/${limited.State.Pid}/status`, 'utf8')).toMatch(/^Uid:\s1000\s/m);
    const refused = await engine
      .getContainer(`pointsman-${shop}-blue`)
      .putArchive(contextOf({ mark: 'x' }), { path: '/app' })
      .catch((error: unknown) => error);
    expect(refused).toMatchObject({ message: expect.stringContaining('read-only') as string });
  });

  it('keeps its volumes through an update, a revert and a removal', async () => {
    scenario = await createScenario();
    const [shop, other] = [scenario.name('shop'), scenario.name('other')];
    const application = await scenario.application('shop');
    const over = { run: { volumes: [{ name: 'data', path: '/data' }] }, rollout: { keepPrevious: '0s' } };
    await scenario.commitManifest(shop, application, over);
    const controller = scenario.start();
    await controller.waitLive(shop);
    await engine
      .getContainer(`pointsman-${shop}-blue`)
      .putArchive(contextOf({ mark: 'kept' }), { path: '/data' });

    const sourceCommit = await application.commitVersion('v2');
    await controller.waitLive(shop, { sourceCommit });
    expect(await fileIn(`pointsman-${shop}-green`, '/data/mark')).toContain('kept');
    const reverted = await application.revert();
    await controller.waitLive(shop, { sourceCommit: reverted });
    expect(await fileIn(`pointsman-${shop}-blue`, '/data/mark')).toContain('kept');

    await scenario.config.commit({
      [`projects/${shop}.yaml`]: null,
      [`projects/${other}.yaml`]: scenario.manifest(other, application, { suspend: true }),
    });
    await controller.waitFor('it is gone', ({ status }) => status !== null && !(shop in status.projects));
    await scenario.commitManifest(shop, application, over);
    await controller.waitLive(shop);
    expect(await fileIn(`pointsman-${shop}-blue`, '/data/mark')).toContain('kept');
  });
});

/** The file's tar entry, as text. */
async function fileIn(container: string, path: string): Promise<string> {
  let text = '';
  for await (const chunk of await engine.getContainer(container).getArchive({ path })) text += String(chunk);
  return text;
}

describe('forty projects in one commit', () => {
  it('are all live, each at its own address, with few reloads', async () => {
    scenario = await createScenario({ counted: true });
    const application = await scenario.application('small');
    const names = Array.from({ length: 40 }, (_, index) => scenario.name(`p${index + 1}`));
    const serve =
      'mkdir /tmp/www && echo "$NAME" > /tmp/www/who && exec busybox httpd -f -p "$PORT" -h /tmp/www';
    const manifests = names.map((name) =>
      scenario.manifest(name, application, {
        run: { command: ['sh', '-c', serve], env: { NAME: name }, stopTimeout: '100ms' },
        health: { path: '/who', within: '60s' },
      }),
    );
    const configCommit = await scenario.config.commit({ 'projects/all.yaml': manifests.join('---\n') });
    const begin = performance.now();
    const controller = scenario.start();
    const status = await controller.waitFor(
      'all are live',
      ({ status: now }) => (now?.source.commit === configCommit && now.summary.live === 40 ? now : null),
      160_000,
    );
    const seconds = (performance.now() - begin) / 1000;
    expect(status.summary).toMatchObject({ total: 40, live: 40, progressing: 0, failed: 0 });
    const addresses = Object.values(status.projects).map(({ live }) => live?.address);
    expect(new Set(addresses).size).toBe(40);
    const answers = await Promise.all(names.map((name) => scenario.get(`${name}.localhost`, '/who')));
    expect(answers.map(({ body }) => body.trim())).toEqual(names);
    expect(scenario.effects().filter((effect) => effect.startsWith('create'))).toHaveLength(40);
    expect(reloads(controller)).toBeLessThanOrEqual(Math.ceil(seconds / 5) + 1);
    expect(controller.errors).toBe('');
    const journal = await controller.journal();
    expect(names.flatMap((name) => deploymentsOf(journal, name)).map(({ last }) => last.to)).toEqual(
      names.map(() => 'active'),
    );
  });
});
