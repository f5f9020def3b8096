import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { GitCredential, Settings } from '../../src/settings/settings.js';
import { credentialFor, withAccess } from '../../src/source/credentials.js';
import type { GitAccess } from '../../src/source/git.js';
import { parseLocation } from '../../src/source/location.js';

const token = (tokenFile: string): GitCredential => ({ kind: 'token', tokenFile });
const key = (keyFile: string): GitCredential => ({ kind: 'ssh', keyFile, knownHostsFile: null });

describe('credentialFor', () => {
  const settings = (
    config: { url: string; credential: GitCredential | null },
    ...credentials: Settings['credentials']
  ) =>
    ({ configRepo: { ...config, branch: 'main', path: 'projects', intervalMs: 1000 }, credentials }) as const;
  const config = { url: 'https://h/acme/deploy.git', credential: token('/config') };

  it('takes the longest prefix, wherever it stands', () => {
    const all = settings(
      config,
      { prefix: 'https://h/acme', credential: token('/acme') },
      { prefix: 'https://h', credential: token('/h') },
    );
    expect(credentialFor('https://h/acme/shop.git', all)).toEqual(token('/acme'));
    expect(credentialFor('https://h/other/shop.git', all)).toEqual(token('/h'));
    expect(credentialFor('https://elsewhere/acme/shop.git', all)).toBeNull();
  });

  it('passes over a credential that does not fit the transport', () => {
    const all = settings(
      config,
      { prefix: 'git@h:acme', credential: token('/token') },
      { prefix: 'git@h:', credential: key('/key') },
    );
    expect(credentialFor('git@h:acme/shop.git', all)).toEqual(key('/key'));
  });

  it('gives the config repository its own for exactly that repository', () => {
    expect(credentialFor('https://H:443/acme/deploy.git/', settings(config))).toEqual(token('/config'));
    expect(credentialFor('https://h/acme/shop.git', settings(config))).toBeNull();
  });
});

describe('withAccess', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "pointsman access '$(x) "));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it.each([
    ['https://h/x.git', 'token file', token],
    ['ssh://h/x.git', 'ssh key file', key],
  ])('says of %s once where its %s should be', async (url, what, credential) => {
    const file = join(folder, 'nothing');
    await expect(
      withAccess(folder, parseLocation(url), credential(file), () => Promise.resolve()),
    ).rejects.toMatchObject({
      message: `cannot read the ${what} ${file}: it is not there; put it there, or name another file in the settings`,
    });
  });

  it('keeps a token in a private file for the length of the use', async () => {
    await writeFile(join(folder, 'token'), 'a b/%@:é\n');
    const location = parseLocation('https://h:8443/x.git');
    let access: GitAccess | null = null;
    await withAccess(folder, location, token(join(folder, 'token')), async (given) => {
      access = given;
      const [name = ''] = (await readdir(folder)).filter((entry) => entry.startsWith('credential-'));
      expect(await readFile(join(folder, name), 'utf8')).toBe(
        'https://x-access-token:a%20b%2F%25%40%3A%C3%A9@h:8443\n',
      );
      expect((await stat(join(folder, name))).mode & 0o777).toBe(0o600);
      const quoted = join(folder, name).replaceAll("'", "'\\''");
      expect(given).toEqual({
        config: [`credential.https://h:8443.helper=store --file='${quoted}'`],
        env: {},
      });
    });
    expect(access).not.toBeNull();
    expect(await readdir(folder)).toEqual(['token']);
  });

  it('takes the file away when the use fails', async () => {
    await writeFile(join(folder, 'token'), 'secret');
    const failing = withAccess(
      folder,
      parseLocation('https://h/x'),
      token(join(folder, 'token')),
      async () => {
        throw new Error('no');
      },
    );
    await expect(failing).rejects.toThrow('no');
    expect(await readdir(folder)).toEqual(['token']);
  });

  it.each(['', '\n', 'two\nlines\n', 'null\0byte', 'x'.repeat(20_000)])(
    'refuses a token file that holds %j',
    async (text) => {
      await writeFile(join(folder, 'token'), text);
      const use = withAccess(
        folder,
        parseLocation('https://h/x'),
        token(join(folder, 'token')),
        async () => 'used',
      );
      await expect(use).rejects.toMatchObject({
        code: 'SourceUnreachable',
        message: expect.stringContaining('must hold one line'),
      });
    },
  );

  it('never gives a token to ssh or a path, nor a key to http', async () => {
    await writeFile(join(folder, 'token'), 'secret');
    for (const [address, credential] of [
      ['git@h:x', token(join(folder, 'token'))],
      ['/x', token(join(folder, 'token'))],
      ['https://h/x', key('/key')],
    ] as const) {
      await withAccess(folder, parseLocation(address), credential, async (access) => {
        expect(JSON.stringify(access)).not.toMatch(/helper|\/key/);
        expect(await readdir(folder)).toEqual(['token']);
      });
    }
  });

  it('quotes every ssh option for the shell that git hands it to', async () => {
    await writeFile(join(folder, 'key'), '');
    const credential: GitCredential = {
      kind: 'ssh',
      keyFile: join(folder, 'key'),
      knownHostsFile: join(folder, 'key'),
    };
    await withAccess(folder, parseLocation('git@h:x'), credential, async ({ env }) => {
      const words = env['GIT_SSH_COMMAND'] ?? '';
      expect(words).toMatch(/^'ssh' '-a' '-x' '-o' 'BatchMode=yes'/);
      expect(words).toContain("'StrictHostKeyChecking=yes'");
      expect(words).toContain(`'IdentityFile="${join(folder, 'key').replaceAll("'", "'\\''")}"'`);
      expect(words).toContain("'IdentitiesOnly=yes'");
    });
    const odd: GitCredential = { kind: 'ssh', keyFile: join(folder, 'ke"y'), knownHostsFile: null };
    await writeFile(join(folder, 'ke"y'), '');
    await expect(withAccess(folder, parseLocation('git@h:x'), odd, async () => 0)).rejects.toMatchObject({
      code: 'SourceUnreachable',
    });
  });
});
