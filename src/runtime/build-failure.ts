import { redact, type ErrorCode } from '../errors.js';
import { isRegistryUnreachable, pullMend } from './pull-progress.js';
import { registryOf } from './registry-auth.js';

export interface BuildFailure {
  /** ImagePullFailed when a registry cannot be reached: that alone is worth another try. */
  readonly code: Extract<ErrorCode, 'BuildFailed' | 'DockerfileMissing' | 'ImagePullFailed'>;
  /** ` in [2/5] RUN npm ci: exit code 1` */
  readonly text: string;
}

/** BuildKit's chain of wrappers, of which only the last link says anything. */
const wrapper =
  /^(?:failed to solve(?: with frontend [\w.]+)?|failed to build LLB|failed to create LLB definition|rpc error: code = \w+ desc =|failed to (?:load|compute) cache key|failed to calculate checksum of ref \S+)\s*:?\s+/;

/** Steps that fetch an image: its name is the last word. */
const imageStep =
  /(?:^\[internal\] load metadata for|^resolve image config for(?: docker-image:\/\/)?|^\[[^\]]*\] FROM) ?(\S+)/;

/** What a failed build says, in the order in which it is looked for, and what helps. */
const mends: readonly (readonly [pattern: RegExp, mend: string | null])[] = [
  [/exit (?:code:|status) 137\b/, 'the process was killed, most likely for lack of memory'],
  // Its output says why.
  [/exit (?:code:|status) \d/, null],
  [
    /no space left on device/,
    'free disk space (docker system df shows what takes it, docker builder prune frees the build cache)',
  ],
  [
    /buildkit.*not supported|not support.*buildkit|invalid.* version 2/i,
    'Docker Engine 20.10 or newer with BuildKit is needed',
  ],
  [/target stage .* could not be found/i, 'build.target names no stage of the Dockerfile'],
  [
    /not found|no such file or directory|failed to walk|lstat/i,
    'COPY and ADD find only what is in the build context: check source.path and .dockerignore',
  ],
];

/**
 * Makes sense of what the engine said. `failedStep` is the step that failed first, null when none did;
 * `folder` is Docker's configuration, for the mend of a registry that wants a sign-in.
 */
export function explainBuildFailure(
  said: string,
  failedStep: string | null,
  dockerfile: string,
  folder: string,
): BuildFailure {
  let reason = redact(said).replace(/\s+/g, ' ').trim();
  while (wrapper.test(reason)) reason = reason.replace(wrapper, '');
  const image = imageStep.exec(failedStep ?? '')?.[1];
  if (image !== undefined)
    return imageFailure(reason, image, failedStep?.startsWith('resolve') === true, folder);
  if (/failed to read dockerfile|cannot locate (?:specified )?dockerfile/i.test(reason)) {
    const text = `: there is no ${dockerfile} in the build context; put one there, or set build.dockerfile`;
    return { code: 'DockerfileMissing', text };
  }
  const exit = /exit (?:code:|status) (\d+)$/.exec(reason)?.[1];
  const where =
    failedStep?.startsWith('[') === true && !failedStep.startsWith('[internal]')
      ? ` in ${redact(failedStep)}`
      : '';
  const mend = mends.find(([pattern]) => pattern.test(reason))?.[1] ?? null;
  const what = exit === undefined ? reason : `exit code ${exit}`;
  return { code: 'BuildFailed', text: `${where}: ${what}${mend === null ? '' : `; ${mend}`}` };
}

function imageFailure(reason: string, image: string, isSyntax: boolean, folder: string): BuildFailure {
  const name = image.split('@')[0] ?? image;
  const mend = pullMend(reason, registryOf(name), folder) ?? 'check its name and tag';
  const who = isSyntax ? `the Dockerfile’s "# syntax" line names ${image}` : `FROM names ${image}`;
  const way = isSyntax ? `take that line out, or ${mend}` : mend;
  return {
    code: isRegistryUnreachable(reason) ? 'ImagePullFailed' : 'BuildFailed',
    text: `: ${who}, which the engine does not have and cannot pull: ${reason}; ${way}`,
  };
}
