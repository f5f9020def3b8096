import { PointsmanError } from '../errors.js';
import { printable } from './entry-name.js';
import { lastLine } from './git-errors.js';
import type { Mirror } from './mirror.js';
import type { GitSource } from './port.js';
import { listingScopes, type Listing, type ListingScope } from './remote.js';

/** What a source follows, as one name: `HEAD` when it names no ref. */
export function nameOf(source: GitSource): string {
  return source.ref ?? 'HEAD';
}

/** The full name in this listing: a branch wins over a tag; `refs/…` and `HEAD` stand for themselves. Null when it is not there. */
export function fullNameOf(listing: Listing, name: string): string | null {
  const candidates = isFullName(name) ? [name] : [`refs/heads/${name}`, `refs/tags/${name}`];
  return candidates.find((candidate) => listing.refs.has(candidate)) ?? null;
}

export function commitOf(listing: Listing, name: string): string | null {
  const full = fullNameOf(listing, name);
  return full === null ? null : (listing.refs.get(full) ?? null);
}

/** The narrowest scope whose listing tells what all these names mean. */
export function scopeOf(names: Iterable<string>): ListingScope {
  for (const name of names) {
    if (isFullName(name) && !/^refs\/(?:heads|tags)\//.test(name)) return 'all';
  }
  return 'branches-and-tags';
}

export function covers(scope: ListingScope, wanted: ListingScope): boolean {
  return listingScopes.indexOf(scope) >= listingScopes.indexOf(wanted);
}

export function missingRef(mirror: Mirror, listing: Listing, source: GitSource): PointsmanError {
  const { display } = mirror.location;
  if (![...listing.refs.keys()].some((name) => name.startsWith('refs/'))) {
    return new PointsmanError('RefMissing', `${display} has no commit yet; push one`);
  }
  const branches = [...listing.refs.keys()].flatMap((name) =>
    name.startsWith('refs/heads/') ? [printable(name.slice(11))] : [],
  );
  const there =
    branches.length === 0
      ? 'it has no branch'
      : `it has ${branches.slice(0, 5).join(', ')}${branches.length > 5 ? ' …' : ''}`;
  if (source.ref === null)
    return new PointsmanError(
      'RefMissing',
      `the HEAD of ${display} points to no branch that is there (${there}); set source.ref`,
    );
  const hint = /^[0-9a-f]{7,64}$/.test(source.ref)
    ? 'a commit goes into source.commit, in full'
    : 'push it, or set source.ref';
  return new PointsmanError(
    'RefMissing',
    `${display} has no branch or tag ${JSON.stringify(source.ref)} (${there}); ${hint}`,
  );
}

/**
 * The tree of the folder `path` (`.` for the root) at a commit.
 * @throws PointsmanError PathMissing, SourceCorrupt
 */
export async function readTreeId(
  mirror: Mirror,
  commit: string,
  path: string,
  signal: AbortSignal,
): Promise<string> {
  if (path === '.') {
    const root = await mirror.run(['rev-parse', '--verify', '--quiet', `${commit}^{tree}`], signal);
    if (root.code !== 0) throw mirror.damage(`commit ${commit} cannot be read`);
    return root.stdout.toString('utf8').trim();
  }
  // ls-tree, unlike `<commit>:<path>`, tells a folder that is not there from one that cannot be read.
  const listing = await mirror.run(
    ['--literal-pathspecs', 'ls-tree', '-z', '--full-tree', commit, '--', path],
    signal,
  );
  if (listing.code !== 0) throw mirror.damage(lastLine(listing.stderr));
  const entry = listing.stdout.toString('utf8').split('\0')[0] ?? '';
  const [, type, oid] = /^\d+ (\w+) ([0-9a-f]{40})\t/.exec(entry) ?? [];
  if (oid === undefined || type !== 'tree') {
    const what =
      oid === undefined
        ? 'has no folder'
        : `has a ${type === 'commit' ? 'submodule' : 'file'}, not a folder, at`;
    throw new PointsmanError(
      'PathMissing',
      `${mirror.location.display} ${what} ${JSON.stringify(path)} at commit ${commit.slice(0, 12)}; set source.path`,
    );
  }
  const there = await mirror.run(['cat-file', '-e', oid], signal);
  if (there.code !== 0) throw mirror.damage(`tree ${oid} is missing`);
  return oid;
}

function isFullName(name: string): boolean {
  return name === 'HEAD' || name.startsWith('refs/');
}
