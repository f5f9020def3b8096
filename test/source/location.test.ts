import { describe, expect, it } from 'vitest';
import { mirrorName, parseLocation, prefixLength } from '../../src/source/location.js';

describe('parseLocation', () => {
  it.each([
    [
      'https://git.example.com/acme/shop.git',
      'http',
      'https://git.example.com/acme/shop.git',
      'https://git.example.com',
    ],
    [
      'HTTPS://Git.Example.com:443/acme/shop.git/',
      'http',
      'https://git.example.com/acme/shop.git',
      'https://git.example.com',
    ],
    ['http://127.0.0.1:3000/a%20b/c', 'http', 'http://127.0.0.1:3000/a%20b/c', 'http://127.0.0.1:3000'],
    ['https://[::1]:8443/x', 'http', 'https://[::1]:8443/x', 'https://[::1]:8443'],
    ['git@github.com:acme/shop.git', 'ssh', 'git@github.com:acme/shop.git', ''],
    ['ssh://git@host:2222/acme/shop.git', 'ssh', 'ssh://git@host:2222/acme/shop.git', ''],
    ['/srv/git//shop.git/', 'local', '/srv/git/shop.git', ''],
  ])('understands %s', (text, transport, url, origin) => {
    expect(parseLocation(text)).toMatchObject({ transport, url, origin });
  });

  it.each([
    '',
    'shop',
    '../shop',
    '-u',
    'ext::sh -c x',
    'file:///srv/x',
    'git://h/x',
    'https://u:p4ss@h/x',
    'https://h',
    'ssh://-oProxyCommand=x/y',
  ])('refuses %j without repeating it', (text) => {
    expect(() => parseLocation(text)).toThrow(expect.objectContaining({ code: 'UnsupportedRepository' }));
    expect(() => parseLocation(text)).not.toThrow(/p4ss/);
  });

  it('gives two spellings of one repository one mirror, and two repositories two', () => {
    const name = (text: string) => mirrorName(parseLocation(text));
    expect(name('https://h:443/a/b/')).toBe(name('HTTPS://H/a/b'));
    expect(name('https://h/a/b')).toMatch(/^[0-9a-f]{24}$/);
    const different = [
      'https://h/a/b',
      'http://h/a/b',
      'https://h:8443/a/b',
      'https://h/a/c',
      'https://h/a/b.git',
      'git@h:a/b',
      'ssh://git@h/a/b',
      'me@h:a/b',
      '/a/b',
    ];
    expect(new Set(different.map(name)).size).toBe(different.length);
  });
});

describe('prefixLength', () => {
  it.each([
    ['https://h/acme/shop.git', 'https://h/acme', true],
    ['https://h/acme/shop.git', 'https://h/acme/', true],
    ['https://h/acme/shop.git', 'https://h', true],
    ['https://h/acme-evil/shop.git', 'https://h/acme', false],
    ['https://h.evil/acme/shop.git', 'https://h', false],
    ['http://h/acme/shop.git', 'https://h/acme', false],
    ['https://h:8443/acme/shop.git', 'https://h/acme', false],
    ['https://h/acme/%2e%2e/other', 'https://h/acme', false],
    ['git@h:acme/shop.git', 'git@h:acme', true],
    ['git@h:acme/shop.git', 'me@h:acme', false],
    ['/srv/git/shop', '/srv/git', true],
    ['/srv/gitx/shop', '/srv/git', false],
  ])('of %s below %s', (text, prefix, covers) => {
    expect(prefixLength(text, prefix) !== null).toBe(covers);
  });

  it('grows with the prefix', () => {
    const text = 'git@h:acme/team/shop.git';
    expect(prefixLength(text, 'git@h:acme/team')).toBeGreaterThan(
      prefixLength(text, 'git@h:acme') ?? Infinity,
    );
  });
});
