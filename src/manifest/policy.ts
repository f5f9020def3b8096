import { hasImagePrefix, parseImagePrefix, parseImageReference } from './image-reference.js';
import type { GitSource, ImageSource } from './project.js';
import { hasRepositoryPrefix, parseRepository } from './repository.js';

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
