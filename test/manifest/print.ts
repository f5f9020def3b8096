import { stringify } from 'yaml';
import type { Project } from '../../src/manifest/project.js';
import type { WrittenProject } from '../../src/manifest/written.generated.js';

/** The written form of `project`, with every field spelled out. */
export function written(project: Project): WrittenProject {
  const { name, suspend, source, run, release, health, route, rollout } = project;
  return {
    apiVersion: 'pointsman.dev/v1',
    kind: 'Project',
    name,
    suspend,
    ...(source.kind === 'image' ? { image: source.image } : writtenSource(source)),
    run: {
      port: run.port,
      ...ifSet('command', run.command),
      env: run.env,
      secrets: [...run.secrets],
      volumes: [...run.volumes],
      ...ifSet('memory', run.memoryBytes === null ? null : `${run.memoryBytes / 1024}Ki`),
      ...ifSet('cpus', run.cpus),
      pids: run.pids,
      ...ifSet('user', run.user),
      readOnly: run.readOnly,
      stopTimeout: `${run.stopTimeoutMs}ms`,
    },
    ...(release === null
      ? {}
      : { release: { command: [...release.command], timeout: `${release.timeoutMs}ms` } }),
    health: {
      ...ifSet('path', health.path),
      status: `${health.status.from}-${health.status.to}`,
      ...ifSet('interval', health.intervalMs === null ? null : `${health.intervalMs}ms`),
      timeout: `${health.timeoutMs}ms`,
      successes: health.successes,
      within: `${health.withinMs}ms`,
      bake: `${health.bakeMs}ms`,
      failures: health.failures,
    },
    route: {
      domains: [...route.domains],
      maxBody: `${route.maxBodyBytes / 1024}k`,
      readTimeout: `${route.readTimeoutMs}ms`,
    },
    rollout: { drain: `${rollout.drainMs}ms`, keepPrevious: `${rollout.keepPreviousMs}ms` },
  } as WrittenProject;
}

/** A manifest that declares `project`. */
export function print(project: Project, options: { readonly flow?: boolean } = {}): string {
  const form = options.flow === true ? JSON.stringify(written(project)) : stringify(written(project));
  return form.endsWith('\n') ? form : `${form}\n`;
}

function writtenSource(source: Extract<Project['source'], { kind: 'git' }>) {
  const { repo, ref, commit, path, build } = source;
  return {
    source: { repo, ...ifSet('ref', ref), ...ifSet('commit', commit), path },
    build: {
      dockerfile: build.dockerfile,
      ...ifSet('target', build.target),
      args: build.args,
      timeout: `${build.timeoutMs}ms`,
    },
  };
}

function ifSet(key: string, value: unknown): object {
  return value === null ? {} : { [key]: value };
}
