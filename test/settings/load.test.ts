import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { settingsDefaults } from '../../src/settings/defaults.js';
import { checkSocket, loadSettings, parseSettings } from '../../src/settings/load.js';
import type { Settings } from '../../src/settings/settings.js';
import { type JsonSchema, loadSchema } from '../../src/schemas.js';
import { exampleSettings } from '../manifest/fixtures/spec-examples.js';

const file = '/etc/pointsman/pointsman.yaml';
const smallest = 'configRepo: { url: https://git.example.com/acme/deploy.git }\n';

function parse(text: string, env: Record<string, string> = {}, at = file) {
  return parseSettings(at, new TextEncoder().encode(text), env);
}

function settingsOf(text: string, env: Record<string, string> = {}, at = file): Settings {
  const result = parse(text, env, at);
  if ('problems' in result) throw new Error(JSON.stringify(result.problems));
  return result.settings;
}

function messages(text: string, env: Record<string, string> = {}): readonly string[] {
  const result = parse(text, env);
  return 'problems' in result ? result.problems.map(({ path, message }) => `${path} ${message}`) : [];
}

describe('parseSettings', () => {
  it('takes the example of the contract', () => {
    const settings = settingsOf(exampleSettings);
    const { docker } = settings;
    // The example says in words where the socket comes from.
    expect(settings).toEqual({ ...settingsOf(smallest), docker });
    expect(docker.addressPool).toBe('10.213.0.0/16');
  });

  it('needs the address of the config repository alone and fills in the rest', () => {
    expect(settingsOf(smallest)).toEqual({
      ...settingsDefaults,
      configRepo: {
        ...settingsDefaults.configRepo,
        url: 'https://git.example.com/acme/deploy.git',
        credential: null,
      },
      credentials: [],
    });
    expect(messages('configRepo: {}')).toEqual([
      '/configRepo/url configRepo.url is missing: add it as text, for example "https://git.example.com/acme/deploy.git"',
    ]);
  });

  it('states in the schema the defaults that it fills in', () => {
    const { configRepo, ...rest } = writtenDefaults(loadSchema('settings')) as Record<string, object>;
    const written = {
      ...rest,
      configRepo: { url: 'https://git.example.com/acme/deploy.git', ...configRepo },
    };
    expect(settingsOf(JSON.stringify(written))).toEqual(settingsOf(smallest));
  });

  it('starts relative paths at the folder of the settings', () => {
    const settings = settingsOf(
      'configRepo: { url: /srv/deploy.git }\nstateDir: state\ndocker: { socket: ../docker.sock }\nnginx: { confDir: ./conf }\nsecrets: { dir: secrets }\ncredentials:\n  - { prefix: ssh://git.example.com, sshKeyFile: key, knownHostsFile: hosts }\n  - { prefix: https://git.example.com, tokenFile: token }\n',
      {},
      '/opt/p/settings.yaml',
    );
    expect(settings).toMatchObject({
      stateDir: '/opt/p/state',
      docker: { socket: '/opt/docker.sock' },
      nginx: { confDir: '/opt/p/conf' },
      secrets: { dir: '/opt/p/secrets' },
      credentials: [
        {
          prefix: 'ssh://git.example.com',
          credential: { kind: 'ssh', keyFile: '/opt/p/key', knownHostsFile: '/opt/p/hosts' },
        },
        { prefix: 'https://git.example.com', credential: { kind: 'token', tokenFile: '/opt/p/token' } },
      ],
    });
  });

  it.each([
    ['https://git.example.com/a.git', 'tokenFile: /t', { kind: 'token', tokenFile: '/t' }],
    ['git@git.example.com:a.git', 'sshKeyFile: /k', { kind: 'ssh', keyFile: '/k', knownHostsFile: null }],
    [
      'ssh://git@git.example.com/a.git',
      'sshKeyFile: /k, knownHostsFile: /h',
      { kind: 'ssh', keyFile: '/k', knownHostsFile: '/h' },
    ],
  ])('takes for %s the credential %s', (url, credential, expected) => {
    expect(settingsOf(`configRepo: { url: "${url}", ${credential} }`).configRepo.credential).toEqual(
      expected,
    );
  });

  it('reads times, lists and numbers', () => {
    const settings = settingsOf(
      `${smallest}retries: { attempts: 5, backoff: 1s, maxBackoff: 10m }\nnginx: { listen: [8080, "[::]:8080"], baseDomain: Apps.Example.com, trustedProxies: [10.0.0.0/8, "fd00::/8", 127.0.0.1] }\nconcurrency: { builds: 2 }\nlog: { level: debug }\npolicy: { images: [ghcr.io/acme] }\n`,
    );
    expect(settings).toMatchObject({
      retries: { attempts: 5, backoffMs: 1_000, maxBackoffMs: 600_000 },
      nginx: {
        listen: ['8080', '[::]:8080'],
        baseDomain: 'apps.example.com',
        trustedProxies: ['10.0.0.0/8', 'fd00::/8', '127.0.0.1'],
      },
      concurrency: { builds: 2, deployments: 4 },
      log: { level: 'debug' },
      policy: { sources: [], images: ['ghcr.io/acme'], frontends: ['docker.io/docker/dockerfile'] },
    });
  });

  it('takes the socket of $DOCKER_HOST unless one is set', () => {
    const env = { DOCKER_HOST: 'unix:///run/user/1000/docker.sock' };
    expect(settingsOf(smallest, env).docker.socket).toBe('/run/user/1000/docker.sock');
    expect(settingsOf(`${smallest}docker: { socket: /a.sock }`, env).docker.socket).toBe('/a.sock');
    expect(settingsOf(smallest, { DOCKER_HOST: '' }).docker.socket).toBe('/var/run/docker.sock');
    const remote = { DOCKER_HOST: 'tcp://10.0.0.1:2375' };
    expect(settingsOf(`${smallest}docker: { socket: /a.sock }`, remote).docker.socket).toBe('/a.sock');
  });

  it.each([
    ['tcp://10.0.0.1:2375', 'tcp://10.0.0.1:2375'],
    ['ssh://someone@host', 'ssh://…@host'],
  ])('leaves a $DOCKER_HOST of %s to who asks the engine', (host, named) => {
    const { socket } = settingsOf(smallest, { DOCKER_HOST: host }).docker;
    expect(() => checkSocket(socket)).toThrow(
      `$DOCKER_HOST is "${named}": only unix:///path is used; unset it or set docker.socket`,
    );
  });

  it('refuses a docker.socket that is no path, where it stands', () => {
    const result = parse(`${smallest}docker: { socket: ssh://someone@host }\n`);
    expect(result).toMatchObject({
      problems: [
        {
          line: 2,
          column: 19,
          path: '/docker/socket',
          message: expect.stringContaining('only a unix socket is used; write its path') as string,
        },
      ],
    });
    expect(JSON.stringify(result)).not.toContain('someone');
  });

  it.each<[string, string]>([
    ['configRepo: { url: ext::sh }', '/configRepo/url'],
    ['configRepo: { url: https://u:p@git.example.com/a.git }', '/configRepo/url'],
    ['configRepo: { url: /srv/a, branch: "a b" }', '/configRepo/branch'],
    ['configRepo: { url: /srv/a, path: ../x }', '/configRepo/path'],
    ['configRepo: { url: /srv/a, interval: 999ms }', '/configRepo/interval'],
    ['configRepo: { url: /srv/a, tokenFile: /t }', '/configRepo/tokenFile'],
    ['configRepo: { url: /srv/a, sshKeyFile: /t }', '/configRepo/sshKeyFile'],
    ['configRepo: { url: https://git.example.com/a, sshKeyFile: /k }', '/configRepo/sshKeyFile'],
    ['configRepo: { url: git@git.example.com:a, tokenFile: /t }', '/configRepo/tokenFile'],
    [
      'configRepo: { url: https://git.example.com/a, tokenFile: /t, sshKeyFile: /k }',
      '/configRepo/sshKeyFile',
    ],
    ['configRepo: { url: git@git.example.com:a, knownHostsFile: /h }', '/configRepo/knownHostsFile'],
    [`${smallest}credentials: [{ prefix: https://git.example.com }]`, '/credentials/0'],
    [`${smallest}credentials: [{ prefix: git.example.com, tokenFile: /t }]`, '/credentials/0/prefix'],
    [
      `${smallest}credentials: [{ prefix: https://git.example.com, sshKeyFile: /t }]`,
      '/credentials/0/sshKeyFile',
    ],
    [`${smallest}credentials: [{ tokenFile: /t }]`, '/credentials/0/prefix'],
    [`${smallest}instance: My_Instance`, '/instance'],
    [`${smallest}kind: Project`, '/kind'],
    [`${smallest}apiVersion: v1`, '/apiVersion'],
    [`${smallest}stateDir: "/var/lib/a b"`, '/stateDir'],
    [`${smallest}stateDir: "/var/$x"`, '/stateDir'],
    [`${smallest}stateDir: /${'a'.repeat(100)}`, '/stateDir'],
    [`${smallest}docker: { addressPool: 10.213.0.0/15 }`, '/docker/addressPool'],
    [`${smallest}docker: { addressPool: 10.213.0.0/29 }`, '/docker/addressPool'],
    [`${smallest}docker: { addressPool: 10.213.0.1/16 }`, '/docker/addressPool'],
    [`${smallest}docker: { addressPool: 11.0.0.0/16 }`, '/docker/addressPool'],
    [`${smallest}docker: { addressPool: 172.32.0.0/16 }`, '/docker/addressPool'],
    [`${smallest}docker: { addressPool: "fd00::/64" }`, '/docker/addressPool'],
    [`${smallest}docker: { addressPool: 10.213.0.0 }`, '/docker/addressPool'],
    [`${smallest}nginx: { mode: other }`, '/nginx/mode'],
    [`${smallest}nginx: { confDir: "/etc/nginx/a;b" }`, '/nginx/confDir'],
    [`${smallest}nginx: { confDir: "/etc/nginx/*" }`, '/nginx/confDir'],
    [`${smallest}nginx: { listen: [] }`, '/nginx/listen'],
    [`${smallest}nginx: { listen: [0] }`, '/nginx/listen/0'],
    [`${smallest}nginx: { listen: ["080"] }`, '/nginx/listen/0'],
    [`${smallest}nginx: { listen: ["65536"] }`, '/nginx/listen/0'],
    [`${smallest}nginx: { listen: ["example.com:80"] }`, '/nginx/listen/0'],
    [`${smallest}nginx: { listen: ["::1:80"] }`, '/nginx/listen/0'],
    [`${smallest}nginx: { listen: ["80; include /etc/passwd"] }`, '/nginx/listen/0'],
    [`${smallest}nginx: { verify: 0.0.0.0:9180 }`, '/nginx/verify'],
    [`${smallest}nginx: { verify: 10.0.0.1:9180 }`, '/nginx/verify'],
    [`${smallest}nginx: { verify: "9180" }`, '/nginx/verify'],
    [`${smallest}nginx: { baseDomain: "*.example.com" }`, '/nginx/baseDomain'],
    [`${smallest}nginx: { trustedProxies: [10.0.0.0/33] }`, '/nginx/trustedProxies/0'],
    [`${smallest}nginx: { trustedProxies: ["10.0.0.0/8; x"] }`, '/nginx/trustedProxies/0'],
    [`${smallest}concurrency: { builds: 0 }`, '/concurrency/builds'],
    [`${smallest}retries: { backoff: 10m, maxBackoff: 1m }`, '/retries/maxBackoff'],
    [`${smallest}prune: { maxShare: 1.5 }`, '/prune/maxShare'],
    [`${smallest}policy: { sources: [git.example.com] }`, '/policy/sources/0'],
    [`${smallest}policy: { images: ["https://ghcr.io"] }`, '/policy/images/0'],
    [`${smallest}log: { level: loud }`, '/log/level'],
    [`${smallest}logLevel: info`, '/logLevel'],
    [`${smallest}secrets: { dir: "" }`, '/secrets/dir'],
    [`${smallest}secrets: { dir: "/a\\u0007b" }`, '/secrets/dir'],
  ])('refuses %s at %s', (text, path) => {
    const result = parse(text);
    expect('problems' in result && result.problems.map((problem) => problem.path)).toEqual([path]);
  });

  it.each(['127.0.0.1:9180', '127.1.2.3:80', '[::1]:9180'])('takes %s to verify on', (verify) => {
    expect(settingsOf(`${smallest}nginx: { verify: "${verify}" }`).nginx.verify).toBe(verify);
  });

  it.each(['10.0.0.0/16', '172.31.255.0/24', '192.168.7.16/28'])(
    'takes the address pool %s',
    (addressPool) => {
      expect(settingsOf(`${smallest}docker: { addressPool: ${addressPool} }`).docker.addressPool).toBe(
        addressPool,
      );
    },
  );

  it('reports every problem with its place', () => {
    const result = parse('configRepo:\n  url: ftp://x\n  interval: soon\nnginx:\n  listen: [x]\nfoo: 1\n');
    expect('problems' in result && result.problems.map(({ line, column }) => [line, column])).toEqual([
      [2, 8],
      [3, 13],
      [5, 12],
      [6, 1],
    ]);
  });

  it.each([
    ['', 'the settings are empty'],
    [`${smallest}---\n${smallest}`, 'the settings are one document'],
    ['configRepo: [', 'this is not valid yaml'],
    ['- a', 'the document is a list'],
    ['['.repeat(1000), 'nested deeper'],
    [`${smallest}stateDir: &a /x\n`, 'the anchor &a is not used'],
  ])('refuses %j', (text, message) => {
    expect(messages(text).join('\n')).toContain(message);
  });
});

describe('loadSettings', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pointsman-settings-'));
    writeFileSync(join(folder, 'a.yaml'), smallest);
    writeFileSync(join(folder, 'b.yaml'), 'configRepo: { url: /srv/b }');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('takes the named file before $POINTSMAN_CONFIG', async () => {
    const env = { POINTSMAN_CONFIG: join(folder, 'b.yaml') };
    expect(await loadSettings(join(folder, 'a.yaml'), env)).toMatchObject({
      file: join(folder, 'a.yaml'),
      settings: { configRepo: { url: 'https://git.example.com/acme/deploy.git' } },
    });
    expect(await loadSettings(undefined, env)).toMatchObject({ settings: { configRepo: { url: '/srv/b' } } });
  });

  it('says what to do without a file', async () => {
    expect(await loadSettings(join(folder, 'none.yaml'), {})).toMatchObject({
      problems: [
        {
          file: join(folder, 'none.yaml'),
          line: 0,
          column: 0,
          message: expect.stringContaining('--config') as string,
        },
      ],
    });
  });

  it('takes an empty $POINTSMAN_CONFIG for none', async () => {
    const result = await loadSettings(undefined, { POINTSMAN_CONFIG: '' });
    if ('problems' in result) expect(result.problems[0]?.file).toBe('/etc/pointsman/pointsman.yaml');
    else expect(result.file).toBe('/etc/pointsman/pointsman.yaml');
  });

  it('refuses a folder and a file that is too large', async () => {
    mkdirSync(join(folder, 'c.yaml'));
    expect(await loadSettings(join(folder, 'c.yaml'), {})).toMatchObject({
      problems: [{ message: expect.stringContaining('not a regular file') as string }],
    });
    writeFileSync(join(folder, 'd.yaml'), '#'.repeat(200_000));
    expect(await loadSettings(join(folder, 'd.yaml'), {})).toMatchObject({
      problems: [{ message: expect.stringContaining('65536 are allowed') as string }],
    });
  });
});

/** The defaults of a schema in written form: an object with the keys that have one. */
function writtenDefaults(schema: JsonSchema): unknown {
  if (schema.properties === undefined) return schema.default;
  const entries = Object.entries(schema.properties).map(
    ([key, inner]) => [key, writtenDefaults(inner)] as const,
  );
  const present = entries.filter(([, value]) => value !== undefined);
  return present.length === 0 ? undefined : (Object.fromEntries(present) as unknown);
}
