import type { Logger } from 'pino';
import type { Clock } from '../clock.js';
import type { Settings } from '../settings/settings.js';
import { buildImage } from './build.js';
import { Containers } from './containers.js';
import { EngineClient } from './engine-client.js';
import { readEvents } from './events.js';
import { Images } from './images.js';
import { readLogs, tailOf } from './logs.js';
import { Networks } from './networks.js';
import type {
  BuildProgress,
  BuildRequest,
  ContainerFacts,
  ContainerRuntime,
  ContainerSpec,
  EngineFacts,
  ImageFacts,
  NameHolder,
  LogChunk,
  NetworkFacts,
  RuntimeEvent,
} from './port.js';

export interface DockerRuntimeDeps {
  readonly settings: Pick<Settings, 'instance' | 'docker'>;
  readonly log: Logger;
  readonly clock: Clock;
}

/**
 * The Docker engine, through its API. Connects for each call, so that it can be made before the engine
 * runs and goes on after its restart; holds nothing that has to be closed.
 */
export class DockerRuntime implements ContainerRuntime {
  readonly #client: EngineClient;
  readonly #containers: Containers;
  readonly #networks: Networks;
  readonly #images: Images;
  readonly #deps: DockerRuntimeDeps;
  #hasInit: boolean | null = null;

  constructor(deps: DockerRuntimeDeps) {
    const { settings, log, clock } = deps;
    const { instance, docker } = settings;
    const client = new EngineClient(docker.socket, clock);
    this.#deps = deps;
    this.#client = client;
    this.#containers = new Containers({ client, instance, log, hasInit: () => this.#engineHasInit() });
    this.#networks = new Networks({ client, instance, addressPool: docker.addressPool, log });
    this.#images = new Images({ client, instance });
  }

  async engine(): Promise<EngineFacts> {
    const info = (await this.#client.read('describe itself', (docker) => docker.info())) as EngineInfo;
    // The engine runs its init binary to learn its version; this is its word for "could not".
    this.#hasInit = info.InitCommit?.ID !== 'N/A';
    return {
      id: info.ID ?? '',
      version: info.ServerVersion ?? '',
      liveRestore: info.LiveRestoreEnabled === true,
      hasInit: this.#hasInit,
    };
  }

  containers(project?: string): Promise<readonly ContainerFacts[]> {
    return this.#containers.list(project);
  }

  container(id: string): Promise<ContainerFacts | null> {
    return this.#containers.find(id);
  }

  nameHolder(name: string): Promise<NameHolder | null> {
    return this.#containers.holder(name);
  }

  network(project: string): Promise<NetworkFacts | null> {
    return this.#networks.find(project);
  }

  async projects(): Promise<readonly string[]> {
    const [ofContainers, networks] = await Promise.all([this.#containers.projects(), this.#networks.list()]);
    return [...new Set([...ofContainers, ...networks.map(({ project }) => project)])];
  }

  ensureNetwork(project: string): Promise<NetworkFacts> {
    return this.#networks.ensure(project);
  }

  removeNetwork(project: string): Promise<void> {
    return this.#networks.remove(project);
  }

  image(reference: string): Promise<ImageFacts | null> {
    return this.#images.find(reference);
  }

  images(project?: string): Promise<readonly ImageFacts[]> {
    return this.#images.list(project);
  }

  tag(image: string, tag: string): Promise<void> {
    return this.#images.tag(image, tag);
  }

  removeImage(tag: string): Promise<boolean> {
    return this.#images.remove(tag);
  }

  pull(reference: string, onProgress: (line: string) => void, signal: AbortSignal): Promise<void> {
    return this.#images.pull(reference, onProgress, signal);
  }

  build(
    request: BuildRequest,
    onProgress: (line: BuildProgress) => void,
    signal: AbortSignal,
  ): Promise<string> {
    return buildImage(this.#client, request, onProgress, signal);
  }

  create(spec: ContainerSpec): Promise<string> {
    return this.#containers.create(spec);
  }

  start(id: string): Promise<void> {
    return this.#containers.start(id);
  }

  stop(id: string, timeoutMs: number): Promise<void> {
    return this.#containers.stop(id, timeoutMs);
  }

  remove(id: string): Promise<void> {
    return this.#containers.remove(id);
  }

  setRestartPolicy(id: string, policy: 'no' | 'unless-stopped'): Promise<void> {
    return this.#containers.setRestartPolicy(id, policy);
  }

  waitForExit(id: string, signal: AbortSignal): Promise<number> {
    return this.#containers.waitForExit(id, signal);
  }

  tail(id: string, lines: number): Promise<readonly string[]> {
    return tailOf(this.#client, id, lines);
  }

  logs(
    id: string,
    options: { readonly follow: boolean; readonly tail: number | null },
    signal: AbortSignal,
  ): AsyncIterable<LogChunk> {
    return readLogs(this.#client, id, options, signal);
  }

  events(signal: AbortSignal): AsyncIterable<RuntimeEvent> {
    const { settings, clock } = this.#deps;
    return readEvents(
      { client: this.#client, instance: settings.instance, clock, networks: () => this.#networks.list() },
      signal,
    );
  }

  async #engineHasInit(): Promise<boolean> {
    return this.#hasInit ?? (await this.engine()).hasInit;
  }
}

interface EngineInfo {
  readonly ID?: string;
  readonly ServerVersion?: string;
  readonly LiveRestoreEnabled?: boolean;
  readonly InitCommit?: { readonly ID?: string };
}
