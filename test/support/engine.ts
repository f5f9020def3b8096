import type { Readable } from 'node:stream';
import Docker from 'dockerode';
import pino from 'pino';
import tar from 'tar-stream';
import { systemClock, type Clock } from '../../src/clock.js';
import type { BuildSpec } from '../../src/manifest/project.js';
import { DockerRuntime } from '../../src/runtime/docker-runtime.js';
import { containerName, instanceLabel, projectLabel } from '../../src/runtime/labels.js';
import type { ContainerSpec, NetworkFacts } from '../../src/runtime/port.js';

/** The engine that integration tests use. */
export const engineSocket =
  (process.env['DOCKER_HOST'] ?? '').replace(/^unix:\/\//, '') || '/var/run/docker.sock';

/** The test's own way to the engine, beside the one under test. */
export const engine = new Docker({ socketPath: engineSocket });

export function testRuntime(
  instance: string,
  addressPool: string,
  socket = engineSocket,
  clock: Clock = systemClock,
): DockerRuntime {
  const settings = { instance, docker: { socket, addressPool } };
  return new DockerRuntime({ settings, log: pino({ level: 'silent' }), clock });
}

/** A build context as the engine takes it: file names and their text. */
export function contextOf(files: Readonly<Record<string, string>>): Readable {
  const pack = tar.pack();
  for (const [name, text] of Object.entries(files)) pack.entry({ name }, text);
  pack.finalize();
  return pack as unknown as Readable;
}

export const plainBuild: BuildSpec = { dockerfile: 'Dockerfile', target: null, args: {}, timeoutMs: 120_000 };

/** A container as a deployment would ask for it: the blue slot, running `command`, with plain defaults. */
export function containerSpec(
  instance: string,
  network: NetworkFacts,
  image: string,
  command: readonly string[] | null,
  change: Partial<ContainerSpec> = {},
): ContainerSpec {
  return {
    name: containerName(network.project, 'blue'),
    labels: {
      instance,
      project: network.project,
      role: 'blue',
      revision: 'r1',
      imageKey: 'k1',
      configCommit: 'c1',
      sourceCommit: null,
      deployment: 'd1',
      spec: '{}',
    },
    image,
    network,
    address: network.addresses.blue,
    command,
    env: {},
    volumes: [],
    memoryBytes: null,
    cpus: null,
    pids: 512,
    user: null,
    readOnly: false,
    stopTimeoutMs: 1000,
    restartPolicy: 'no',
    ...change,
  };
}

/** Everything that carries the label of `instance`, for people: `container pointsman-shop-blue`. */
export async function leaks(instance: string): Promise<readonly string[]> {
  const filters = { label: [`${instanceLabel}=${instance}`] };
  const [containers, networks, volumes, images] = await Promise.all([
    engine.listContainers({ all: true, filters }),
    engine.listNetworks({ filters }),
    engine.listVolumes({ filters }),
    engine.listImages({ filters }),
  ]);
  return [
    ...containers.map((each) => `container ${each.Names.join(' ')}`),
    ...networks.map((each) => `network ${each.Name}`),
    ...(volumes.Volumes ?? []).map((each) => `volume ${each.Name}`),
    ...images.map((each) => `image ${(each.RepoTags ?? [each.Id]).join(' ')}`),
  ];
}

/**
 * Removes all that carries the label of `instance`, and every image tagged for one of its projects
 * (pulled images carry no label). `projects` adds those that have neither container nor network left.
 */
export async function cleanInstance(instance: string, projects: readonly string[] = []): Promise<void> {
  const filters = { label: [`${instanceLabel}=${instance}`] };
  const containers = await engine.listContainers({ all: true, filters });
  const networks = await engine.listNetworks({ filters });
  const known = new Set(projects);
  for (const { Labels } of [...containers, ...networks]) known.add(Labels?.[projectLabel] ?? '');
  for (const each of containers) await gone(engine.getContainer(each.Id).remove({ force: true, v: true }));
  for (const each of networks) await gone(engine.getNetwork(each.Id).remove());
  const volumes = await engine.listVolumes({ filters });
  for (const each of volumes.Volumes ?? []) await gone(engine.getVolume(each.Name).remove({ force: true }));
  const labelled = await engine.listImages({ filters });
  const tagged = await engine.listImages({ filters: { reference: ['pointsman/*'] } });
  for (const image of labelled) await gone(engine.getImage(image.Id).remove({ force: true }));
  for (const tag of tagged.flatMap((image) => image.RepoTags ?? [])) {
    if (known.has(/^pointsman\/([^:]+):/.exec(tag)?.[1] ?? ''))
      await gone(engine.getImage(tag).remove({ force: true }));
  }
}

async function gone(removal: Promise<unknown>): Promise<void> {
  try {
    await removal;
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode !== 404) throw error;
  }
}
