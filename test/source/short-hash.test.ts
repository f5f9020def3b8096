import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { MirrorStore } from '../../src/source/mirror-store.js';
import { parseLocation } from '../../src/source/location.js';
import type { ListingScope } from '../../src/source/remote.js';
import { wholeHash } from '../../src/source/short-hash.js';
import { temporaryFolder } from '../cli/cli.js';

const signal = AbortSignal.timeout(60_000);

/** A repository whose commits are made until two of them begin with the same four digits. */
async function withTwins() {
  const folder = await temporaryFolder();
  const url = join(folder, 'origin');
  const git = (input: string, ...args: readonly string[]): string =>
    execFileSync('git', ['-C', folder, ...args], { encoding: 'utf8', input }).trim();
  git('', 'init', '--quiet', '--initial-branch=main', url);
  const commits = Array.from({ length: 1_200 }, (_, n) => {
    const person = `a <a@example.com> ${1_700_000_000 + n} +0000`;
    return `commit refs/heads/c${n}\nmark :${n + 1}\ncommitter ${person}\ndata 0\n\n`;
  });
  git(commits.join(''), '-C', url, 'fast-import', '--quiet', '--force');
  const hashes = git('', '-C', url, 'for-each-ref', '--format=%(objectname)').split('\n');
  const counts = new Map<string, number>();
  for (const hash of hashes) counts.set(hash.slice(0, 4), (counts.get(hash.slice(0, 4)) ?? 0) + 1);
  const store = new MirrorStore({ stateDir: join(folder, 'state') });
  return { hashes, counts, mirror: store.open(url, null), git: store.git };
}

it('names those that begin alike and takes one that no other begins like', async () => {
  const { hashes, counts, mirror, git } = await withTwins();
  const twin = [...counts].find(([, count]) => count > 1)?.[0] ?? '';
  const single = hashes.find((hash) => counts.get(hash.slice(0, 4)) === 1) ?? '';
  expect(await wholeHash(single.slice(0, 4), mirror, git, signal)).toBe(single);
  const alike = hashes.filter((hash) => hash.startsWith(twin)).sort();
  await expect(wholeHash(twin, mirror, git, signal)).rejects.toMatchObject({
    code: 'CommitMissing',
    message: `${alike.length} commits of ${mirror.location.display} begin with ${twin}: ${alike.slice(0, 5).join(', ')}; write more digits`,
  });
});

it('asks the remote for the tips of branches and tags when the mirror knows none', async () => {
  const stateDir = await temporaryFolder();
  const tip = '4f5e6d7c8b9a0f1e2d3c4b5a69788776655443ff';
  const mirror = {
    path: join(stateDir, 'none.git'),
    location: parseLocation('https://git.example.com/acme/deploy.git'),
    list: async (scope: ListingScope) => ({ scope, refs: new Map([['refs/heads/main', tip]]) }),
  };
  const { git } = new MirrorStore({ stateDir });
  expect(await wholeHash('4f5e6d7c', mirror, git, signal)).toBe(tip);
  await expect(wholeHash('4f5e6d7d', mirror, git, signal)).rejects.toMatchObject({
    code: 'CommitMissing',
    message:
      'no commit of https://git.example.com/acme/deploy.git that begins with 4f5e6d7d is known here; write all 40 hex digits',
  });
});

it('leaves what is no short hash as it is', async () => {
  const store = new MirrorStore({ stateDir: await temporaryFolder() });
  const mirror = store.open('/nonexistent', null);
  for (const text of ['main', 'abc', '0'.repeat(40), 'f'.repeat(64)])
    expect(await wholeHash(text, mirror, store.git, signal)).toBe(text);
});
