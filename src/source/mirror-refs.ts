import { createHash } from 'node:crypto';
import type { GitResult } from './git.js';

/** `commits/<hash>` keeps a fetched commit. Under `refs/heads/` git itself refuses whatever is no commit. */
export const commits = 'refs/heads/commits';
/** `last/<refNameHash>` is what the ref of that name meant when it was last resolved. */
export const last = 'refs/pointsman/last';
/** Branches and tags of a server that hands out nothing but those. */
export const full = 'refs/pointsman/full';
/** Where a ref is fetched to before its commit is known. */
export const incoming = 'refs/pointsman/incoming';

/**
 * How long unreachable objects stay after they were written: someone may be reading them. `manifests`: they are
 * read right after their commit was fetched, and each commit that stays makes the next fetch dearer, since git
 * names every shallow commit that it has to the server. `builds`: a build may stream a large context for long.
 */
export const graceSeconds = { manifests: 60, builds: 3_600 };
const packTimeoutMs = 5 * 60_000;

/** Names come from manifests and servers; their hash is always a valid part of a ref. */
export function refNameHash(name: string): string {
  return createHash('sha256').update(name).digest('hex').slice(0, 24);
}

/** Runs git on the mirror that is collected. */
export type MirrorRun = (args: readonly string[], input?: string, timeoutMs?: number) => Promise<GitResult>;

/**
 * Deletes our refs that nothing needs, then packs. Kept: commits in `keep`, records of the refs called
 * `names` (all when null), and the commits those records point to. Objects that nothing keeps go when they
 * were written more than `graceOfObjects` seconds ago.
 */
export async function collectMirror(
  run: MirrorRun,
  keep: ReadonlySet<string>,
  names: ReadonlySet<string> | null,
  graceOfObjects: number,
): Promise<void> {
  const listed = await run(['for-each-ref', '--format=%(refname) %(objectname)']);
  if (listed.code !== 0) return;
  const refs = listed.stdout
    .toString('utf8')
    .split('\n')
    .flatMap((line) => {
      const [ref, hash] = line.split(' ');
      return ref === undefined || hash === undefined ? [] : [{ ref, hash }];
    });
  const wanted = names === null ? null : new Set([...names].map((name) => `${last}/${refNameHash(name)}`));
  const isRecord = (ref: string): boolean => ref.startsWith(`${last}/`) && (wanted?.has(ref) ?? true);
  const needed = new Set([...keep, ...refs.flatMap(({ ref, hash }) => (isRecord(ref) ? [hash] : []))]);
  const gone = refs.filter(
    ({ ref, hash }) => !isRecord(ref) && !(ref.startsWith(`${commits}/`) && needed.has(hash)),
  );
  if (gone.length > 0)
    await run(['update-ref', '--stdin'], gone.map(({ ref }) => `delete ${ref}\n`).join(''));
  const counts = await run(['count-objects', '-v']);
  if (gone.length === 0 && !isUntidy(counts.stdout.toString('utf8'))) return;
  await run(['gc', '--quiet', '--force', `--prune=${graceOfObjects}.seconds.ago`], undefined, packTimeoutMs);
}

/** Many loose objects or packs, or what a killed git left behind. */
function isUntidy(counts: string): boolean {
  const value = (name: string): number => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(counts)?.[1] ?? 0);
  return value('count') > 500 || value('packs') > 8 || value('garbage') > 0;
}
