import { messageOf } from '../../errors.js';
import { fail, ok } from './finding.js';
import type { Finding } from './finding.js';

/** `tip` asks the remote for the commit that the followed branch points to. */
export async function checkConfigRepository(
  tip: (signal: AbortSignal) => Promise<string>,
  where: { readonly url: string; readonly branch: string },
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  try {
    const commit = await tip(signal);
    return [ok('config repository', `${where.url}, ${where.branch} at ${commit.slice(0, 8)}`)];
  } catch (error) {
    signal.throwIfAborted();
    return [
      fail(
        'config repository',
        `${where.branch} of ${where.url} cannot be read: ${messageOf(error)}`,
        'check configRepo.url and configRepo.branch, and the token, key or permissions that they need',
      ),
    ];
  }
}
