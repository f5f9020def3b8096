import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { isReference, splitReference } from '../../src/runtime/images.js';
import { pullFailed, pullLine } from '../../src/runtime/pull-progress.js';
import {
  credentialFor,
  dockerConfigFolder,
  registryAuthHeader,
  registryOf,
} from '../../src/runtime/registry-auth.js';

const never = new AbortController().signal;
let folder = '';

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pointsman-auth-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

async function configure(config: object): Promise<void> {
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
}

async function helper(name: string, script: string): Promise<void> {
  const path = join(folder, `docker-credential-${name}`);
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
  vi.stubEnv('PATH', `${folder}:${process.env['PATH'] ?? ''}`);
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

describe('references', () => {
  it.each([
    ['nginx', 'docker.io', 'nginx', 'latest'],
    ['nginx:1.27', 'docker.io', 'nginx', '1.27'],
    ['team/app', 'docker.io', 'team/app', 'latest'],
    ['localhost/app:1', 'localhost', 'localhost/app', '1'],
    ['r.example.com/team/app', 'r.example.com', 'r.example.com/team/app', 'latest'],
    ['r:5000/app', 'r:5000', 'r:5000/app', 'latest'],
    ['r:5000/app:1', 'r:5000', 'r:5000/app', '1'],
    ['r:5000/app:1@sha256:abc', 'r:5000', 'r:5000/app:1', 'sha256:abc'],
    ['r:5000/app@sha256:abc', 'r:5000', 'r:5000/app', 'sha256:abc'],
  ])('%s is of %s, %s and %s', (reference, registry, repository, tag) => {
    expect(registryOf(reference)).toBe(registry);
    expect(splitReference(reference)).toEqual({ repository, tag });
    expect(isReference(reference)).toBe(true);
  });

  it.each(['', ' ', 'a b', '../containers/x', 'a/../b', '/a', 'a?b', 'a#b', 'a%2f', '-a', 'a/', 'a\n'])(
    '%j is none',
    (text) => {
      expect(isReference(text)).toBe(false);
    },
  );
});

describe('credentials', () => {
  it('are none without a configuration', async () => {
    expect(await credentialFor('docker.io', folder, never)).toEqual({ credential: null, problem: null });
    expect(await credentialFor('r.example.com', join(folder, 'nowhere'), never)).toEqual({
      credential: null,
      problem: null,
    });
  });

  it('come from the file, by host, with colons in the password', async () => {
    await configure({
      auths: {
        'https://index.docker.io/v1/': { auth: base64('hub:pass') },
        'r.example.com:5000': { auth: base64('user:a:b:c') },
        'https://old.example.com/v2/': { auth: base64('old:pass') },
        'token.example.com': { auth: base64('x:'), identitytoken: 'tok' },
        'broken.example.com': { auth: base64('nothing') },
      },
    });
    const of = async (registry: string): Promise<unknown> =>
      (await credentialFor(registry, folder, never)).credential;
    expect(await of('docker.io')).toEqual({ username: 'hub', secret: 'pass' });
    expect(await of('registry-1.docker.io')).toEqual({ username: 'hub', secret: 'pass' });
    expect(await of('r.example.com:5000')).toEqual({ username: 'user', secret: 'a:b:c' });
    expect(await of('old.example.com')).toEqual({ username: 'old', secret: 'pass' });
    expect(await of('token.example.com')).toEqual({ username: null, secret: 'tok' });
    expect(await of('broken.example.com')).toBeNull();
    expect(await of('r.example.com')).toBeNull();
  });

  it('come from the registry’s helper, asked on standard input, before the store and the file', async () => {
    await helper('a', 'read -r host; echo "{\\"Username\\":\\"a\\",\\"Secret\\":\\"$1 $host\\"}"');
    await helper('b', 'echo "{\\"Username\\":\\"<token>\\",\\"Secret\\":\\"tok\\"}"');
    await configure({
      credHelpers: { 'r.example.com': 'a' },
      credsStore: 'b',
      auths: { 'r.example.com': { auth: base64('f:f') } },
    });
    expect((await credentialFor('r.example.com', folder, never)).credential).toEqual({
      username: 'a',
      secret: 'get r.example.com',
    });
    expect((await credentialFor('docker.io', folder, never)).credential).toEqual({
      username: null,
      secret: 'tok',
    });
  });

  it('fall back to the file when the helper has none', async () => {
    await helper('empty', 'echo "credentials not found in native keychain"; exit 1');
    await configure({ credsStore: 'empty', auths: { 'r.example.com': { auth: base64('f:f') } } });
    expect((await credentialFor('r.example.com', folder, never)).credential).toEqual({
      username: 'f',
      secret: 'f',
    });
    expect(await credentialFor('other.example.com', folder, never)).toEqual({
      credential: null,
      problem: null,
    });
  });

  it('that cannot be had say why, without the secret', async () => {
    await helper('bad', 'echo secret-word; exit 3');
    await configure({ credsStore: 'bad' });
    expect((await credentialFor('r.example.com', folder, never)).problem).toBe(
      'docker-credential-bad get ended with exit code 3 for r.example.com',
    );
    await configure({ credsStore: 'no-such' });
    expect((await credentialFor('r.example.com', folder, never)).problem).toContain(
      'docker-credential-no-such of Docker',
    );
    await configure({ credsStore: '../evil' });
    expect((await credentialFor('r.example.com', folder, never)).problem).toContain('no plain name');
    await writeFile(join(folder, 'config.json'), '{"auths": secret-word');
    const broken = await credentialFor('r.example.com', folder, never);
    expect(broken.problem).toMatch(/is not JSON$/);
    await helper('garbage', 'echo secret-word');
    await configure({ credsStore: 'garbage' });
    expect((await credentialFor('r.example.com', folder, never)).problem).not.toContain('secret-word');
  });

  it('are looked for where DOCKER_CONFIG says', () => {
    expect(dockerConfigFolder({ DOCKER_CONFIG: '/x' })).toBe('/x');
    expect(dockerConfigFolder({ DOCKER_CONFIG: '' })).toMatch(/\.docker$/);
  });

  it('reach the engine in the URL alphabet', () => {
    const header = registryAuthHeader('docker.io', { username: 'ü?>', secret: '~~~???>>>' });
    expect(header).toMatch(/^[A-Za-z0-9_-]+=*$/);
    expect(JSON.parse(Buffer.from(header, 'base64url').toString())).toEqual({
      username: 'ü?>',
      password: '~~~???>>>',
      serveraddress: 'https://index.docker.io/v1/',
    });
    expect(
      JSON.parse(
        Buffer.from(registryAuthHeader('r', { username: null, secret: 't' }), 'base64url').toString(),
      ),
    ).toEqual({ identitytoken: 't', serveraddress: 'r' });
  });
});

describe('a pull', () => {
  it('tells each change of a layer once', () => {
    const seen = new Map<string, string>();
    const messages = [
      { status: 'Pulling from library/nginx', id: '1.27' },
      { status: 'Downloading', id: 'a', progressDetail: { current: 1 } },
      { status: 'Downloading', id: 'a', progressDetail: { current: 2 } },
      { status: 'Pull complete', id: 'a' },
      { status: 'Digest: sha256:x' },
      {},
      { errorDetail: { message: 'toomanyrequests' }, error: 'toomanyrequests' },
    ];
    expect(
      messages.map((message) => pullLine(message, seen)).filter((line) => line.kind !== 'nothing'),
    ).toEqual([
      { kind: 'line', text: '1.27: Pulling from library/nginx' },
      { kind: 'line', text: 'a: Downloading' },
      { kind: 'line', text: 'a: Pull complete' },
      { kind: 'line', text: 'Digest: sha256:x' },
      { kind: 'failed', text: 'toomanyrequests' },
    ]);
  });

  it.each([
    [
      'Get "https://r:5000/v2/": http: server gave HTTP response to HTTPS client',
      /plain http.*insecure-registries/,
    ],
    [
      'Get "https://r:5000/v2/": x509: certificate signed by unknown authority',
      /\/etc\/docker\/certs\.d\/r:5000\/ca\.crt/,
    ],
    [
      'Get "https://r:5000/v2/app/manifests/1": no basic auth credentials',
      /docker login r:5000, kept in \/d\/config\.json/,
    ],
    [
      "pull access denied for app, repository does not exist or may require 'docker login': denied",
      /docker login/,
    ],
    ['manifest for r:5000/app:nope not found: manifest unknown', /check its name and tag/],
    [
      'Get "https://r:5000/v2/": dial tcp 127.0.0.1:5000: connect: connection refused',
      /check that r:5000 is reachable/,
    ],
    ['no matching manifest for linux/amd64 in the manifest list entries', /platform/],
    ['toomanyrequests: You have reached your pull rate limit', /limits anonymous pulls/],
  ])('that fails with %j says what helps', (reason, mend) => {
    const error = pullFailed(
      { reference: 'r:5000/app:1', registry: 'r:5000', folder: '/d', problem: null },
      reason,
    );
    expect(error.code).toBe('ImagePullFailed');
    expect(error.message).toContain('r:5000/app:1');
    expect(error.message).toMatch(mend);
  });
});
