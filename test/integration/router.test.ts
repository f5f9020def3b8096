import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdir, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { childrenOf, commandLine } from '../../src/router/process-table.js';
import { startClient } from '../support/client.js';
import { workersOf } from '../support/processes.js';
import { createNginxWorld, siteOf, switchRecord, type NginxWorld } from '../support/nginx.js';
import { rejection, until } from '../support/waiting.js';

let world: NginxWorld;
afterEach(async () => world.cleanup());

const soon = (): AbortSignal => AbortSignal.timeout(30_000);
/** Nothing listens there: connecting is refused. */
const nowhere = { blue: '127.0.0.1:1', green: '127.0.0.1:1' };

interface Answer {
  readonly status: number;
  readonly body: string;
}

async function get(host: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
  const sending = request({
    host: '127.0.0.1',
    port: world.port,
    agent: false,
    headers: { host, ...headers },
  });
  sending.end();
  return read(sending);
}

async function read(sending: ClientRequest): Promise<Answer> {
  const [response] = (await once(sending, 'response')) as [IncomingMessage];
  let body = '';
  for await (const chunk of response.setEncoding('utf8')) body += String(chunk);
  return { status: response.statusCode ?? 0, body };
}

async function versionOf(host: string): Promise<string> {
  const { status, body } = await get(host);
  return status === 200 ? (JSON.parse(body) as { version: string }).version : `status ${status}`;
}

/** nginx with one project `shop` whose blue slot answers `blue` and is live. */
async function withShop(over: Parameters<typeof createNginxWorld>[0] = {}) {
  world = await createNginxWorld(over);
  const [blue, green] = [await world.backend('blue'), await world.backend('green')];
  await world.router.start(soon());
  const site = siteOf('shop', { blue: blue.address, green: green.address }, 'shop.test');
  await world.router.switchTo(switchRecord('shop', 'blue'), soon());
  expect(await world.router.applySites([{ project: 'shop', site }], soon())).toEqual([{ kind: 'applied' }]);
  return { blue, green, site };
}

async function masterPid(): Promise<number> {
  return Number(await readFile(world.file('nginx.pid'), 'utf8'));
}

async function nginxProcesses(): Promise<readonly number[]> {
  const master = await masterPid();
  return [master, ...(await workersOf(master))];
}

async function generation(): Promise<string> {
  const answer = await fetch(`http://${world.settings.nginx.verify}/generation`);
  return (await answer.text()).trim();
}

describe('a managed nginx', () => {
  it('starts, answers 404 to unknown hosts and 503 without a switch file', async () => {
    const { site } = await withShop();
    expect(await get('unknown.test')).toMatchObject({ status: 404 });
    expect(await versionOf('shop.test')).toBe('blue');
    expect(await world.router.observe('shop')).toMatchObject({ site, present: true, intact: true });
    await rm(world.file('switch', 'shop.blue'));
    expect(await versionOf('shop.test')).toBe('status 503');
    expect(await world.router.liveSlot('shop')).toBeNull();
  });

  it('switches 100 times under a continuous client without a lost or wrong answer, and never reloads', async () => {
    await withShop();
    const before = await generation();
    const client = startClient({
      port: world.port,
      host: 'shop.test',
      version: 'blue',
      requestsPerSecond: 400,
    });
    try {
      let from: 'blue' | 'green' = 'blue';
      for (let round = 0; round < 100; round += 1) {
        const to: 'blue' | 'green' = from === 'blue' ? 'green' : 'blue';
        const answered = client.counts().versions[to] ?? 0;
        client.expect({ from, to });
        await world.router.switchTo(switchRecord('shop', to), soon());
        client.acknowledged(to);
        expect(await world.router.liveSlot('shop')).toBe(to);
        await until(async () => (client.counts().versions[to] ?? 0) > answered);
        from = to;
      }
    } finally {
      await client.stop();
    }
    const { failed, wrong, sent, reasons, versions } = client.counts();
    expect({ failed, wrong, reasons }).toEqual({ failed: 0, wrong: 0, reasons: {} });
    expect(sent).toBeGreaterThan(500);
    expect(versions['green']).toBeGreaterThan(100);
    expect(await generation()).toBe(before);
  });

  it('finishes a slow upload across a switch on the slot that it began on', async () => {
    const { blue, green } = await withShop();
    const sending = request({
      host: '127.0.0.1',
      port: world.port,
      method: 'POST',
      agent: false,
      headers: { host: 'shop.test', 'transfer-encoding': 'chunked' },
    });
    sending.write('first half, ');
    await until(async () => blue.requests.length === 1);
    expect(await world.router.inFlight(blue.address)).toBe(1);
    await world.router.switchTo(switchRecord('shop', 'green'), soon());
    expect(await versionOf('shop.test')).toBe('green');
    expect(await world.router.inFlight(blue.address)).toBe(1);
    sending.end('second half');
    const { status, body } = await read(sending);
    expect(status).toBe(200);
    expect(JSON.parse(body)).toEqual({
      version: 'blue',
      digest: createHash('sha1').update('first half, second half').digest('hex'),
    });
    expect(green.requests).toHaveLength(1);
    await until(async () => (await world.router.inFlight(blue.address)) === 0);
  });

  it('passes a WebSocket upgrade on, and counts it as in flight until it ends', async () => {
    const { blue } = await withShop();
    blue.server.on('upgrade', (upgrade: IncomingMessage, socket: Socket) => {
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: ${upgrade.headers.upgrade}\r\nConnection: Upgrade\r\n\r\n`,
      );
      socket.on('data', (data) => socket.write(`echo ${data.toString()}`));
      socket.on('end', () => socket.end());
    });
    const sending = request({
      host: '127.0.0.1',
      port: world.port,
      headers: { host: 'shop.test', connection: 'Upgrade', upgrade: 'websocket' },
    });
    sending.end();
    const [response, socket] = (await once(sending, 'upgrade')) as [IncomingMessage, Socket];
    expect(response.statusCode).toBe(101);
    await world.router.switchTo(switchRecord('shop', 'green'), soon());
    socket.write('hello');
    expect(String((await once(socket, 'data'))[0])).toBe('echo hello');
    expect(await world.router.inFlight(blue.address)).toBe(1);
    socket.end();
    await until(async () => (await world.router.inFlight(blue.address)) === 0);
  });

  it.each([
    {
      client: 'untrusted',
      trustedProxies: ['10.9.9.9'],
      expected: { for: '127.0.0.1', proto: 'http', real: '127.0.0.1' },
    },
    {
      client: 'trusted',
      trustedProxies: ['127.0.0.0/8'],
      expected: { for: '203.0.113.7, 127.0.0.1', proto: 'https', real: '203.0.113.7' },
    },
  ])('gives the application X-Forwarded-* of an $client client', async ({ trustedProxies, expected }) => {
    const { blue } = await withShop({ trustedProxies });
    await get('shop.test', {
      'x-forwarded-for': '203.0.113.7',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'evil.test',
      'x-real-ip': '203.0.113.7',
    });
    const headers = blue.requests[0]?.headers ?? {};
    expect(headers).toMatchObject({
      host: 'shop.test',
      'x-forwarded-for': expected.for,
      'x-forwarded-proto': expected.proto,
      'x-forwarded-host': 'shop.test',
      'x-forwarded-port': String(world.port),
      'x-real-ip': expected.real,
    });
  });

  it('refuses one bad site of three, and the others go live with one reload', async () => {
    await withShop();
    const [one, two] = [await world.backend('one'), await world.backend('two')];
    const sites = [
      siteOf('one', { ...nowhere, blue: one.address }, 'one.test'),
      siteOf('bad', { ...nowhere, blue: '999.1.1.1:1' }, 'bad.test'),
      siteOf('two', { ...nowhere, blue: two.address }, 'two.test'),
    ];
    for (const { project } of sites) await world.router.switchTo(switchRecord(project, 'blue'), soon());
    const outcomes = await world.router.applySites(
      sites.map((site) => ({ project: site.project, site })),
      soon(),
    );
    expect(outcomes.map(({ kind }) => kind)).toEqual(['applied', 'refused', 'applied']);
    expect(outcomes[1]).toMatchObject({ message: expect.stringContaining('999.1.1.1') as string });
    expect(await versionOf('one.test')).toBe('one');
    expect(await versionOf('two.test')).toBe('two');
    expect(await versionOf('shop.test')).toBe('blue');
    expect(await versionOf('bad.test')).toBe('status 404');
    expect(await world.router.observe('bad')).toMatchObject({ present: false });
    expect(world.router.reloadDelay()).toBeGreaterThan(0);
  });

  it('refuses a server name that another site has, though nginx only warns', async () => {
    await withShop();
    const rival = siteOf('rival', nowhere, 'shop.test');
    const [outcome] = await world.router.applySites([{ project: 'rival', site: rival }], soon());
    expect(outcome).toMatchObject({
      kind: 'refused',
      message: expect.stringContaining('server name shop.test') as string,
    });
    expect(await versionOf('shop.test')).toBe('blue');
  });

  it('takes a server name of 250 characters and 500 sites in one batch', async () => {
    await withShop();
    const { address } = await world.backend('many');
    const long = `${'a'.repeat(60)}.${'b'.repeat(60)}.${'c'.repeat(60)}.${'d'.repeat(60)}.test`;
    const sites = Array.from({ length: 500 }, (_, index) =>
      siteOf(`p${index}`, { ...nowhere, blue: address }, `p${index}.test`, ...(index === 7 ? [long] : [])),
    );
    for (const project of ['p0', 'p7', 'p499'])
      await world.router.switchTo(switchRecord(project, 'blue'), soon());
    const outcomes = await world.router.applySites(
      sites.map((site) => ({ project: site.project, site })),
      AbortSignal.timeout(90_000),
    );
    expect(new Set(outcomes.map(({ kind }) => kind))).toEqual(new Set(['applied']));
    for (const host of ['p0.test', 'p499.test', long]) expect(await versionOf(host)).toBe('many');
    expect(await world.router.sites()).toHaveLength(501);
    expect(await world.router.repair(soon())).toEqual({ health: { ok: true, message: null }, repaired: [] });
  });

  it('lets old workers go after each reload, the held connection of the watch notwithstanding', async () => {
    const { site } = await withShop();
    const stop = await world.router.watch(() => undefined);
    const { length } = await workersOf(await masterPid());
    for (const maxBodyBytes of [1_000, 2_000, 3_000]) {
      const changed = { ...site, route: { ...site.route, maxBodyBytes } };
      await world.router.applySites([{ project: 'shop', site: changed }], soon());
    }
    await until(async () => (await childrenOf(await masterPid())).length === length);
    await stop();
  });

  it('tells of a site file that somebody else changed, and of none that it wrote itself', async () => {
    const { site } = await withShop();
    const seen: string[] = [];
    const stop = await world.router.watch((project) => project !== null && seen.push(project));
    const changed = { ...site, route: { ...site.route, maxBodyBytes: 1_000 } };
    await world.router.applySites([{ project: 'shop', site: changed }], soon());
    // Comes after what the change itself made the watch see.
    await writeFile(world.file('sites/other.conf'), '# by hand\n');
    await until(async () => seen.includes('other'));
    expect(new Set(seen)).toEqual(new Set(['other']));
    await writeFile(world.file('sites/shop.conf'), '# by hand\n');
    await until(async () => seen.includes('shop'));
    await world.router.applySites([{ project: 'shop', site: changed }], soon());
    seen.length = 0;
    await rm(world.file('sites/shop.conf'));
    await until(async () => seen.includes('shop'));
    await stop();
  });

  it('reads its own folders again after a restart, and neither reloads nor restarts', async () => {
    await withShop();
    const [before, master] = [await generation(), await masterPid()];
    await world.again().start(soon());
    expect([await generation(), await masterPid()]).toEqual([before, master]);
  });

  it('carries a batch on that a crash left between the site files and the reload', async () => {
    const { green, site } = await withShop();
    // What `put` has done before the reload: the new generation first, then the sites.
    const shared = await readFile(world.file('shared.conf'), 'utf8');
    const moved = { ...site, upstreams: { ...site.upstreams, blue: green.address } };
    await world.router.applySites([{ project: 'shop', site: moved }], soon());
    const text = await readFile(world.file('sites', 'shop.conf'), 'utf8');
    await world.router.applySites([{ project: 'shop', site }], soon());
    await writeFile(world.file('shared.conf'), shared);
    await writeFile(world.file('sites', 'shop.conf'), text);
    expect(await versionOf('shop.test')).toBe('blue');
    await world.again().start(soon());
    expect(await versionOf('shop.test')).toBe('green');
  });

  it('finishes a batch that a crash cut short between two site files, before anything is reloaded', async () => {
    const { blue, green } = await withShop();
    const traded = (first: string, second: string) => [
      { project: 'one', site: siteOf('one', { blue: blue.address, green: blue.address }, first) },
      { project: 'two', site: siteOf('two', { blue: green.address, green: green.address }, second) },
    ];
    for (const project of ['one', 'two']) await world.router.switchTo(switchRecord(project, 'blue'), soon());
    await world.router.applySites(traded('b.test', 'a.test'), soon());
    const paths = [world.file('sites', 'one.conf'), world.file('sites', 'two.conf')] as const;
    const [one, two] = [await readFile(paths[0], 'utf8'), await readFile(paths[1], 'utf8')];
    const shared = await readFile(world.file('shared.conf'), 'utf8');
    await world.router.applySites(traded('a.test', 'b.test'), soon());
    expect(await readdir(world.file('staged'))).not.toContain('batch.json');
    // What `put` has done up to then: the note, the new generation, and one of the sites.
    await writeFile(world.file('staged', 'batch.json'), JSON.stringify({ one, two }));
    await writeFile(world.file('shared.conf'), shared);
    await writeFile(paths[0], one);
    await world.again().start(soon());
    expect([await versionOf('a.test'), await versionOf('b.test')]).toEqual(['green', 'blue']);
    expect(await readdir(world.file('staged'))).not.toContain('batch.json');
  });

  it.each(['', '{"shop":', 'null', '[1]', '{"../../shop":"x;","shop":7}'])(
    'drops the note of a batch that somebody damaged: %s',
    async (text) => {
      await withShop();
      await writeFile(world.file('staged', 'batch.json'), text);
      await world.again().start(soon());
      expect(await versionOf('shop.test')).toBe('blue');
      expect(await readdir(world.file('staged'))).not.toContain('batch.json');
    },
  );

  it("is not held up by another project's site file that was damaged by hand", async () => {
    const { site } = await withShop();
    const path = world.file('sites', 'shop.conf');
    await writeFile(path, `${await readFile(path, 'utf8')}\nthis is no nginx;\n`);
    expect(await world.router.observe('shop')).toMatchObject({ present: true, intact: false, site });
    const other = siteOf('other', nowhere, 'other.test');
    expect(await world.router.applySites([{ project: 'other', site: other }], soon())).toEqual([
      { kind: 'applied' },
    ]);
    expect(await versionOf('shop.test')).toBe('blue');
    expect(await world.router.observe('shop')).toMatchObject({ intact: true });
  });

  it.each(['folder', 'pipe'])('sets aside a %s in the place of one, and writes it anew', async (kind) => {
    const { site } = await withShop();
    const path = world.file('sites', 'shop.conf');
    const spoil = async (): Promise<void> => {
      await rm(path);
      if (kind === 'folder') await mkdir(path);
      else execFileSync('mkfifo', [path]);
    };
    await spoil();
    expect(await world.router.observe('shop')).toMatchObject({ present: true, intact: false, site: null });
    expect(await world.router.applySites([{ project: 'shop', site }], soon())).toEqual([{ kind: 'applied' }]);
    expect(await world.router.observe('shop')).toMatchObject({ intact: true, site });
    expect(await readdir(world.file('sites'))).toEqual(['shop.conf', 'shop.conf.set-aside']);
    await rm(world.file('sites', 'shop.conf.set-aside'), { recursive: true });
    await spoil();
    const { health, repaired } = await world.router.repair(soon());
    expect(health).toEqual({ ok: true, message: null });
    expect(repaired).toContain('shop.conf among the site files is none of ours and was set aside');
  });

  it('sets aside what somebody put among them, before a reload and before a start', async () => {
    await withShop();
    const stray = world.file('sites', 'My notes.conf');
    await writeFile(stray, 'no nginx {');
    const other = siteOf('other', nowhere, 'other.test');
    expect(await world.router.applySites([{ project: 'other', site: other }], soon())).toEqual([
      { kind: 'applied' },
    ]);
    expect((await readdir(world.file('sites'))).sort()).toEqual([
      'My notes.conf.set-aside',
      'other.conf',
      'shop.conf',
    ]);
    await writeFile(stray, 'no nginx {');
    for (const pid of await nginxProcesses()) process.kill(pid, 'SIGKILL');
    const { health, repaired } = await world.router.repair(soon());
    expect(health).toEqual({ ok: true, message: null });
    expect(repaired).toContain('My notes.conf among the site files is none of ours and was set aside');
    expect(await versionOf('shop.test')).toBe('blue');
  });
});

describe('when nginx dies', () => {
  it('starts it again after all of it was killed', async () => {
    await withShop();
    const [master, ...workers] = await nginxProcesses();
    for (const pid of [master ?? 0, ...workers]) process.kill(pid, 'SIGKILL');
    await until(() => ['', null].includes(commandLine(master ?? 0)));
    const { health, repaired } = await world.router.repair(soon());
    expect(health.ok).toBe(true);
    expect(repaired).toEqual(['nginx was not running']);
    expect(await versionOf('shop.test')).toBe('blue');
    expect(await world.router.repair(soon())).toMatchObject({ repaired: [] });
  });

  it('notices that the master alone was killed, and replaces the workers that go on', async () => {
    await withShop();
    let changed = 0;
    const stop = await world.router.watch(() => (changed += 1));
    const [master, ...workers] = await nginxProcesses();
    process.kill(master ?? 0, 'SIGKILL');
    await until(async () => changed > 0);
    expect(await versionOf('shop.test')).toBe('blue');
    const { repaired } = await world.router.repair(soon());
    expect(repaired).toEqual(['nginx was not running']);
    expect(await masterPid()).not.toBe(master);
    expect(await versionOf('shop.test')).toBe('blue');
    for (const pid of workers) {
      const line = commandLine(pid);
      expect(line === null || line === '' || line.includes('shutting down')).toBe(true);
    }
    await stop();
  });
});

describe('a port that is taken', () => {
  it('is named with its holder at the start', async () => {
    world = await createNginxWorld();
    const holder = createServer().listen(world.port, '127.0.0.1');
    await once(holder, 'listening');
    try {
      const error = await rejection(world.router.start(soon()));
      expect(error.code).toBe('NginxUnavailable');
      expect(error.message).toContain(`127.0.0.1:${world.port}`);
      expect(error.message).toContain(`process ${process.pid}`);
    } finally {
      holder.close();
    }
    await world.router.start(soon());
    expect(await get('unknown.test')).toMatchObject({ status: 404 });
  });

  it('is named at a reload, and the old configuration goes on serving', async () => {
    const { site } = await withShop();
    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const { port } = holder.address() as { port: number };
    const before = await readFile(world.file('sites', 'shop.conf'), 'utf8');
    (world.settings.nginx as { listen: readonly string[] }).listen = [
      `127.0.0.1:${world.port}`,
      `127.0.0.1:${port}`,
    ];
    const changed = { ...site, route: { ...site.route, maxBodyBytes: 5 } };
    const error = await rejection(world.router.applySites([{ project: 'shop', site: changed }], soon()));
    expect(error.message).toContain(`127.0.0.1:${port}`);
    expect(error.message).toContain(`process ${process.pid}`);
    expect(await readFile(world.file('sites', 'shop.conf'), 'utf8')).toContain(before.split('\n')[0] ?? '-');
    expect(await versionOf('shop.test')).toBe('blue');
    holder.close();
  });

  it("is not taken from another controller's nginx, which goes on untouched", async () => {
    await withShop();
    const [master, before] = [await masterPid(), await generation()];
    const first = world;
    const second = await createNginxWorld({ verify: first.settings.nginx.verify });
    try {
      const error = await rejection(second.router.start(soon()));
      expect(error.message).toContain(first.settings.nginx.verify);
      expect(error.message).toContain(`nginx: `);
    } finally {
      await second.cleanup();
    }
    expect([await masterPid(), await generation()]).toEqual([master, before]);
    expect(await versionOf('shop.test')).toBe('blue');
  });
});

describe('waiting for workers', () => {
  it('waits at the barrier for a worker that is stopped, and only as long', async () => {
    await withShop();
    await world.router.barrier(soon());
    const [, ...workers] = await nginxProcesses();
    const stopped = workers[0] ?? 0;
    process.kill(stopped, 'SIGSTOP');
    let passed = false;
    const barrier = world.router.barrier(soon()).then(() => (passed = true));
    try {
      await expect(world.router.barrier(AbortSignal.timeout(300))).rejects.toThrow();
      expect(passed).toBe(false);
    } finally {
      process.kill(stopped, 'SIGCONT');
    }
    await barrier;
    expect(passed).toBe(true);
  });

  it('leaves traffic where it was when a worker does not end its turn in time', async () => {
    await withShop();
    const [, ...workers] = await nginxProcesses();
    process.kill(workers[0] ?? 0, 'SIGSTOP');
    try {
      await expect(
        world.router.switchTo(switchRecord('shop', 'green'), AbortSignal.timeout(300)),
      ).rejects.toThrow();
    } finally {
      process.kill(workers[0] ?? 0, 'SIGCONT');
    }
    expect(await world.router.liveSlot('shop')).toBe('blue');
    const { switches } = await world.router.observe('shop');
    expect(switches.green).toBeNull();
    expect(switches.blue?.record?.slot).toBe('blue');
  });

  it('counts nothing in flight for pooled connections once they went idle', async () => {
    const { blue } = await withShop();
    await versionOf('shop.test');
    await until(async () => (await world.router.inFlight(blue.address)) === 0);
  });
});

describe('permissions', () => {
  it('lets workers search the switch folder and nobody else read what is in it', async () => {
    await withShop();
    const modeOf = async (...path: readonly string[]): Promise<string> =>
      ((await stat(world.file(...path))).mode & 0o777).toString(8);
    expect(await modeOf()).toBe('711');
    expect(await modeOf('switch')).toBe('711');
    expect(await modeOf('switch', 'shop.blue')).toBe('600');
    expect(await modeOf('sites')).toBe('750');
    expect(await modeOf('sites', 'shop.conf')).toBe('640');
    expect(await modeOf('logs')).toBe('750');
  });

  it('makes a lost switch folder searchable again, whatever the umask', async () => {
    await withShop();
    await rm(world.file('switch'), { recursive: true });
    const before = process.umask(0o077);
    try {
      await world.router.restoreSwitch(switchRecord('shop', 'blue'));
    } finally {
      process.umask(before);
    }
    expect(await versionOf('shop.test')).toBe('blue');
  });

  it.runIf(process.getuid?.() === 0)(
    'names the folder that workers cannot get through, at every start',
    async () => {
      await withShop();
      await chmod(world.folder, 0o700);
      for (let round = 0; round < 2; round += 1) {
        const error = await rejection(world.again().start(soon()));
        expect(error.code).toBe('NginxUnavailable');
        expect(error.message).toContain(`chmod o+x ${world.folder},`);
      }
      const failed = await rejection(world.router.switchTo(switchRecord('shop', 'green'), soon()));
      expect(failed.code).toBe('SwitchFailed');
      expect(failed.message).toContain(world.file('switch'));
      await chmod(world.folder, 0o755);
      expect(await versionOf('shop.test')).toBe('blue');
    },
  );
});
