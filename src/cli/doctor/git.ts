import { isAtLeast } from '../../versions.js';
import type { Execute } from './execute.js';
import { fail, ok } from './finding.js';
import type { Finding } from './finding.js';

/** What Ubuntu 20.04 ships; nothing older is tried. */
const leastVersion = '2.25';

export async function checkGit(execute: Execute, signal: AbortSignal): Promise<readonly Finding[]> {
  const { exitCode, stdout } = await execute('git', ['--version'], signal);
  const version = /git version (\d+(?:\.\d+)+)/.exec(stdout)?.[1];
  if (exitCode !== 0 || version === undefined) {
    return [fail('git', 'the git program does not run', 'install it (Debian, Ubuntu: apt-get install git)')];
  }
  if (!isAtLeast(version, leastVersion)) {
    return [
      fail('git', `git ${version} is older than ${leastVersion}`, `install git ${leastVersion} or later`),
    ];
  }
  return [ok('git', `git ${version}`)];
}
