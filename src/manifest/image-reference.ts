/** An image reference, read the way Docker reads it: `nginx:1.27` is `docker.io/library/nginx`. */
export interface ImageReference {
  /** Lower case, with a port if there is one. */
  readonly registry: string;
  /** Path in the registry, by segments. */
  readonly repository: readonly string[];
  readonly tag: string | null;
  /** `sha256:…` */
  readonly digest: string | null;
}

const registryPattern =
  /^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:]+\])(?::[0-9]{1,5})?$/i;
const segmentPattern = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;

/** Null when `text` is not a reference that Docker would take. */
export function parseImageReference(text: string): ImageReference | null {
  const [, name = '', digest = null] = /^([^@]*)(?:@(sha256:[0-9a-f]{64}))?$/s.exec(text) ?? [];
  const colon = name.indexOf(':', name.lastIndexOf('/') + 1);
  const tag = colon === -1 ? null : name.slice(colon + 1);
  if (tag !== null && !tagPattern.test(tag)) return null;
  const path = parsePath(colon === -1 ? name : name.slice(0, colon));
  if (path === null || path.repository.length === 0) return null;
  // Docker takes these for the id of an image.
  if (/^(?:sha256:)?[0-9a-f]{64}$/.test(name)) return null;
  return { ...path, tag, digest };
}

/**
 * The beginning of image names: a registry (`ghcr.io`, `localhost:5000`), a path below one as it stands
 * (`ghcr.io/acme`, `docker.io/library`, `docker.io/acme`), or a short name of Docker Hub: `nginx` is the
 * official image alone, `acme/` the namespace, `acme/shop` one image. Null when it is none of these.
 */
export function parseImagePrefix(text: string): Pick<ImageReference, 'registry' | 'repository'> | null {
  const isFolder = text.endsWith('/');
  const parts = (isFolder ? text.slice(0, -1) : text).split('/');
  const first = parts[0] ?? '';
  if (!looksLikeRegistry(first)) {
    if (!parts.every((segment) => segmentPattern.test(segment))) return null;
    const isOfficial = parts.length === 1 && !isFolder;
    return { registry: 'docker.io', repository: isOfficial ? ['library', ...parts] : parts };
  }
  const repository = parts.slice(1);
  if (!registryPattern.test(first) || !repository.every((segment) => segmentPattern.test(segment)))
    return null;
  return { registry: canonicalRegistry(first), repository };
}

export function hasImagePrefix(
  prefix: Pick<ImageReference, 'registry' | 'repository'>,
  image: Pick<ImageReference, 'registry' | 'repository'>,
): boolean {
  return (
    prefix.registry === image.registry &&
    prefix.repository.every((segment, index) => segment === image.repository[index])
  );
}

function parsePath(name: string): Pick<ImageReference, 'registry' | 'repository'> | null {
  const parts = name.split('/');
  const first = parts[0] ?? '';
  const hasRegistry = parts.length > 1 && looksLikeRegistry(first);
  if (hasRegistry && !registryPattern.test(first)) return null;
  const registry = hasRegistry ? canonicalRegistry(first) : 'docker.io';
  const path = hasRegistry ? parts.slice(1) : parts;
  if (!path.every((segment) => segmentPattern.test(segment))) return null;
  const isOfficial = registry === 'docker.io' && path.length === 1;
  return { registry, repository: isOfficial ? ['library', ...path] : path };
}

function looksLikeRegistry(first: string): boolean {
  return first.includes('.') || first.includes(':') || first === 'localhost' || /[A-Z]/.test(first);
}

function canonicalRegistry(host: string): string {
  const lower = host.toLowerCase();
  return lower === 'index.docker.io' || lower === 'registry-1.docker.io' ? 'docker.io' : lower;
}
