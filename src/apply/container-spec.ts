import { PointsmanError } from '../errors.js';
import type { Project, Slot } from '../manifest/project.js';
import { revision, unprobedRevision } from '../manifest/keys.js';
import { serialiseSpec } from '../manifest/spec.js';
import { containerName, volumeName } from '../runtime/labels.js';
import type { Identity } from '../observe/observed.js';
import type { ContainerSpec, NetworkFacts } from '../runtime/port.js';
import { Superseded } from './context.js';
import type { PassContext } from './context.js';
import type { DeployState } from './deploy.js';
import type { Deployment } from './deployment.js';

/** The container of a deployment, candidate or release. @throws Superseded when a secret changed since it was planned */
export async function containerSpec(
  deployment: Deployment,
  state: DeployState,
  role: Slot | 'release',
): Promise<ContainerSpec> {
  const { context, step } = deployment;
  const { target } = step;
  if (state.image === null)
    throw new PointsmanError(
      'StartFailed',
      `image ${target.tag} is gone: it is built or pulled again at the next attempt`,
    );
  const { run, release, source } = target.project;
  const secrets = await context.secrets.read(context.project, run.secrets);
  const image = source.kind === 'git' ? target.imageKey : state.image;
  if (revision({ image, run, release, secretsHash: secrets.hash }) !== target.revision)
    throw new Superseded('a changed secret');
  const identity: Identity = {
    revision: target.revision,
    imageKey: target.imageKey,
    image: state.image,
    configCommit: target.configCommit,
    sourceCommit: target.sourceCommit,
    deployment: deployment.id,
    spec: target.project,
  };
  const network = await context.runtime.ensureNetwork(context.project);
  return specOf(context, identity, role, network, secrets.values, 'no');
}

/**
 * The live container again, as its identity says. Its old secret values are gone with it when they changed
 * since: it serves with today's, under a revision of its own. So the plan deploys the wanted revision with
 * release and probes, and a revert to the old one never takes this container for it.
 */
export async function identitySpec(
  context: PassContext,
  identity: Identity,
  slot: Slot,
): Promise<ContainerSpec> {
  const secrets = await context.secrets.read(context.project, identity.spec.run.secrets);
  const made = { ...identity, revision: revisionOfAnother(identity, secrets.hash) };
  if (made.revision !== identity.revision) {
    const { project, log } = context;
    log.warn({ project, slot }, 'secrets changed since: the live container is made again with the new ones');
  }
  const network = await context.runtime.ensureNetwork(context.project);
  return specOf(context, made, slot, network, secrets.values, 'unless-stopped');
}

/** Of a container that is made again from `identity`: its own while the secrets are still the same. */
function revisionOfAnother({ spec, ...identity }: Identity, secretsHash: string | null): string {
  const { run, release, source } = spec;
  const image = source.kind === 'git' ? identity.imageKey : identity.image;
  const contents = { image, run, release, secretsHash };
  return revision(contents) === identity.revision ? identity.revision : unprobedRevision(contents);
}

function specOf(
  context: PassContext,
  identity: Identity,
  role: Slot | 'release',
  network: NetworkFacts,
  secrets: Readonly<Record<string, string>>,
  restartPolicy: ContainerSpec['restartPolicy'],
): ContainerSpec {
  const { project, settings } = context;
  const { run } = identity.spec satisfies Project;
  return {
    name: containerName(project, role),
    labels: {
      instance: settings.instance,
      project,
      role,
      revision: identity.revision,
      imageKey: identity.imageKey,
      configCommit: identity.configCommit,
      sourceCommit: identity.sourceCommit,
      deployment: identity.deployment,
      spec: serialiseSpec(identity.spec),
    },
    image: identity.image,
    network,
    address: role === 'release' ? null : network.addresses[role],
    command: run.command,
    env: { ...run.env, ...secrets, PORT: String(run.port) },
    volumes: run.volumes.map((volume) => ({ volume: volumeName(project, volume.name), path: volume.path })),
    memoryBytes: run.memoryBytes,
    cpus: run.cpus,
    pids: run.pids,
    user: run.user,
    readOnly: run.readOnly,
    stopTimeoutMs: run.stopTimeoutMs,
    restartPolicy,
  };
}
