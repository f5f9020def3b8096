import { PointsmanError } from '../errors.js';
import type { EngineRefusal } from './engine-errors.js';

const mends: readonly (readonly [pattern: RegExp, mend: string])[] = [
  [
    /executable file not found|no such file or directory: unknown|permission denied: unknown/,
    'check run.command, or ENTRYPOINT and CMD of the image: this program is not there or not executable',
  ],
  [/no command specified/i, 'set run.command, or CMD in the Dockerfile'],
  [/no such image/i, 'the image is gone from the engine and has to be built or pulled again'],
  [/address already in use/i, 'another container of the network holds the address of this slot'],
  [/unable to find user|no matching entries in passwd/i, 'run.user names no user of the image'],
  [/minimum memory limit/i, 'raise run.memory'],
  [/range of cpus/i, 'lower run.cpus to what this machine has'],
];

/**
 * StartFailed for what the engine refused. Its reasons are long chains of who called whom; the last
 * link is what a person can act on.
 */
export function startFailed(what: string, refusal: EngineRefusal): PointsmanError {
  const reason = refusal.reason
    .replace(/^.*unable to start container process: /, '')
    .replace(/: unknown$/, '');
  const mend = mends.find(([pattern]) => pattern.test(refusal.reason))?.[1];
  const message = `${what}: ${reason}${mend === undefined ? '' : `; ${mend}`}`;
  return new PointsmanError('StartFailed', message, { cause: refusal });
}
