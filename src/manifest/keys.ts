/**
 * The three content keys. Each hashes only what differs from its default, so that spelling a default
 * out, reformatting, or a controller that knows more fields changes none of them. All keys carry
 * the number of this scheme: a change of how they are made has to be told from a change of what they cover.
 */
import { createHash } from 'node:crypto';
import { defaults } from './defaults.js';
import type { GitSource, ImageSource, Project, RouteSpec, RunSpec, Slot } from './project.js';
import { canonicalRepository } from './repository.js';

const scheme = 1;

/** Of a built image: repository, Git tree id of the build context, and `build` without its timeout. 24 hex digits. */
export function imageKey(source: GitSource, tree: string): string {
  // How long a build may take does not change what it makes.
  const build = { ...source.build, timeoutMs: defaults.build.timeoutMs };
  return hash('build', {
    repository: canonicalRepository(source.repo),
    tree,
    ...changedFields(build, defaults.build),
  });
}

/** Of an image that is not built: its name as written. 24 hex digits. */
export function imageKeyOf(source: ImageSource): string {
  return hash('image', { image: source.image });
}

export interface RevisionInput {
  /** Image key of a built image; image id or digest of another one. */
  readonly image: string;
  readonly run: RunSpec;
  readonly release: Project['release'];
  /** Keyed hash of the secret values; null without secrets. */
  readonly secretsHash: string | null;
}

/** Of everything that decides what runs. 24 hex digits. */
export function revision({ image, run, release, secretsHash }: RevisionInput): string {
  // Their order means nothing to the container. Secrets are in order already.
  const volumes = [...run.volumes].sort((a, b) => (a.path < b.path ? -1 : 1));
  return hash('revision', {
    image,
    ...ifAny('run', changedFields({ ...run, volumes }, defaults.run)),
    ...(release === null ? {} : { release: changedFields(release, defaults.release) }),
    ...(secretsHash === null ? {} : { secrets: secretsHash }),
  });
}

/**
 * Of a live container that had to be made again with other secret values than its revision has: what it runs
 * was never probed, so this is no revision that a manifest can ask for. 24 hex digits.
 */
export function unprobedRevision(input: RevisionInput): string {
  return hash('unprobed', { revision: revision(input) });
}

/** Of a site file: `route` and the addresses of both slots. 24 hex digits. */
export function routeKey(route: RouteSpec, upstreams: Readonly<Record<Slot, string>>): string {
  return hash('route', { route: changedFields(route, defaults.route), upstreams });
}

/** The fields of `value` that differ from `defaultValues`; a field that has no default there always does. */
export function changedFields(
  value: Readonly<object>,
  defaultValues: Readonly<object>,
): Readonly<Record<string, unknown>> {
  const known = new Map(Object.entries(defaultValues).map(([key, each]) => [key, canonicalJson(each)]));
  return Object.fromEntries(
    Object.entries(value).filter(
      ([key, each]) => each !== undefined && canonicalJson(each) !== known.get(key),
    ),
  );
}

function ifAny(key: string, fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.keys(fields).length === 0 ? {} : { [key]: fields };
}

function hash(kind: string, covered: Readonly<Record<string, unknown>>): string {
  const text = canonicalJson({ scheme, kind, covered });
  return createHash('sha256').update(text).digest('hex').slice(0, 24);
}

/** JSON with the keys of every object in order and without undefined ones. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value)
    .filter(([, each]) => each !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, each]) => `${JSON.stringify(key)}:${canonicalJson(each)}`).join(',')}}`;
}
