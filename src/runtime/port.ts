import type { Readable } from 'node:stream';
import type { BuildSpec, Slot } from '../manifest/project.js';

/** `dev.pointsman.<key>` on everything that is ours. */
export interface ContainerLabels {
  readonly instance: string;
  readonly project: string;
  /** `release` for the one-off container of the release command. */
  readonly role: Slot | 'release';
  readonly revision: string;
  readonly imageKey: string;
  readonly configCommit: string;
  readonly sourceCommit: string | null;
  readonly deployment: string;
  /** The normalised manifest as JSON, without secret values. */
  readonly spec: string;
}

export interface ContainerFacts {
  readonly id: string;
  /** Without the leading slash. */
  readonly name: string;
  /** `sha256:…` */
  readonly image: string;
  readonly state: 'created' | 'running' | 'paused' | 'restarting' | 'removing' | 'exited' | 'dead';
  readonly exitCode: number | null;
  readonly outOfMemory: boolean;
  /** Milliseconds since the epoch; null when it never started. */
  readonly startedAt: number | null;
  readonly createdAt: number;
  /** How often its restart policy restarted it. */
  readonly restartCount: number;
  readonly restartPolicy: string;
  /** In the project's network; null when not attached. Known for stopped containers too. */
  readonly address: string | null;
  readonly labels: ContainerLabels;
}

export interface NetworkFacts {
  readonly id: string;
  readonly name: string;
  readonly project: string;
  /** `10.213.0.0/28` */
  readonly subnet: string;
  /** Host address of `.2` and `.3`. */
  readonly addresses: Readonly<Record<Slot, string>>;
}

export interface ImageFacts {
  /** `sha256:…` */
  readonly id: string;
  readonly tags: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** Of the ports that the image declares, for hints. */
  readonly exposedPorts: readonly number[];
}

export interface EngineFacts {
  readonly id: string;
  readonly version: string;
  readonly liveRestore: boolean;
  /** False when the engine has no init binary: containers then start without one. */
  readonly hasInit: boolean;
}

/** What a container is made of. Run defaults of SPEC section 9 are the adapter's. */
export interface ContainerSpec {
  readonly name: string;
  readonly labels: ContainerLabels;
  /** Image id. */
  readonly image: string;
  readonly network: NetworkFacts;
  /** Fixed address; null lets the engine choose (release containers). */
  readonly address: string | null;
  readonly command: readonly string[] | null;
  /** Complete: `PORT`, manifest and secrets. */
  readonly env: Readonly<Record<string, string>>;
  /** Engine volume name and absolute path in the container. */
  readonly volumes: readonly { readonly volume: string; readonly path: string }[];
  readonly memoryBytes: number | null;
  readonly cpus: number | null;
  readonly pids: number;
  readonly user: string | null;
  readonly readOnly: boolean;
  readonly stopTimeoutMs: number;
  readonly restartPolicy: 'no' | 'unless-stopped';
}

export interface BuildRequest {
  readonly project: string;
  /** `pointsman/<project>:<image key>` */
  readonly tag: string;
  /** Image labels, complete keys. */
  readonly labels: Readonly<Record<string, string>>;
  readonly build: BuildSpec;
  readonly context: Readable;
}

export interface RuntimeEvent {
  readonly kind: 'container' | 'network' | 'image';
  /** `start`, `die`, `destroy`, `update`, `disconnect` … as Docker names them. */
  readonly action: string;
  /** From our label; null where the event has none (images). */
  readonly project: string | null;
  readonly containerId: string | null;
  readonly exitCode: number | null;
}

/** The container that has a name. */
export interface NameHolder {
  readonly id: string;
  /** A slot or release container of this instance. */
  readonly ours: boolean;
  /** The instance of Pointsman that made it; null when none did. */
  readonly instance: string | null;
}

/** The container engine. Every method rejects with DockerUnavailable when the engine does not answer. */
export interface ContainerRuntime {
  engine(): Promise<EngineFacts>;
  /** Containers of this instance, of one project or of all. Inspected, so that every fact is there. */
  containers(project?: string): Promise<readonly ContainerFacts[]>;
  /** The container of this instance with this id; null when there is none. */
  container(id: string): Promise<ContainerFacts | null>;
  /** Who holds this container name: ours or a stranger; null when it is free. */
  nameHolder(name: string): Promise<NameHolder | null>;
  /** Null when there is none. */
  network(project: string): Promise<NetworkFacts | null>;
  /** Names of the projects that have a container or a network of this instance; nothing is inspected. */
  projects(): Promise<readonly string[]>;
  /** Finds or makes the project's network in a free /28 of the pool. @throws AddressesExhausted, NameTaken */
  ensureNetwork(project: string): Promise<NetworkFacts>;
  /** Removes the project's network. Gone already is fine. */
  removeNetwork(project: string): Promise<void>;
  /** By tag, digest or id; null when it is not there. */
  image(reference: string): Promise<ImageFacts | null>;
  /** Images tagged `pointsman/<project>:*` (any project when left out) that this instance may collect. */
  images(project?: string): Promise<readonly ImageFacts[]>;
  tag(image: string, tag: string): Promise<void>;
  /** Removes the tag, and the image with its last one. In use or gone already is fine. Resolves to whether it went. */
  removeImage(tag: string): Promise<boolean>;
  /** @throws PointsmanError ImagePullFailed */
  pull(reference: string, onProgress: (line: string) => void, signal: AbortSignal): Promise<void>;
  /** Resolves to the image id. Aborting ends the build in the engine. @throws BuildFailed with the last lines in `detail.tail` */
  build(
    request: BuildRequest,
    onProgress: (line: BuildProgress) => void,
    signal: AbortSignal,
  ): Promise<string>;
  /** Creates, does not start. Resolves to the id. @throws NameTaken, StartFailed */
  create(spec: ContainerSpec): Promise<string>;
  /** @throws StartFailed */
  start(id: string): Promise<void>;
  /** SIGTERM, after `timeoutMs` SIGKILL. Stopped or gone already is fine. */
  stop(id: string, timeoutMs: number): Promise<void>;
  /** Removes it, running or not, without its named volumes. Gone already is fine. */
  remove(id: string): Promise<void>;
  /** Changes nothing where it is so already. @throws StartFailed when it is gone */
  setRestartPolicy(id: string, policy: 'no' | 'unless-stopped'): Promise<void>;
  /** Resolves when it stops; at once when it is stopped. @throws StartFailed when it is gone */
  waitForExit(id: string, signal: AbortSignal): Promise<number>;
  /** The last lines, stdout and stderr in order; empty when it is gone. */
  tail(id: string, lines: number): Promise<readonly string[]>;
  /** Bytes of stdout and stderr, demultiplexed, in order, followed until it stops or the signal aborts. */
  logs(
    id: string,
    options: { readonly follow: boolean; readonly tail: number | null },
    signal: AbortSignal,
  ): AsyncIterable<LogChunk>;
  /** Events about this instance's objects until aborted. Ends (throws DockerUnavailable) when the engine goes away. */
  events(signal: AbortSignal): AsyncIterable<RuntimeEvent>;
}

export interface LogChunk {
  readonly stream: 'stdout' | 'stderr';
  readonly data: Buffer;
}

export interface BuildProgress {
  /** Of a build step that started, `[2/5] RUN npm ci`; null for plain output. */
  readonly step: string | null;
  /** Text for the log file, without line end. */
  readonly line: string;
}
