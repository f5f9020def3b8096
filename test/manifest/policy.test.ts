import { describe, expect, it } from 'vitest';
import { isImageBelow, isRepositoryBelow, policyAllows } from '../../src/manifest/policy.js';
import type { GitSource, ImageSource } from '../../src/manifest/project.js';
import { manifest, projectOf } from './support.js';

describe('isRepositoryBelow', () => {
  it.each([
    ['https://git.example.com', 'https://git.example.com/acme/shop.git', true],
    ['https://git.example.com/', 'https://git.example.com/acme/shop.git', true],
    ['https://git.example.com', 'https://git.example.com.evil.com/acme/shop.git', false],
    ['https://git.example.com', 'https://git.example.community/shop', false],
    ['https://git.example.com', 'http://git.example.com/acme/shop.git', false],
    ['https://git.example.com', 'https://git.example.com:8443/acme/shop.git', false],
    ['https://git.example.com:443', 'https://GIT.EXAMPLE.COM/acme/shop.git', true],
    ['https://git.example.com/acme', 'https://git.example.com/acme/shop.git', true],
    ['https://git.example.com/acme', 'https://git.example.com/acme-evil/shop.git', false],
    ['https://git.example.com/acme/', 'https://git.example.com/acmes/shop.git', false],
    ['https://git.example.com/acme', 'https://git.example.com/Acme/shop.git', false],
    ['https://git.example.com/acme', 'https://git.example.com/acme/../evil/shop.git', false],
    ['https://git.example.com/acme', 'https://git.example.com/acme/%2e%2e/evil/shop.git', false],
    ['https://git.example.com/acme', 'https://git.example.com/acme%2f..%2fevil/shop.git', false],
    ['https://git.example.com/acme', 'https://git.example.com/%61cme/shop.git', true],
    ['https://git.example.com/acme/shop', 'https://git.example.com/acme/shop.git', true],
    ['https://git.example.com/acme/shop.git', 'https://git.example.com/acme/shop', true],
    ['https://git.example.com/acme/shop.git', 'https://git.example.com/acme/shop2.git', false],
    ['https://git.example.com/acme/shop/inner', 'https://git.example.com/acme/shop', false],
    ['/srv/git/inner', '/srv/git', false],
    ['https://git.example.com', 'git@git.example.com:acme/shop.git', false],
    ['ssh://git.example.com/acme', 'git@git.example.com:acme/shop.git', true],
    ['git@git.example.com:acme', 'ssh://git@git.example.com:22/acme/shop.git', true],
    ['git@git.example.com:acme', 'ssh://other@git.example.com/acme/shop.git', false],
    ['git@git.example.com:', 'git@git.example.com:acme/shop.git', true],
    ['git@git.example.com:acme', 'git@git.example.com:acme2/shop.git', false],
    ['ssh://git.example.com:2222', 'git@git.example.com:acme/shop.git', false],
    ['/srv/git', '/srv/git/shop.git', true],
    ['/srv/git/', '/srv//git/./shop.git', true],
    ['/srv/git', '/srv/github/shop.git', false],
    ['/srv/git', '/srv/git.git', false],
    ['/srv/git', '/srv/git/../other.git', false],
    ['/', '/srv/git/shop.git', true],
    ['/srv/git', 'https://git.example.com/srv/git/shop.git', false],
    ['git.example.com', 'https://git.example.com/acme/shop.git', false],
    ['', 'https://git.example.com/acme/shop.git', false],
    ['https://user@git.example.com', 'https://git.example.com/acme/shop.git', false],
  ])('%j covers %j: %s', (prefix, repository, expected) => {
    expect(isRepositoryBelow(prefix, repository)).toBe(expected);
  });
});

describe('isImageBelow', () => {
  const digest = `sha256:${'a'.repeat(64)}`;

  it.each([
    ['docker.io', 'nginx:1.27', true],
    ['docker.io', 'acme/shop', true],
    ['docker.io', 'ghcr.io/acme/shop', false],
    ['docker.io/library', 'nginx', true],
    ['docker.io/library', 'acme/nginx', false],
    ['index.docker.io', 'docker.io/library/nginx', true],
    ['nginx', 'nginx:1.27', true],
    ['nginx', 'docker.io/library/nginx', true],
    ['nginx', 'nginx-evil', false],
    ['nginx', 'nginx/evil', false],
    ['acme/', 'acme/shop', true],
    ['acme/', 'acme', false],
    ['docker.io/acme', 'acme/shop', true],
    ['acme/shop', 'acme/shop:v2', true],
    ['acme/shop', 'acme/shopping', false],
    ['ghcr.io', 'ghcr.io/acme/shop', true],
    ['ghcr.io', 'ghcr.io.evil.com/acme/shop', false],
    ['ghcr.io', 'ghcr.io:5000/acme/shop', false],
    ['ghcr.io/acme', `ghcr.io/acme/shop@${digest}`, true],
    ['ghcr.io/acme', 'ghcr.io/acme-evil/shop', false],
    ['ghcr.io/acme', 'GHCR.io/acme/shop', true],
    ['localhost:5000/team', 'localhost:5000/team/shop:1', true],
    ['localhost:5000', 'localhost:5001/team/shop:1', false],
    ['ghcr.io/acme/shop/inner', 'ghcr.io/acme/shop', false],
    ['ghcr.io/acme', 'ghcr.io/acme/../evil/shop', false],
    ['', 'nginx', false],
    ['https://ghcr.io', 'ghcr.io/acme/shop', false],
  ])('%j covers %j: %s', (prefix, image, expected) => {
    expect(isImageBelow(prefix, image)).toBe(expected);
  });
});

describe('policyAllows', () => {
  const git = projectOf(manifest()).source as GitSource;
  const image: ImageSource = { kind: 'image', image: 'ghcr.io/acme/shop:1' };

  it('allows everything without prefixes', () => {
    expect([policyAllows([], git), policyAllows([], image)]).toEqual([true, true]);
  });

  it('wants one of the prefixes to match', () => {
    expect(policyAllows(['/srv/git', 'https://git.example.com/acme'], git)).toBe(true);
    expect(policyAllows(['/srv/git', 'https://git.example.com/other'], git)).toBe(false);
    expect(policyAllows(['docker.io', 'ghcr.io'], image)).toBe(true);
    expect(policyAllows(['docker.io'], image)).toBe(false);
  });
});
