import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { checkAddresses } from '../../../src/cli/doctor/addresses.js';
import { checkConfigRepository } from '../../../src/cli/doctor/config-repository.js';
import { checkDocker, engineAt, ownBridges } from '../../../src/cli/doctor/docker.js';
import type { AskEngine } from '../../../src/cli/doctor/docker.js';
import { execute } from '../../../src/cli/doctor/execute.js';
import type { Execute } from '../../../src/cli/doctor/execute.js';
import type { Finding } from '../../../src/cli/doctor/finding.js';
import { checkGit } from '../../../src/cli/doctor/git.js';
import { checkClock, checkDisk, checkNode } from '../../../src/cli/doctor/machine.js';
import { checkNginxPorts, checkNginxProgram } from '../../../src/cli/doctor/nginx.js';
import { checkPermissions } from '../../../src/cli/doctor/permissions.js';
import { listenersOf } from '../../../src/cli/doctor/ports.js';
import type { Listener } from '../../../src/cli/doctor/ports.js';
import { listeningInodes, parseConnections } from '../../../src/router/process-table.js';
import { settingsIn, temporaryFolder } from '../cli.js';

const never = new AbortController().signal;
const levels = (findings: readonly Finding[]): string[] => findings.map(({ level }) => level);

/** Every finding that is not ok says how to mend it. */
function withMends(findings: readonly Finding[]): readonly Finding[] {
  for (const { level, mend } of findings) expect(mend === null).toBe(level === 'ok');
  return findings;
}

describe('docker', () => {
  const info = {
    ServerVersion: '29.0.0',
    OSType: 'linux',
    LiveRestoreEnabled: true,
    InitBinary: 'docker-init',
    InitCommit: { ID: 'de40ad0' },
  };
  const engine =
    (changes: object = {}, api = '1.41'): AskEngine =>
    (path) =>
      Promise.resolve({
        status: 200,
        headers: { 'api-version': api },
        body: path === '/info' ? JSON.stringify({ ...info, ...changes }) : 'OK',
      });

  it.each([
    ['all is well', engine(), ['ok', 'ok', 'ok', 'ok'], ''],
    [
      'the engine is old',
      engine({ ServerVersion: '19.03.1' }),
      ['fail', 'ok', 'ok', 'ok'],
      'older than 20.10',
    ],
    ['there is no BuildKit', engine({}, '1.38'), ['ok', 'fail', 'ok', 'ok'], 'no BuildKit'],
    ['containers are for Windows', engine({ OSType: 'windows' }), ['ok', 'fail', 'ok', 'ok'], 'windows'],
    ['live-restore is off', engine({ LiveRestoreEnabled: false }), ['ok', 'ok', 'warn', 'ok'], 'daemon.json'],
    ['there is no init binary', engine({ InitCommit: { ID: 'N/A' } }), ['ok', 'ok', 'ok', 'warn'], 'tini'],
  ])('sees when %s', async (_name, ask, expected, text) => {
    const findings = withMends(await checkDocker(ask, '/d.sock', never));
    expect(levels(findings)).toEqual(expected);
    expect(JSON.stringify(findings)).toContain(text);
  });

  it.each([
    ['9 GiB of its own and 9 shared with images', [9, 0], [9, 1], ['ok', 'ok', 'ok', 'ok']],
    ['12 GiB', [9, 0], [3, 0], ['ok', 'ok', 'ok', 'ok', 'warn']],
  ])('looks at a build cache of %s', async (_name, one, other, expected) => {
    const cache = [one, other].map(([gib = 0, shared]) => ({ Size: gib * 1024 ** 3, Shared: shared === 1 }));
    const ask: AskEngine = (path, signal) =>
      path.startsWith('/system/df')
        ? Promise.resolve({ status: 200, headers: {}, body: JSON.stringify({ BuildCache: cache }) })
        : engine()(path, signal);
    const findings = withMends(await checkDocker(ask, '/d.sock', never));
    expect(levels(findings)).toEqual(expected);
    expect(JSON.stringify(findings).includes('12.0 GiB')).toBe(expected.includes('warn'));
  });

  it.each([
    ['EACCES', 'to the docker group'],
    ['ECONNREFUSED', 'start the engine'],
    ['ENOENT', 'install and start the engine'],
    ['EPROTO', 'journalctl -u docker'],
  ])('says what to do about %s', async (code, mend) => {
    const refused: AskEngine = () =>
      Promise.reject(Object.assign(new Error(`connect ${code} /d.sock`), { code }));
    const findings = withMends(await checkDocker(refused, '/d.sock', never));
    expect(levels(findings)).toEqual(['fail']);
    expect(JSON.stringify(findings)).toContain(mend);
  });

  it('says in the words of plan that there is no socket, and that a file is none', async () => {
    const folder = await temporaryFolder();
    const socket = join(folder, 'd.sock');
    const said = async () => withMends(await checkDocker(engineAt(socket), socket, never));
    expect(await said()).toEqual([
      {
        area: 'docker',
        level: 'fail',
        message: `there is no docker socket at ${socket}`,
        mend: 'install and start the engine (systemctl start docker), or set docker.socket',
      },
    ]);
    await writeFile(socket, '');
    expect(await said()).toMatchObject([{ message: `${socket} is not a socket` }]);
  });

  it('asks a real socket, and knows our bridges by their label', async () => {
    const folder = await temporaryFolder();
    const asked: string[] = [];
    const server = createServer((message, response) => {
      asked.push(decodeURIComponent(message.url ?? ''));
      response.end(
        JSON.stringify([
          { Id: '0123456789abcdef' },
          { Id: 'x', Options: { 'com.docker.network.bridge.name': 'pm0' } },
        ]),
      );
    });
    await new Promise<void>((resolve) => server.listen(join(folder, 'd.sock'), resolve));
    onTestFinished(() => void server.close());
    const own = await ownBridges(engineAt(`unix://${join(folder, 'd.sock')}`), 'test', never);
    expect([...(own ?? [])]).toEqual(['br-0123456789ab', 'pm0']);
    expect(asked).toEqual(['/networks?filters={"label":["dev.pointsman.instance=test"]}']);
    await expect(engineAt(join(folder, 'nothing.sock'))('/_ping', never)).rejects.toMatchObject({
      code: 'ENOENT',
    });
  });
});

const answering =
  (exitCode: number | null, stdout: string, stderr = ''): Execute =>
  () =>
    Promise.resolve({ exitCode, stdout, stderr });

describe('programs', () => {
  it.each([
    [answering(0, 'git version 2.39.5\n'), 'ok'],
    [answering(0, 'git version 2.17.1\n'), 'fail'],
    [answering(null, ''), 'fail'],
  ])('looks at git', async (run, level) => {
    expect(levels(withMends(await checkGit(run, never)))).toEqual([level]);
  });

  const nginx = (version: string, more = ''): Execute =>
    answering(
      0,
      '',
      `nginx version: nginx/${version} (Ubuntu)\nconfigure arguments: --with-http_ssl_module ${more}\n`,
    );
  it.each([
    ['is fine', nginx('1.30.2'), false, ['ok']],
    ['is too old', nginx('1.14.0'), false, ['fail']],
    ['is missing', answering(null, ''), false, ['fail']],
    ['lacks the proxy', nginx('1.30.2', '--without-http_proxy_module'), false, ['ok', 'fail']],
    ['lacks the real-ip module that trustedProxies needs', nginx('1.30.2'), true, ['ok', 'fail']],
    ['has it', nginx('1.30.2', '--with-http_realip_module'), true, ['ok']],
  ])('sees that nginx %s', async (_name, run, needsRealIp, expected) => {
    expect(levels(withMends(await checkNginxProgram(run, needsRealIp, never)))).toEqual(expected);
  });

  it('runs a real one without a shell, and says when it is not there', async () => {
    expect(await execute(process.execPath, ['-p', "'$HOME'"], never)).toMatchObject({
      exitCode: 0,
      stdout: '$HOME\n',
    });
    expect(await execute(process.execPath, ['-e', 'process.exit(3)'], never)).toMatchObject({ exitCode: 3 });
    expect(await execute('/nonexistent/program', [], never)).toMatchObject({ exitCode: null });
    await expect(
      execute(process.execPath, ['-p', '1'], AbortSignal.abort(new Error('enough'))),
    ).rejects.toThrow('enough');
  });
});

describe('ports', () => {
  const { nginx } = settingsIn('/state');
  const ours = 'nginx: master process nginx -c /state/nginx/nginx.conf';
  const others = 'nginx: master process /usr/sbin/nginx -g daemon on;';
  const held = (commands: readonly string[], unit: string | null = null): readonly Listener[] =>
    commands.map((command) => ({ command, unit }));

  it.each([
    ['managed', [], ['ok', 'ok']],
    ['managed', [ours, 'nginx: worker process'], ['ok', 'ok']],
    ['managed', ['nginx: worker process', others], ['fail', 'fail']],
    ['managed', ['apache2 -k start'], ['fail', 'fail']],
    ['managed', [''], ['warn', 'warn']],
    ['system', [others], ['ok', 'ok']],
    ['system', [], ['warn', 'ok']],
    ['system', ['apache2 -k start'], ['fail', 'fail']],
  ] as const)('in mode %s, held by %j', async (mode, holders, expected) => {
    const findings = withMends(
      await checkNginxPorts({ ...nginx, mode, confDir: '/' }, '/state', () => Promise.resolve(held(holders))),
    );
    expect(levels(findings).slice(0, 2)).toEqual(expected);
  });

  it.each([
    ['pointsman-nginx.service', ours, 'ok'],
    ['pointsman.service', ours, 'warn'],
    ['pointsman.service', 'node /opt/pointsman/dist/main.js', 'fail'],
    [null, ours, 'ok'],
  ])('in the unit %s, %s', async (unit, command, level) => {
    const findings = withMends(
      await checkNginxPorts(nginx, '/state', () => Promise.resolve(held([command], unit))),
    );
    expect(findings.at(-1)?.level).toBe(level);
  });

  it.each([
    ['80', 80],
    ['127.0.0.1:8080', 8080],
    ['[::]:443', 443],
  ])('reads the port of %s', async (listen, port) => {
    const looked: number[] = [];
    await checkNginxPorts({ ...nginx, listen: [listen] }, '/state', (each) => {
      looked.push(each);
      return Promise.resolve([]);
    });
    expect(looked).toEqual([port, 9180]);
  });

  it('wants a folder for site files in mode system', async () => {
    const findings = await checkNginxPorts(
      { ...nginx, mode: 'system', confDir: '/nonexistent' },
      '/state',
      () => Promise.resolve(held([others])),
    );
    expect(findings.at(-1)).toMatchObject({
      level: 'fail',
      message: 'nginx.confDir /nonexistent is not there',
    });
  });

  it('finds the process that really listens', async () => {
    const server = createTcpServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    expect((await listenersOf(port)).some(({ command }) => command !== '')).toBe(true);
    await new Promise((resolve) => server.close(resolve));
    expect(await listenersOf(port)).toEqual([]);
  });

  it('takes connections for no listeners', () => {
    const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1
   1: 0100007F:0050 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 222 1
   2: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 333 1`;
    expect(listeningInodes(parseConnections(table), 80)).toEqual(['111']);
  });
});

describe('addresses', () => {
  const header = 'Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT';
  const route = (name: string, destination: string, mask: string): string =>
    `${name}\t${destination}\t00000000\t0001\t0\t0\t0\t${mask}\t0\t0\t0`;
  const table = (...lines: string[]): string =>
    [header, route('eth0', '00000000', '00000000'), ...lines].join('\n');

  it.each([
    ['nothing else', table(route('docker0', '000011AC', '0000FFFF')), 'ok', ''],
    ['a network of ours', table(route('br-ours', '0000D50A', 'F0FFFFFF')), 'ok', ''],
    [
      'a network of others inside',
      table(route('br-theirs', '1000D50A', 'F0FFFFFF')),
      'warn',
      '10.213.0.16/28 over br-theirs lies in',
    ],
    [
      'a tunnel that covers it',
      table(route('tun0', '0000000A', '000000FF')),
      'warn',
      '10.0.0.0/8 over tun0 covers',
    ],
  ])('sees %s', (_name, text, level, message) => {
    const [finding] = withMends(checkAddresses(text, '10.213.0.0/16', new Set(['br-ours'])));
    expect(finding).toMatchObject({ level, message: expect.stringContaining(message) as string });
  });

  it('takes no bridge of an engine that does not answer for a stranger', () => {
    const text = table(
      route('br-87e483f881ce', '0000D50A', 'F0FFFFFF'),
      route('tun0', '1000D50A', 'F0FFFFFF'),
    );
    const findings = checkAddresses(text, '10.213.0.0/16', null);
    expect(findings.map(({ message }) => message)).toEqual([expect.stringContaining('over tun0 lies in')]);
  });

  it('refuses a pool without room', () => {
    expect(levels(checkAddresses(table(), '10.0.0.0/30', new Set()))).toEqual(['fail']);
    expect(levels(checkAddresses(table(), 'anything', new Set()))).toEqual(['fail']);
  });
});

it('tells whether the config repository can be read', async () => {
  const where = { url: '/srv/deploy.git', branch: 'main' };
  const [good] = await checkConfigRepository(() => Promise.resolve('0123456789abcdef'), where, never);
  expect(good).toMatchObject({ level: 'ok', message: '/srv/deploy.git, main at 01234567' });
  const [bad] = withMends(
    await checkConfigRepository(
      () => Promise.reject(new Error('refused by https://me:s3cret@git/')),
      where,
      never,
    ),
  );
  expect(bad).toMatchObject({
    level: 'fail',
    message: 'main of /srv/deploy.git cannot be read: refused by https://git/',
  });
});

describe('permissions', () => {
  /** A state directory that nginx's workers find their way into. */
  async function folders(): Promise<{ stateDir: string; secretsDir: string }> {
    const folder = await temporaryFolder();
    const stateDir = join(folder, 'state');
    await mkdir(join(stateDir, 'nginx', 'switch'), { recursive: true });
    await chmod(folder, 0o711);
    return { stateDir, secretsDir: join(folder, 'secrets') };
  }
  const check = async (input: { stateDir: string; secretsDir: string }, credentialFiles: string[] = []) =>
    withMends(await checkPermissions({ ...input, credentialFiles }));

  it('are fine where they are', async () => {
    expect(levels(await check(await folders()))).toEqual(['ok', 'ok']);
  });

  it('do not let nginx see the switch files through a closed folder, which is named', async () => {
    const input = await folders();
    await chmod(join(input.stateDir, 'nginx'), 0o700);
    const [finding] = await check(input);
    expect(finding).toMatchObject({ level: 'fail', mend: `chmod o+x ${join(input.stateDir, 'nginx')}` });
  });

  it('leave a state directory to be made, and want a folder', async () => {
    const input = await folders();
    expect((await check({ ...input, stateDir: join(input.stateDir, 'later', 'on') }))[0]).toMatchObject({
      level: 'ok',
    });
    await writeFile(join(input.stateDir, 'file'), '');
    expect((await check({ ...input, stateDir: join(input.stateDir, 'file') }))[0]).toMatchObject({
      level: 'fail',
    });
  });

  it('say that a state directory cannot be made', async () => {
    const input = await folders();
    const link = join(input.stateDir, 'link');
    await symlink(join(input.stateDir, 'nothing'), link);
    for (const [stateDir, why] of [
      [link, `${link} is a link to what is not there`],
      [join(link, 'deep'), `${link} is a link to what is not there`],
      ['/proc/foo/bar', process.geteuid?.() === 0 ? 'no folder can be made in /proc' : '/proc'],
    ] as const) {
      expect((await check({ ...input, stateDir }))[0]).toMatchObject({
        level: 'fail',
        message: expect.stringContaining(`stateDir ${stateDir} cannot be made: `) as string,
      });
      expect((await check({ ...input, stateDir }))[0]?.message).toContain(why);
    }
  });

  it('say when the folder of secrets cannot be made', async () => {
    const input = await folders();
    await writeFile(join(input.stateDir, 'file'), '');
    const secretsDir = join(input.stateDir, 'file', 'secrets');
    expect((await check({ ...input, secretsDir }))[1]).toMatchObject({
      level: 'warn',
      message: expect.stringContaining('is not a folder') as string,
    });
    expect((await check({ ...input, secretsDir: join(input.stateDir, 'file') }))[1]).toMatchObject({
      level: 'fail',
    });
  });

  it('keep secrets, tokens and keys for their owner alone', async () => {
    const input = await folders();
    await mkdir(join(input.secretsDir, 'shop'), { recursive: true });
    const secret = join(input.secretsDir, 'shop', 'TOKEN');
    await writeFile(secret, 'x', { mode: 0o600 });
    const token = join(input.stateDir, 'token');
    await writeFile(token, 'x', { mode: 0o600 });
    expect(levels(await check(input, [token]))).toEqual(['ok', 'ok', 'ok']);
    await chmod(secret, 0o644);
    await chmod(token, 0o640);
    const findings = await check(input, [token, join(input.stateDir, 'missing')]);
    expect(findings.slice(1).map(({ level, mend }) => `${level} ${mend}`)).toEqual([
      `fail chmod 600 ${secret}`,
      `fail chmod 600 ${token}`,
      'fail name the file that holds the token or key',
    ]);
  });
});

describe('the machine', () => {
  it('needs a recent Node.js', () => {
    expect([checkNode('20.19.0').level, checkNode('20.18.9').level, checkNode('24.1.0').level]).toEqual([
      'ok',
      'fail',
      'ok',
    ]);
  });

  it('does not complain of the room of what has none', async () => {
    expect((await checkDisk('/proc/foo')).level).toBe('ok');
  });

  it('has room where the state directory will be', async () => {
    const finding = await checkDisk(join(await temporaryFolder(), 'not', 'there', 'yet'));
    expect(finding.message).toMatch(/^[\d.]+ (GiB|MiB) left for /);
  });

  it.each([
    ['is right', { now: Date.parse('2026-11-20'), newestStatusAt: null, isSynchronised: null }, 'ok'],
    ['was reset', { now: 0, newestStatusAt: null, isSynchronised: null }, 'fail'],
    [
      'went back',
      { now: Date.parse('2026-11-20'), newestStatusAt: Date.parse('2026-11-21'), isSynchronised: true },
      'warn',
    ],
    ["is nobody's", { now: Date.parse('2026-11-20'), newestStatusAt: null, isSynchronised: false }, 'warn'],
  ])('sees that the clock %s', (_name, facts, level) => {
    expect(checkClock(facts).level).toBe(level);
  });
});
