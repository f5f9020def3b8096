import { describe, expect, it } from 'vitest';
import { parseDuration, parseSize, parseStatusRange } from '../../src/manifest/quantities.js';
import { canonicalRepository, parseRepository } from '../../src/manifest/repository.js';
import { problemsWith, projectOf, manifest, parse } from './support.js';

const source = (field: string, value: string) =>
  parse(
    manifest().replace(/source: .*/, `source: { repo: /srv/a, ${field}: ${JSON.stringify(value)} }`),
  ).problems.map(({ message }) => message);

describe('quantities', () => {
  it.each([
    ['0s', 0],
    ['250ms', 250],
    ['90s', 90_000],
    ['10m', 600_000],
    ['2h', 7_200_000],
    ['', null],
    ['10', null],
    ['1.5s', null],
    ['-1s', null],
    ['010s', null],
    ['10 s', null],
    ['10S', null],
    ['1d', null],
    ['9999999999s', null],
  ])('reads the duration %j as %s ms', (text, expected) => {
    expect(parseDuration(text)).toBe(expected);
  });

  it.each([
    ['1Ki', 1024],
    ['256Mi', 268_435_456],
    ['2Gi', 2_147_483_648],
    ['10m', 10_485_760],
    ['1k', 1024],
    ['1g', 1_073_741_824],
    ['1K', null],
    ['1MB', null],
    ['1', null],
    ['1.5Gi', null],
  ])('reads the size %j as %s bytes', (text, expected) => {
    expect(parseSize(text)).toBe(expected);
  });

  it.each([
    ['200-399', { from: 200, to: 399 }],
    ['204', { from: 204, to: 204 }],
    ['399-200', null],
    ['99', null],
    ['600', null],
    ['200-', null],
    ['2xx', null],
  ])('reads the status range %j', (text, expected) => {
    expect(parseStatusRange(text)).toEqual(expected);
  });
});

describe('repositories', () => {
  it.each([
    'https://git.example.com/acme/shop.git',
    'http://127.0.0.1:8080/shop',
    'https://[::1]:8443/acme/shop.git/',
    'ssh://git@git.example.com:2222/acme/shop.git',
    'ssh://git.example.com/~git/shop',
    'git@git.example.com:acme/shop.git',
    'git@git.example.com:/srv/shop.git',
    '/srv/git/shop.git',
    '/srv/my repositories/shop',
    'https://dev.example.com/acme/My%20Project/_git/shop',
  ])('takes %s', (address) => {
    expect(parseRepository(address).ok).toBe(true);
  });

  it.each([
    '',
    'shop.git',
    './shop.git',
    '../shop.git',
    '-oProxyCommand=touch x',
    '--upload-pack=touch x',
    'ext::sh -c "touch x"',
    'fd::17',
    'file:///srv/git/shop.git',
    'file://localhost/srv/git/shop.git',
    'EXT::id',
    'ext::git@git.example.com:shop.git',
    '-x://git.example.com/shop.git',
    'git://git.example.com/acme/shop.git',
    'ftp://git.example.com/acme/shop.git',
    'https://user@git.example.com/acme/shop.git',
    'https://user:secret@git.example.com/acme/shop.git',
    'https://git.example.com',
    'https://git.example.com/',
    'https:///acme/shop.git',
    'https://git.example.com/acme/../shop.git',
    'https://git.example.com/acme/%2e%2e/shop.git',
    'https://git.example.com/acme%2f..%2fshop.git',
    'https://git.example.com/acme/%zz',
    'https://git.example.com/acme/shop.git?x=1',
    'https://git.example.com/acme/shop.git#main',
    'https://git.example.com\\@evil.example.com/shop.git',
    'https://git.example.com:99999/shop.git',
    'https://git.example.com:/shop.git',
    'https://-git.example.com/shop.git',
    'ssh://-oProxyCommand=touch/shop.git',
    'ssh://git:secret@git.example.com/shop.git',
    'ssh://git@git.example.com/-shop.git',
    'git@-oProxyCommand:shop.git',
    'git@git.example.com:-shop.git',
    'git@git.example.com:',
    '-git@git.example.com:shop.git',
    '/srv/git/../shop.git',
    '/',
    '/srv/git/a\nb',
    'https://git.example.com/a b',
    'https://git.example.com/a%0ab',
  ])('refuses %j', (address) => {
    expect(parseRepository(address).ok).toBe(false);
  });

  it.each(['https://git.example.com/a\nb', '/srv/git/a\u009bb', 'git@git.example.com:a\0b'])(
    'says of %j that it holds control characters',
    (address) => {
      expect(parseRepository(address)).toMatchObject({
        reason: expect.stringContaining('control characters') as string,
      });
    },
  );

  it('repeats no password in what it says', () => {
    const { problems } = parse(manifest().replace('https://git', 'https://user:s3cret/p@ss@git'));
    expect(problems).toHaveLength(1);
    expect(JSON.stringify(problems)).not.toMatch(/s3cret|p@ss/);
  });

  it.each([
    ['https://git.example.com/acme/shop.git', 'https://git.example.com/acme/shop'],
    ['https://GIT.example.com:443/acme//shop/', 'https://git.example.com/acme/shop'],
    ['https://git.example.com:8443/acme/shop', 'https://git.example.com:8443/acme/shop'],
    ['git@git.example.com:acme/shop.git', 'ssh://git.example.com/acme/shop'],
    ['ssh://git@git.example.com:22/acme/shop', 'ssh://git.example.com/acme/shop'],
    ['/srv/git/shop.git/', '/srv/git/shop'],
  ])('writes %s as %s in keys', (address, canonical) => {
    expect(canonicalRepository(address)).toBe(canonical);
  });
});

describe('refs', () => {
  it.each(['main', 'release/2.x', 'v1.0.0', 'feature/ünïcode', 'a@b', 'refs/tags/v1'])('takes %s', (ref) => {
    expect(source('ref', ref)).toEqual([]);
  });

  it.each([
    '',
    '-x',
    '--upload-pack=x',
    '@',
    'a..b',
    'a b',
    'a~1',
    'a^',
    'a:b',
    'a?',
    'a*',
    'a[b',
    'a\\b',
    '/a',
    'a/',
    'a//b',
    '.a',
    'a/.b',
    'a.lock',
    'a.lock/b',
    'a.',
    'a@{1}',
    'a\u007f',
  ])('refuses %j', (ref) => {
    expect(source('ref', ref)).toHaveLength(1);
  });
});

describe('paths', () => {
  it.each([
    ['.', '.'],
    ['./', '.'],
    ['apps/web', 'apps/web'],
    ['./apps//web/', 'apps/web'],
    ['a b', 'a b'],
    ['..a/b..', '..a/b..'],
  ])('reads the source path %j as %j', (path, normalised) => {
    const text = manifest().replace(/source: .*/, `source: { repo: /srv/a, path: ${JSON.stringify(path)} }`);
    expect(projectOf(text).source).toMatchObject({ path: normalised });
  });

  it.each(['', '/', '/apps', '..', 'a/../b', 'a\\b', 'a\nb'])('refuses the source path %j', (path) => {
    expect(source('path', path)).toHaveLength(1);
  });

  it.each(['', '.', './', '/Dockerfile', '../Dockerfile', 'docker/'])('refuses the dockerfile %j', (path) => {
    expect(problemsWith(`build: { dockerfile: ${JSON.stringify(path)} }`)).toHaveLength(1);
  });

  it.each(['data', '/', '//', '/.', '/a/../b', '/a:ro', ''])('refuses the volume path %j', (path) => {
    expect(problemsWith(`run: { volumes: [{ name: a, path: ${JSON.stringify(path)} }] }`)).toHaveLength(1);
  });
});

describe('images', () => {
  const image = (value: string) =>
    parse(manifest().replace(/source: .*/, `image: ${JSON.stringify(value)}`)).problems.map(
      ({ message }) => message,
    );
  const digest = `sha256:${'a'.repeat(64)}`;

  it.each([
    'nginx',
    'nginx:1.27',
    'acme/shop',
    'ghcr.io/acme/shop:v1',
    'localhost:5000/shop',
    '127.0.0.1:5000/team/shop:1',
    `nginx@${digest}`,
    `ghcr.io/acme/shop:v1@${digest}`,
    'registry.example.com/a__b/c-d.e',
  ])('takes %s', (value) => {
    expect(image(value)).toEqual([]);
  });

  it.each([
    '',
    'Nginx',
    'nginx:',
    'nginx:a b',
    '-nginx',
    'nginx/',
    '/nginx',
    'a//b',
    'https://ghcr.io/acme/shop',
    'nginx@sha256:abc',
    'a'.repeat(64),
    digest,
    'ghcr.io/Acme/shop',
    '-x.example.com/a',
  ])('refuses %j', (value) => {
    expect(image(value)).toHaveLength(1);
  });
});

describe('domains', () => {
  it.each([
    '*.example.com',
    'shop.example.com:80',
    'https://shop.example.com',
    'shop.example.com.',
    '-a.example.com',
    'a-.example.com',
    'a..b',
    'shöp.example.com',
    'a_b.example.com',
    '127.0.0.1',
    '',
    `${'a'.repeat(64)}.example.com`,
    'a b',
    'x;y',
  ])('refuses %j', (domain) => {
    expect(problemsWith(`route: { domains: [${JSON.stringify(domain)}] }`)).toHaveLength(1);
  });

  it.each(['shöp.example.com', 'sh\u043ep.example.com', '\u212aube.example.com', 'a\u3002example.com'])(
    'says of %j, which may look like another name, that it wants the xn-- form',
    (domain) => {
      const [problem] = problemsWith(`route: { domains: [${JSON.stringify(domain)}] }`);
      expect(problem).toContain('xn--');
    },
  );

  it('takes names in capitals and writes them small', () => {
    expect(
      projectOf(manifest('route: { domains: [WWW.Example.COM, xn--shp-una.example.com] }')).route.domains,
    ).toEqual(['www.example.com', 'xn--shp-una.example.com']);
  });
});

describe('names', () => {
  it.each(['a', 'shop', 'shop-2', `a${'b'.repeat(38)}c`])('takes the project name %s', (name) => {
    expect(parse(manifest('', name)).problems).toEqual([]);
  });

  it.each(['Shop', '2shop', '-shop', 'shop-', 'sh_op', `a${'b'.repeat(40)}`, 'true', '~', '12', '"a b"'])(
    'refuses the project name %s and counts the document as nameless',
    (name) => {
      expect(parse(manifest('', name))).toMatchObject({
        problems: [{}],
        projects: [],
        invalid: [],
        namelessDocuments: 1,
      });
    },
  );

  it.each([
    ['run: { env: { __proto__: a } }', 1],
    ['run: { env: { 1A: a } }', 1],
    ['run: { env: { "A=B": a } }', 1],
    ['run: { env: { "": a } }', 1],
    ['run: { secrets: [A-B] }', 1],
    ['run: { secrets: [__proto__] }', 1],
    ['run: { volumes: [{ name: A, path: /a }] }', 1],
    ['build: { args: { "A B": x } }', 1],
    ['run: { env: { constructor: a, hasOwnProperty: b, _x: c } }', 0],
  ])('finds in %s %i problems', (rest, count) => {
    expect(problemsWith(rest)).toHaveLength(count);
  });

  it('keeps names of builtins as plain variables', () => {
    const { env } = projectOf(manifest('run: { env: { constructor: a, toString: b } }')).run;
    expect(Object.entries(env)).toEqual([
      ['constructor', 'a'],
      ['toString', 'b'],
    ]);
  });
});

describe('bounds', () => {
  it.each([
    ['run: { port: 0 }', 1],
    ['run: { port: 65536 }', 1],
    ['run: { port: 80.5 }', 1],
    ['run: { pids: 0 }', 1],
    ['run: { pids: 100000 }', 1],
    ['run: { cpus: 0 }', 1],
    ['run: { cpus: .inf }', 1],
    ['run: { cpus: .nan }', 1],
    ['run: { memory: 5Mi }', 1],
    ['run: { memory: 6Mi }', 0],
    ['run: { memory: 99999Gi }', 1],
    ['run: { stopTimeout: 11m }', 1],
    ['run: { stopTimeout: 0s }', 0],
    [`run: { stopTimeout: ${'9'.repeat(400)}s }`, 1],
    [`run: { memory: ${'9'.repeat(400)}Gi }`, 1],
    [`run: { port: ${'9'.repeat(400)} }`, 1],
    ['run: { pids: 1e400 }', 1],
    ['build: { timeout: 0s }', 1],
    ['build: { timeout: 7h }', 1],
    ['health: { interval: 99ms }', 1],
    ['health: { within: 2h }', 1],
    ['health: { successes: 0 }', 1],
    ['health: { status: 600 }', 1],
    ['health: { status: 204.5 }', 1],
    ['route: { maxBody: 101g }', 1],
    ['route: { maxBody: 0m }', 1],
    ['rollout: { keepPrevious: 169h }', 1],
    ['rollout: { keepPrevious: 168h }', 0],
  ])('finds in %s %i problems', (rest, count) => {
    expect(problemsWith(rest)).toHaveLength(count);
  });
});
