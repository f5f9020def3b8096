import { PointsmanError, isAbort, messageOf } from '../errors.js';
import type { ErrorCode } from '../errors.js';
import { imageKey, imageKeyOf, revision } from '../manifest/keys.js';
import { policyRefusal } from '../manifest/policy.js';
import type { Policy } from '../manifest/policy.js';
import type { DeclaredProject, Project } from '../manifest/project.js';
import { imageRepository } from '../runtime/labels.js';
import type { ContainerRuntime } from '../runtime/port.js';
import type { ResolvedSource, SourceRepository } from '../source/port.js';
import type { SecretFiles } from './secrets.js';
import type { Want } from './want.js';

export interface ResolveDeps {
  readonly sources: SourceRepository;
  readonly runtime: Pick<ContainerRuntime, 'image'>;
  readonly secrets: SecretFiles;
  readonly policy: Policy;
}

/**
 * Tells the revision that a declared project means now. Fetches into mirrors where it must; changes
 * nothing else. A failure is a `Want` of its own, so that the planner can say what stays as it is.
 * Rejects only for an abort and when the engine does not answer.
 */
export async function resolveProject(
  declared: DeclaredProject,
  configCommit: string,
  deps: ResolveDeps,
  signal: AbortSignal,
): Promise<Want> {
  const { project } = declared;
  try {
    refuseByPolicy(project, deps.policy);
    return await resolveRevision(project, configCommit, deps, signal);
  } catch (error) {
    if (isAbort(error, signal)) throw error;
    if (error instanceof PointsmanError && error.code !== 'DockerUnavailable') {
      return unresolved(project, configCommit, error.code, messageOf(error));
    }
    throw error;
  }
}

function unresolved(project: Project, configCommit: string, code: ErrorCode, message: string): Want {
  return { kind: 'unresolved', project, configCommit, code, message };
}

function refuseByPolicy(project: Project, policy: Policy): void {
  const refusal = policyRefusal(policy, project.source);
  if (refusal !== null) throw new PointsmanError('PolicyRefused', refusal);
}

async function resolveRevision(
  project: Project,
  configCommit: string,
  deps: ResolveDeps,
  signal: AbortSignal,
): Promise<Want> {
  const { source } = project;
  const resolved: ResolvedSource | null =
    source.kind === 'git' ? await deps.sources.resolve(source, signal) : null;
  const key =
    source.kind === 'git' ? imageKey(source, (resolved as ResolvedSource).tree) : imageKeyOf(source);
  const tag = `${imageRepository(project.name)}:${key}`;
  const image = (await deps.runtime.image(tag))?.id ?? null;
  if (source.kind === 'image' && image === null) return { kind: 'unpulled', project, configCommit, tag };
  const secrets = await deps.secrets.read(project.name, project.run.secrets);
  return {
    kind: 'resolved',
    project,
    configCommit,
    sourceCommit: resolved?.commit ?? null,
    tree: resolved?.tree ?? null,
    imageKey: key,
    tag,
    image,
    revision: revision({
      image: source.kind === 'git' ? key : (image as string),
      run: project.run,
      release: project.release,
      secretsHash: secrets.hash,
    }),
    warning: resolved?.stale ?? null,
  };
}
