import { drainMs } from './world/invariants.js';

/** What the manifests of the simulation say. */
export interface Manifest {
  readonly name: string;
  readonly version: number;
  readonly domain: string;
  readonly suspend?: boolean;
  readonly release?: boolean;
  readonly commit?: string | null;
  /** Runs this instead of a build. */
  readonly image?: string;
  readonly secrets?: readonly string[];
}

export function manifestText(manifest: Manifest): string {
  const { name, version, domain, suspend = false, release = false, commit = null } = manifest;
  const { image, secrets = [] } = manifest;
  const pin = commit === null ? '' : `, commit: "${commit}"`;
  return [
    'apiVersion: pointsman.dev/v1',
    'kind: Project',
    `name: ${name}`,
    ...(suspend ? ['suspend: true'] : []),
    image === undefined ? `source: { repo: /apps/${name}.git${pin} }` : `image: ${image}`,
    `run: { env: { VERSION: "v${version}" }${secrets.length === 0 ? '' : `, secrets: [${secrets.join(', ')}]`} }`,
    ...(release ? ['release: { command: ["migrate"] }'] : []),
    'health: { within: 10s, bake: 3s }',
    `route: { domains: [${domain}] }`,
    `rollout: { drain: ${drainMs / 1000}s, keepPrevious: 30s }`,
    '',
  ].join('\n');
}
