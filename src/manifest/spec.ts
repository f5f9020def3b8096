import { defaults } from './defaults.js';
import type { Project } from './project.js';
import { isProject } from './spec-shape.js';

const version = 1;

/** The normalised manifest as one line of JSON: what a container's `.spec` label holds. No secret values. */
export function serialiseSpec(project: Project): string {
  return JSON.stringify({ version, ...project });
}

/**
 * Reads what `serialiseSpec` wrote, also what another version of Pointsman wrote: a field that it did not
 * know gets its default, one that we do not know is left out. Null for anything else.
 */
export function parseSpec(text: string): Project | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isRecord(value) || value['version'] !== version) return null;
  const { release, route } = value;
  const project = {
    name: value['name'],
    suspend: value['suspend'] ?? defaults.suspend,
    source: readSource(value['source']),
    run: completed(value['run'], defaults.run),
    release: isRecord(release)
      ? { command: release['command'], ...(completed(release, defaults.release) as object) }
      : (release ?? null),
    health: completed(value['health'], defaults.health),
    route: isRecord(route)
      ? { domains: route['domains'], ...(completed(route, defaults.route) as object) }
      : route,
    rollout: completed(value['rollout'], defaults.rollout),
  };
  return isProject(project) ? project : null;
}

function readSource(source: unknown): unknown {
  if (!isRecord(source)) return source;
  const { kind } = source;
  if (kind === 'image') return { kind, image: source['image'] };
  return {
    kind,
    repo: source['repo'],
    ...(completed(source, defaults.source) as object),
    build: completed(source['build'], defaults.build),
  };
}

/** The fields of `table`, from `value` where it has them. What is no object stays, for `isProject` to refuse. */
function completed(value: unknown, table: Readonly<object>): unknown {
  if (value === undefined) return table;
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(table).map(([key, byDefault]) => [
      key,
      Object.hasOwn(value, key) ? value[key] : (byDefault as unknown),
    ]),
  );
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
