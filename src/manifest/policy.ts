import { hasImagePrefix, parseImagePrefix, parseImageReference } from './image-reference.js';
import type { GitSource, ImageSource } from './project.js';
import { shown } from './problems.js';
import { hasRepositoryPrefix, parseRepository } from './repository.js';

/** What may run on this server: allowed prefixes; an empty list allows any. */
export interface Policy {
  readonly sources: readonly string[];
  readonly images: readonly string[];
}

/** What may read a Dockerfile in BuildKit's place: allowed prefixes of images; an empty list allows none. */
export interface BuildPolicy {
  readonly frontends: readonly string[];
}

/** Why `source` may not run here, with the mend; null when it may. */
export function policyRefusal(policy: Policy, source: GitSource | ImageSource): string | null {
  const [prefixes, value, setting] =
    source.kind === 'git'
      ? ([policy.sources, source.repo, 'policy.sources'] as const)
      : ([policy.images, source.image, 'policy.images'] as const);
  if (policyAllows(prefixes, source)) return null;
  return `${value} is not allowed by ${setting} on this server: use an allowed one, or have its prefix added`;
}

/** Why the Dockerfile at `path` may not be read by the image that it names, with the mend; null when it may. */
export function frontendRefusal({ frontends }: BuildPolicy, path: string, frontend: string): string | null {
  if (frontends.some((prefix) => isImageBelow(prefix, frontend))) return null;
  return `${path} asks for the syntax ${JSON.stringify(shown(frontend, 200))}, which is not allowed by policy.frontends on this server: take its syntax line out, use an allowed one, or have its prefix added`;
}

/**
 * Whether `source` begins with one of `prefixes`: those of `policy.sources` for a Git source, those of
 * `policy.images` for an image. An empty list allows any. What cannot be parsed is never allowed.
 */
export function policyAllows(prefixes: readonly string[], source: GitSource | ImageSource): boolean {
  if (prefixes.length === 0) return true;
  return source.kind === 'git'
    ? prefixes.some((prefix) => isRepositoryBelow(prefix, source.repo))
    : prefixes.some((prefix) => isImageBelow(prefix, source.image));
}

/** Whether the address `repository` has the scheme, host, port and leading path segments of `prefix`. */
export function isRepositoryBelow(prefix: string, repository: string): boolean {
  const outer = parseRepository(prefix, 'prefix');
  const inner = parseRepository(repository);
  return outer.ok && inner.ok && hasRepositoryPrefix(outer.address, inner.address);
}

/** Whether `image` has the registry and leading path segments of `prefix`, in Docker's long form. */
export function isImageBelow(prefix: string, image: string): boolean {
  const outer = parseImagePrefix(prefix);
  const inner = parseImageReference(image);
  return outer !== null && inner !== null && hasImagePrefix(outer, inner);
}
