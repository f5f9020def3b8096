import { describe, expect, it } from 'vitest';
import type { GitCredential } from '../../src/settings/settings.js';
import { explainRemote, lastLine } from '../../src/source/git-errors.js';
import { parseLocation } from '../../src/source/location.js';

const token: GitCredential = { kind: 'token', tokenFile: '/etc/token' };

function explain(
  stderr: string,
  credential: GitCredential | null = null,
  address = 'https://git.example.com/acme/shop.git',
) {
  return explainRemote(stderr, { location: parseLocation(address), credential });
}

describe('explainRemote', () => {
  // What git 2.39, curl 7.88 and OpenSSH 9.2 print.
  it.each<[string, string, GitCredential | null]>([
    [
      "fatal: Authentication failed for 'https://git.example.com/acme/shop.git/'",
      'check the token in /etc/token',
      token,
    ],
    [
      "fatal: could not read Username for 'https://git.example.com': terminal prompts disabled",
      'set a tokenFile',
      null,
    ],
    [
      "fatal: could not read Password for 'https://x-access-token@git.example.com': terminal prompts disabled",
      'check the token in /etc/token',
      token,
    ],
    [
      "fatal: could not read Username for 'https://elsewhere.example.com': terminal prompts disabled",
      'redirects to https://elsewhere.example.com, which wants a sign-in',
      token,
    ],
    [
      "fatal: unable to access 'https://git.example.com/acme/shop.git/': The requested URL returned error: 403",
      '(403)',
      token,
    ],
    [
      "remote: Repository not found.\nfatal: repository 'https://git.example.com/acme/shop.git/' not found",
      'no such repository',
      token,
    ],
    [
      "fatal: unable to access 'https://git.example.com/acme/shop.git/': The requested URL returned error: 502",
      'answered 502',
      null,
    ],
    [
      "fatal: unable to access 'https://x/': Could not resolve host: git.example.com",
      'git.example.com cannot be resolved',
      null,
    ],
    [
      "fatal: unable to access 'https://x/': Failed to connect to x port 443 after 1 ms: Couldn't connect to server",
      'nobody answers',
      null,
    ],
    [
      "fatal: unable to access 'https://x/': server certificate verification failed. CAfile: none CRLfile: none",
      'SSL_CERT_FILE',
      null,
    ],
    [
      "fatal: unable to access 'https://x/': SSL certificate problem: self-signed certificate",
      'SSL_CERT_FILE',
      null,
    ],
    [
      'error: RPC failed; curl 18 transfer closed with outstanding read data remaining\nfatal: early EOF\nfatal: fetch-pack: invalid index-pack output',
      'the connection failed',
      null,
    ],
    [
      'fetch-pack: unexpected disconnect while reading sideband packet\nfatal: early EOF\nerror: unable to read sha1 file',
      'the connection failed',
      null,
    ],
    [
      'ssh: Could not resolve hostname nope: Name or service not known\nfatal: Could not read from remote repository.',
      'nope cannot be resolved',
      null,
    ],
    [
      'ssh: connect to host h port 22: Connection refused\nfatal: Could not read from remote repository.',
      'nobody answers',
      null,
    ],
    ['ssh: connect to host h port 22: Connection timed out', 'timed out', null],
    [
      'No ED25519 host key is known for h and you have requested strict checking.\nHost key verification failed.\nfatal: Could not read',
      'add it to knownHostsFile',
      null,
    ],
    [
      "fatal: '/x' does not appear to be a git repository\nfatal: Could not read from remote repository.",
      'no git repository at this address',
      null,
    ],
  ])('%j', (stderr, message, credential) => {
    const failure = explain(stderr, credential);
    expect(failure.kind).toBe('remote');
    if (failure.kind !== 'remote') return;
    expect(failure.error.code).toBe('SourceUnreachable');
    expect(failure.error.message).toContain(message);
    expect(failure.error.message).toMatch(
      /^cannot reach https:\/\/git\.example\.com\/acme\/shop\.git: .*[^.]$/,
    );
  });

  it('tells the kinds that have another way', () => {
    expect(explain('error: Server does not allow request for unadvertised object 1111').kind).toBe(
      'hash-refused',
    );
    expect(explain('fatal: remote error: upload-pack: not our ref 1111').kind).toBe('hash-refused');
    expect(explain('fatal: dumb http transport does not support shallow capabilities').kind).toBe(
      'no-shallow',
    );
    expect(explain('fatal: mismatched algorithms: client sha1; server sha256')).toMatchObject({
      kind: 'remote',
      error: { code: 'UnsupportedRepository' },
    });
  });

  it.each([
    "fatal: not a git repository: '/state/repos/x.git'",
    "fatal: Unable to create '/state/repos/x.git/shallow.lock': File exists.",
    'error: inflate: data stream error (incorrect header check)\nfatal: loose object 11 (stored in objects/11) is corrupt',
    'fatal: pack has 3 unresolved deltas\nfatal: fetch-pack: invalid index-pack output',
    'fatal: write error: No space left on device\nfatal: fetch-pack: invalid index-pack output',
    'error: https://git.example.com/acme/shop.git did not send all necessary objects',
    'something nobody has seen',
  ])('takes %j for our own mirror', (stderr) => {
    expect(explain(stderr).kind).toBe('local');
  });

  it('does not take a word in the address for a reason', () => {
    const address = 'https://git.example.com/ssl-certificate problem-timeout'.replaceAll(' ', '%20');
    expect(
      explain(`fatal: unable to access '${address}/': Empty reply from server`, null, address),
    ).toMatchObject({
      error: { message: expect.stringContaining('the connection failed') },
    });
  });
});

describe('lastLine', () => {
  it('gives the line that says why, without credentials and control characters', () => {
    expect(lastLine('noise\nfatal: cannot read https://u:secret@h/x\x1b[31m\nmore')).toBe(
      'fatal: cannot read https://h/x [31m',
    );
    expect(lastLine('')).toBe('git gave no reason');
    expect(lastLine(`fatal: ${'x'.repeat(1000)}`)).toHaveLength(300);
  });
});
