import { PointsmanError } from '../errors.js';
import type { Git } from './git.js';
import { refFolders } from './local-refs.js';
import type { Mirror } from './mirror.js';

/** What git itself takes for the beginning of a hash. */
const shortHash = /^[0-9a-f]{4,39}$/;

/**
 * The whole hash of the commit that `text` begins: of those in the mirror, and in the repository itself when
 * it is on this machine; else of the tips of branches and tags. What is no short hash is given back as it is.
 * @throws PointsmanError CommitMissing when there is none or more than one, SourceUnreachable, UnsupportedRepository
 */
export async function wholeHash(
  text: string,
  mirror: Pick<Mirror, 'path' | 'location' | 'list'>,
  git: Git,
  signal: AbortSignal,
): Promise<string> {
  if (!shortHash.test(text)) return text;
  const { location } = mirror;
  const folders = [mirror.path];
  if (location.transport === 'local') folders.push(...(await refFolders(location.url)).slice(0, 1));
  const found = new Set<string>();
  for (const folder of folders)
    for (const hash of await commitsIn(folder, text, git, signal)) found.add(hash);
  if (found.size === 0) {
    const { refs } = await mirror.list('branches-and-tags', signal);
    for (const hash of refs.values()) if (hash.startsWith(text)) found.add(hash);
  }
  const [only, ...others] = [...found].sort();
  if (only === undefined) {
    throw new PointsmanError(
      'CommitMissing',
      `no commit of ${location.display} that begins with ${text} is known here; write all 40 hex digits`,
    );
  }
  if (others.length === 0) return only;
  const some = [only, ...others].slice(0, 5).join(', ');
  throw new PointsmanError(
    'CommitMissing',
    `${found.size} commits of ${location.display} begin with ${text}: ${some}; write more digits`,
  );
}

/** Those whose hash begins with `text`; none where there is no repository. */
async function commitsIn(
  folder: string,
  text: string,
  git: Git,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const objects = await git.runIn(folder, ['rev-parse', `--disambiguate=${text}`], { signal });
  if (objects.code !== 0) return [];
  const input = objects.stdout.toString('utf8');
  const types = await git.runIn(folder, ['cat-file', '--batch-check'], { signal, input });
  return [...types.stdout.toString('utf8').matchAll(/^([0-9a-f]{40}) commit /gm)].flatMap(
    ([, hash]) => hash ?? [],
  );
}
