import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Git } from '../../src/source/git.js';
import { temporaryFolder } from '../record/fixtures.js';
import { leftWith } from '../support/left-with.js';

it('leaves nothing with the signal of its calls, which lives as long as the controller', async () => {
  const git = new Git({ folder: join(await temporaryFolder(), 'git') });
  const { signal } = new AbortController();
  for (let call = 0; call < 3; call += 1) expect((await git.run({ args: ['version'], signal })).code).toBe(0);
  const stream = await git.stream(['version'], signal);
  stream.stdout.resume();
  await stream.ended;
  expect(leftWith(signal)).toBe(0);
});

it('reads this configuration and no other: no hook, no helper, no program, no password in an address', async () => {
  const git = new Git({ folder: join(await temporaryFolder(), 'git') });
  const { signal } = new AbortController();
  const { stdout } = await git.run({ args: ['config', '--list'], signal });
  expect(stdout.toString().trim().split('\n').sort()).toEqual([
    'advice.detachedhead=false',
    'core.askpass=',
    'core.autocrlf=false',
    'core.bigfilethreshold=16m',
    'core.fsmonitor=false',
    'core.hookspath=/dev/null',
    'fetch.recursesubmodules=false',
    'fetch.writecommitgraph=false',
    'gc.auto=0',
    'gc.writecommitgraph=false',
    'http.lowspeedlimit=1',
    'http.lowspeedtime=60',
    'maintenance.auto=false',
    'protocol.version=2',
    'safe.directory=*',
    'submodule.recurse=false',
    'tar.umask=0022',
    'transfer.credentialsinurl=die',
    'uploadpack.allowanysha1inwant=true',
  ]);
});

it('ends what says more than it may', async () => {
  const git = new Git({ folder: join(await temporaryFolder(), 'git') });
  const call = { args: ['version'], signal: new AbortController().signal };
  await expect(git.run({ ...call, maxBytes: 4 })).rejects.toThrow('git version said more than 4 bytes');
  expect((await git.run({ ...call, maxBytes: 1_000 })).code).toBe(0);
});
