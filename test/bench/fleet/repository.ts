import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { git, makeRepository } from '../../support/git.js';

export function projectName(index: number): string {
  return `p${String(index).padStart(5, '0')}`;
}

/** As much as a manifest usually says. Nothing listens on such a port. `domain`: null for the one that its name gives. */
function manifest(name: string, version: string, domain: string | null): string {
  return `apiVersion: pointsman.dev/v1
kind: Project
name: ${name}
image: registry.example.org/team/${name}:1.4.2
run:
  port: 9
  env:
    VERSION: ${version}
    LOG_LEVEL: info
  memory: 256Mi
health:
  path: /health
  bake: 0s
rollout:
  keepPrevious: 0s
${domain === null ? '' : `route:\n  domains:\n    - ${domain}\n`}`;
}

/** A bare repository of `size` manifests, a hundred a folder, in one commit. Resolves to its path. */
export async function createFleet(path: string, size: number): Promise<string> {
  await makeRepository(path, { bare: true });
  const files = Array.from({ length: size }, (_, index) => change(projectName(index), 'v'));
  await fastImport(path, `${commit}${files.join('')}`);
  await git(path, 'repack', '-adq');
  return path;
}

/** Commits another version of one manifest. */
export async function commitManifest(path: string, name: string, version: string): Promise<void> {
  await fastImport(path, `${commit}from refs/heads/main^0\n${change(name, version)}`);
}

/** Commits another domain for each of these projects, all at once. */
export async function commitDomains(path: string, domains: ReadonlyMap<string, string>): Promise<void> {
  const changes = [...domains].map(([name, domain]) => change(name, 'v', domain));
  await fastImport(path, `${commit}from refs/heads/main^0\n${changes.join('')}`);
}

const commit =
  'commit refs/heads/main\ncommitter Bench <bench@example.org> 1767225600 +0000\ndata 6\nbench\n\n';

/** Every second project has a domain of its own. */
function change(
  name: string,
  version: string,
  domain = /[13579]$/.test(name) ? `${name}.example.org` : null,
): string {
  const text = manifest(name, version, domain);
  return `M 644 inline projects/${name.slice(0, 4)}/${name}.yaml\ndata ${Buffer.byteLength(text)}\n${text}\n`;
}

async function fastImport(path: string, stream: string): Promise<void> {
  const child = spawn('git', ['-C', path, 'fast-import', '--quiet'], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  child.stdin.end(stream);
  const [code] = (await once(child, 'close')) as [number];
  if (code !== 0) throw new Error(`git fast-import ended with ${code}`);
}
