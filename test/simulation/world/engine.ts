import type { Slot } from '../../../src/manifest/project.js';
import type {
  ContainerFacts,
  ContainerLabels,
  ContainerSpec,
  ImageFacts,
  NetworkFacts,
  RuntimeEvent,
} from '../../../src/runtime/port.js';
import { PointsmanError } from '../../../src/errors.js';
import type { Effects } from './effects.js';

/**
 * How an application behaves once it runs. `sick`: healthy for 2 s, then not. `crash`: exits 300 ms
 * after its start. `slow`: healthy after 4 s. `unbuildable` (for an image: it cannot be pulled) and
 * `bad-release` fail before they run.
 */
export const behaviours = ['ok', 'slow', 'unbuildable', 'bad-release', 'crash', 'unhealthy', 'sick'] as const;
export type Behaviour = (typeof behaviours)[number];

export interface SimulatedContainer {
  facts: ContainerFacts;
  /** Null: somebody else's. */
  labels: ContainerLabels | null;
  behaviour: Behaviour;
  /** Good probes in a row since it was started. */
  streak: number;
  /** It has passed its probes, or got traffic, in some run. */
  earned: boolean;
  /** When it last stopped to get traffic; null: never had any. */
  leftAt: number | null;
  run: number;
  /** By the scheduler's time, which never jumps. */
  startedAt: number;
  readonly waiters: Set<(code: number) => void>;
}

interface SimulatedImage extends ImageFacts {
  readonly behaviour: Behaviour;
}

/**
 * The engine's state, which outlives every controller. Specification: names are unique; a fixed address
 * is taken from its holder's start to its stop; a stopped container keeps everything but its process; an
 * exit by itself is followed by a restart after 200 ms when the policy is `unless-stopped`, a stop or
 * kill is not; an image stays as long as a tag or a container holds it; every change is told to whoever
 * listens, in order. A power cut stops all; `unless-stopped` containers that ran start again.
 */
export class EngineState {
  readonly containers = new Map<string, SimulatedContainer>();
  readonly networks = new Map<string, NetworkFacts>();
  readonly images = new Map<string, SimulatedImage>();
  readonly listeners = new Set<(event: RuntimeEvent) => void>();
  readonly droppers = new Set<(error: Error) => void>();
  isDown = false;
  registryIsDown = false;
  #ids = 0;

  constructor(readonly effects: Effects) {}

  ours(project?: string): SimulatedContainer[] {
    return [...this.containers.values()].filter(
      ({ labels }) => labels !== null && (project === undefined || labels.project === project),
    );
  }

  named(name: string): SimulatedContainer | null {
    return [...this.containers.values()].find(({ facts }) => facts.name === name) ?? null;
  }

  at(address: string): SimulatedContainer | null {
    return (
      [...this.containers.values()].find(
        ({ facts }) => facts.state === 'running' && facts.address === address,
      ) ?? null
    );
  }

  ensureNetwork(project: string): NetworkFacts {
    const found = this.networks.get(project);
    if (found !== undefined) return found;
    const taken = new Set([...this.networks.values()].map(({ subnet }) => subnet));
    for (let index = 0; index < 4096; index += 1) {
      const prefix = `10.213.${index >> 4}`;
      const base = (index % 16) * 16;
      const subnet = `${prefix}.${base}/28`;
      if (taken.has(subnet)) continue;
      const network = {
        id: `net-${(this.#ids += 1)}`,
        name: `pointsman-${project}`,
        project,
        subnet,
        addresses: { blue: `${prefix}.${base + 2}`, green: `${prefix}.${base + 3}` },
      };
      this.networks.set(project, network);
      return network;
    }
    throw new PointsmanError('AddressesExhausted', 'no free block');
  }

  removeNetwork(project: string): void {
    if (this.ours(project).some(({ facts }) => facts.state === 'running'))
      throw new PointsmanError('DockerUnavailable', `network pointsman-${project} has active endpoints`);
    if (this.networks.delete(project)) this.#tell('network', 'destroy', project, null, null);
  }

  create(spec: ContainerSpec): string {
    const image = [...this.images.values()].find(({ id }) => id === spec.image);
    const holder = this.named(spec.name);
    if (holder !== null)
      throw new PointsmanError('NameTaken', `the container name ${spec.name} is held by ${holder.facts.id}`);
    if (image === undefined) throw new PointsmanError('StartFailed', `no such image ${spec.image}`);
    if (!this.networks.has(spec.network.project))
      throw new PointsmanError('StartFailed', `no network ${spec.network.name}`);
    return this.add(spec.name, spec.labels, image, spec);
  }

  /** Puts a container there; `labels` null: somebody else's. */
  add(
    name: string,
    labels: ContainerLabels | null,
    image: { readonly id: string; readonly behaviour: Behaviour },
    spec: Pick<ContainerSpec, 'address' | 'restartPolicy'>,
  ): string {
    const id = (this.#ids += 1).toString(16).padStart(64, '0');
    const now = this.effects.scheduler.wall + this.effects.scheduler.time;
    const facts: ContainerFacts = {
      id,
      name,
      image: image.id,
      state: 'created',
      exitCode: null,
      outOfMemory: false,
      startedAt: null,
      createdAt: now,
      restartCount: 0,
      restartPolicy: spec.restartPolicy,
      address: spec.address ?? `10.214.${this.#ids >> 8}.${this.#ids % 256}`,
      labels: labels ?? noLabels,
    };
    this.containers.set(id, {
      facts,
      labels,
      behaviour: image.behaviour,
      streak: 0,
      earned: false,
      leftAt: null,
      run: 0,
      startedAt: 0,
      waiters: new Set(),
    });
    return id;
  }

  start(id: string): void {
    const container = this.#required(id);
    if (container.facts.state === 'running') return;
    const { address } = container.facts;
    if (address !== null && container.labels?.role !== 'release' && this.at(address) !== null)
      throw new PointsmanError('StartFailed', `address ${address} is already in use`);
    container.run += 1;
    container.streak = 0;
    container.startedAt = this.effects.scheduler.time;
    this.#set(container, {
      state: 'running',
      exitCode: null,
      startedAt: this.effects.scheduler.wall + this.effects.scheduler.time,
    });
    this.#tell('container', 'start', container.labels?.project ?? null, id, null);
    this.#live(container);
  }

  /** Ends it: by itself, or because somebody asked for it. */
  exit(container: SimulatedContainer, code: number, byItself: boolean): void {
    if (container.facts.state !== 'running') return;
    this.#set(container, { state: 'exited', exitCode: code });
    for (const resolve of [...container.waiters]) resolve(code);
    container.waiters.clear();
    this.#tell('container', 'die', container.labels?.project ?? null, container.facts.id, code);
    if (!byItself || container.facts.restartPolicy !== 'unless-stopped') return;
    this.effects.scheduler.after(200, () => {
      if (!this.containers.has(container.facts.id) || container.facts.state !== 'exited') return;
      if (container.facts.restartPolicy !== 'unless-stopped' || this.isDown) return;
      this.#set(container, { restartCount: container.facts.restartCount + 1 });
      this.start(container.facts.id);
    });
  }

  remove(id: string): void {
    const container = this.containers.get(id);
    if (container === undefined) return;
    this.exit(container, 137, false);
    this.containers.delete(id);
    this.#tell('container', 'destroy', container.labels?.project ?? null, id, null);
  }

  setRestartPolicy(id: string, policy: 'no' | 'unless-stopped'): void {
    const container = this.#required(id);
    this.#set(container, { restartPolicy: policy });
    this.#tell('container', 'update', container.labels?.project ?? null, id, null);
  }

  addImage(id: string, tag: string, labels: Readonly<Record<string, string>>, behaviour: Behaviour): void {
    for (const image of this.images.values()) if (image.id !== id) this.#untag(image, tag);
    const known = this.images.get(id);
    const createdAt = known?.createdAt ?? this.effects.scheduler.wall + this.effects.scheduler.time;
    const tags = [...new Set([...(known?.tags ?? []), tag])];
    this.images.set(id, { id, tags, labels, createdAt, exposedPorts: [], behaviour });
  }

  image(reference: string): SimulatedImage | null {
    return (
      this.images.get(reference) ??
      [...this.images.values()].find(({ tags }) => tags.includes(reference)) ??
      null
    );
  }

  removeImage(tag: string): boolean {
    const image = this.image(tag);
    if (image === null) return false;
    if (
      image.tags.length === 1 &&
      [...this.containers.values()].some(({ facts }) => facts.image === image.id)
    )
      return false;
    this.#untag(image, tag);
    return true;
  }

  powerCut(): void {
    for (const container of this.containers.values()) {
      const ran = container.facts.state === 'running';
      this.#set(container, ran ? { state: 'exited', exitCode: 255 } : {});
      container.waiters.clear();
      if (ran && container.facts.restartPolicy === 'unless-stopped') this.start(container.facts.id);
    }
  }

  #untag(image: SimulatedImage, tag: string): void {
    const tags = image.tags.filter((each) => each !== tag);
    if (tags.length === 0) this.images.delete(image.id);
    else this.images.set(image.id, { ...image, tags });
  }

  #required(id: string): SimulatedContainer {
    const container = this.containers.get(id);
    if (container === undefined) throw new PointsmanError('StartFailed', `container ${id.slice(-6)} is gone`);
    return container;
  }

  #live(container: SimulatedContainer): void {
    const { behaviour, run } = container;
    const exits = (ms: number, code: number): void =>
      void this.effects.scheduler.after(ms, () => {
        if (container.run === run && this.containers.has(container.facts.id))
          this.exit(container, code, true);
      });
    if (container.labels?.role === 'release') exits(400, behaviour === 'bad-release' ? 1 : 0);
    else if (behaviour === 'crash') exits(300, 1);
  }

  #set(container: SimulatedContainer, change: Partial<ContainerFacts>): void {
    container.facts = { ...container.facts, ...change };
  }

  #tell(
    kind: RuntimeEvent['kind'],
    action: string,
    project: string | null,
    containerId: string | null,
    exitCode: number | null,
  ): void {
    for (const listener of [...this.listeners]) listener({ kind, action, project, containerId, exitCode });
  }
}

const noLabels: ContainerLabels = {
  instance: '',
  project: '',
  role: 'blue' as Slot,
  revision: '',
  imageKey: '',
  configCommit: '',
  sourceCommit: null,
  deployment: '',
  spec: '',
};
