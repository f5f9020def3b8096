import { createHash } from 'node:crypto';
import type { ProbeResult, ProbeTarget, Prober } from '../../../src/apply/prober.js';
import { PointsmanError } from '../../../src/errors.js';
import { projectOfTag } from '../../../src/runtime/labels.js';
import type {
  BuildProgress,
  BuildRequest,
  ContainerFacts,
  ContainerRuntime,
  ContainerSpec,
  EngineFacts,
  ImageFacts,
  LogChunk,
  NameHolder,
  NetworkFacts,
  RuntimeEvent,
} from '../../../src/runtime/port.js';
import { abortable } from './effects.js';
import { behaviours } from './engine.js';
import type { Behaviour, EngineState, SimulatedContainer } from './engine.js';
import type { Life } from './scheduler.js';
import { never } from './scheduler.js';

/** What the simulated engine finds in a build context. */
export interface SimulatedContext {
  readonly tree: string;
  readonly behaviour: Behaviour;
}

/** What happens to one event on its way: it comes so many times, each after so many milliseconds. */
export type EventFate = readonly number[];

const buildMs = 900;

/** The engine as one life of the controller sees it. */
export class SimulatedRuntime implements ContainerRuntime, Prober {
  constructor(
    private readonly state: EngineState,
    private readonly life: Life,
    private readonly world: {
      /** Which calls are about to change which container. */
      onStop(container: SimulatedContainer, verb: 'stop' | 'remove'): void;
      onRemoveImage(image: ImageFacts): void;
      onCreate(spec: ContainerSpec): void;
      fate(event: RuntimeEvent): EventFate;
    },
  ) {}

  engine(): Promise<EngineFacts> {
    return this.#do('info', false, () => ({
      id: 'engine',
      version: '28.0.0',
      liveRestore: true,
      hasInit: true,
    }));
  }

  containers(project?: string): Promise<readonly ContainerFacts[]> {
    return this.#do(
      `list ${project ?? 'all'}`,
      false,
      () => this.state.ours(project).map(({ facts }) => facts),
      { stale: true },
    );
  }

  container(id: string): Promise<ContainerFacts | null> {
    return this.#do(
      `look at ${this.#name(id)}`,
      false,
      () => this.state.ours().find(({ facts }) => facts.id === id)?.facts ?? null,
      { stale: true },
    );
  }

  nameHolder(name: string): Promise<NameHolder | null> {
    return this.#do(`name ${name}`, false, () => {
      const found = this.state.named(name);
      if (found === null) return null;
      const ours = found.labels !== null;
      return { id: found.facts.id, ours, instance: ours ? 'simulated' : null };
    });
  }

  network(project: string): Promise<NetworkFacts | null> {
    return this.#do(`network ${project}`, false, () => this.state.networks.get(project) ?? null, {
      stale: true,
    });
  }

  projects(): Promise<readonly string[]> {
    return this.#do(
      'projects',
      false,
      () => [
        ...new Set([
          ...this.state.ours().map(({ facts }) => facts.labels.project),
          ...this.state.networks.keys(),
        ]),
      ],
      { stale: true },
    );
  }

  ensureNetwork(project: string): Promise<NetworkFacts> {
    const isThere = this.state.networks.has(project);
    return this.#do(`ensure network ${project}`, !isThere, () => this.state.ensureNetwork(project));
  }

  removeNetwork(project: string): Promise<void> {
    return this.#do(`remove network ${project}`, true, () => this.state.removeNetwork(project));
  }

  image(reference: string): Promise<ImageFacts | null> {
    return this.#do(`image ${reference}`, false, () => this.state.image(reference), { stale: true });
  }

  images(project?: string): Promise<readonly ImageFacts[]> {
    return this.#do(`images ${project ?? 'all'}`, false, () =>
      [...this.state.images.values()].filter(({ tags }) =>
        tags.some((tag) =>
          project === undefined ? projectOfTag(tag) !== null : projectOfTag(tag) === project,
        ),
      ),
    );
  }

  tag(image: string, tag: string): Promise<void> {
    return this.#do(`tag ${tag}`, true, () => {
      const found = this.state.image(image);
      if (found !== null) this.state.addImage(found.id, tag, found.labels, found.behaviour);
    });
  }

  removeImage(tag: string): Promise<boolean> {
    return this.#do(`remove image ${tag}`, true, () => {
      const image = this.state.image(tag);
      if (image !== null) this.world.onRemoveImage(image);
      return this.state.removeImage(tag);
    });
  }

  pull(reference: string, _onProgress: (line: string) => void, signal: AbortSignal): Promise<void> {
    const pull = (): void => {
      const behaviour = behaviourOf(reference);
      if (this.state.registryIsDown || behaviour === 'unbuildable')
        throw new PointsmanError('ImagePullFailed', `${reference} cannot be pulled`);
      this.state.addImage(idOf(reference), reference, {}, behaviour);
    };
    return abortable(this.#do(`pull ${reference}`, true, pull, { latencyMs: 300 }), signal);
  }

  build(
    request: BuildRequest,
    _onProgress: (line: BuildProgress) => void,
    signal: AbortSignal,
  ): Promise<string> {
    const { tree, behaviour } = request.context as unknown as SimulatedContext;
    return abortable(
      this.#do(
        `build ${request.tag}`,
        true,
        () => {
          if (signal.aborted) throw signal.reason;
          if (behaviour === 'unbuildable')
            throw new PointsmanError('BuildFailed', 'a step of the build failed');
          const id = idOf(tree);
          this.state.addImage(id, request.tag, request.labels, behaviour);
          return id;
        },
        { latencyMs: buildMs },
      ),
      signal,
    );
  }

  create(spec: ContainerSpec): Promise<string> {
    const create = (): string => {
      const id = this.state.create(spec);
      this.world.onCreate(spec);
      return id;
    };
    return this.#do(`create ${spec.name}`, true, create, { latencyMs: 7 });
  }

  start(id: string): Promise<void> {
    return this.#do(
      `start ${this.#name(id)}`,
      true,
      () => {
        this.#requireOurs(id);
        this.state.start(id);
      },
      { latencyMs: 170 },
    );
  }

  stop(id: string, _timeoutMs: number): Promise<void> {
    return this.#do(
      `stop ${this.#name(id)}`,
      true,
      () => {
        const container = this.state.containers.get(id);
        if (container === undefined) return;
        this.world.onStop(container, 'stop');
        this.#requireOurs(id);
        this.state.exit(container, 143, false);
      },
      { latencyMs: 100 },
    );
  }

  remove(id: string): Promise<void> {
    return this.#do(
      `remove ${this.#name(id)}`,
      true,
      () => {
        const container = this.state.containers.get(id);
        if (container === undefined) return;
        this.world.onStop(container, 'remove');
        this.#requireOurs(id);
        this.state.remove(id);
      },
      { latencyMs: 20 },
    );
  }

  setRestartPolicy(id: string, policy: 'no' | 'unless-stopped'): Promise<void> {
    return this.#do(`restart policy ${policy} of ${this.#name(id)}`, true, () => {
      this.#requireOurs(id);
      this.state.setRestartPolicy(id, policy);
    });
  }

  async waitForExit(id: string, signal: AbortSignal): Promise<number> {
    const container = await this.#do(
      `wait for ${this.#name(id)}`,
      false,
      () => this.state.containers.get(id) ?? null,
    );
    if (container === null || container.facts.state === 'created')
      throw new PointsmanError('StartFailed', `container ${id.slice(-6)} is gone or was never started`);
    if (container.facts.state !== 'running') return container.facts.exitCode ?? 0;
    const { life } = this;
    let leave: (() => void) | null = null;
    const exit = new Promise<number>((resolve, reject) => {
      const settle = (code: number): void => {
        if (life.isAlive) resolve(code);
      };
      const drop = (error: Error): void => reject(error);
      container.waiters.add(settle);
      this.state.droppers.add(drop);
      leave = () => {
        container.waiters.delete(settle);
        this.state.droppers.delete(drop);
      };
    });
    try {
      return await abortable(exit, signal);
    } finally {
      (leave as (() => void) | null)?.();
    }
  }

  tail(): Promise<readonly string[]> {
    return this.#do('tail', false, () => []);
  }

  async *logs(): AsyncIterable<LogChunk> {
    // Nobody asks for the output of a simulated container.
  }

  async *events(signal: AbortSignal): AsyncIterable<RuntimeEvent> {
    await this.#do('events', false, () => undefined);
    const queue: (RuntimeEvent | Error)[] = [];
    let wake = (): void => undefined;
    const deliver = (item: RuntimeEvent | Error): void => {
      queue.push(item);
      wake();
    };
    const listener = (event: RuntimeEvent): void => {
      for (const ms of this.world.fate(event))
        this.state.effects.scheduler.after(ms, () => this.life.isAlive && deliver(event));
    };
    this.state.listeners.add(listener);
    this.state.droppers.add(deliver);
    const aborted = new Promise<never>((_resolve, reject) =>
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }),
    );
    aborted.catch(() => undefined);
    try {
      for (;;) {
        const item = queue.shift();
        if (item instanceof Error) throw item;
        if (item !== undefined) yield item;
        else await Promise.race([aborted, new Promise<void>((resolve) => (wake = resolve))]);
      }
    } finally {
      this.state.listeners.delete(listener);
      this.state.droppers.delete(deliver);
    }
  }

  /** Answers as the container at the address would: nobody there refuses. */
  probe(target: ProbeTarget, signal: AbortSignal): Promise<ProbeResult> {
    if (!this.life.isAlive) return never();
    const { effects } = this.state;
    const fault = effects.strike({ port: 'probe', name: `probe ${target.address}`, mutates: false });
    const answer = new Promise<ProbeResult>((resolve) => {
      effects.scheduler.after(3, () => {
        if (!this.life.isAlive) return;
        if (fault === 'crash-before' || fault === 'crash-after') return effects.onCrash('process');
        if (fault === 'power-before' || fault === 'power-after') return effects.onCrash('power');
        const container = this.state.at(target.address);
        const ok = fault === null && container !== null && this.#isHealthy(container);
        if (container !== null) {
          container.streak = ok ? container.streak + 1 : 0;
          if (container.streak >= target.health.successes) container.earned = true;
        }
        resolve(ok ? { ok } : { ok: false, why: 'connection refused', hint: null });
      });
    });
    return abortable(answer, signal);
  }

  #isHealthy({ behaviour, startedAt }: SimulatedContainer): boolean {
    const { scheduler } = this.state.effects;
    const ageMs = scheduler.time - startedAt;
    switch (behaviour) {
      case 'ok':
      case 'bad-release':
      case 'unbuildable':
        return ageMs >= 50;
      case 'slow':
        return ageMs >= 4_000;
      case 'sick':
        return ageMs >= 50 && ageMs < 2_000;
      case 'crash':
      case 'unhealthy':
        return false;
    }
  }

  #name(id: string): string {
    return this.state.containers.get(id)?.facts.name.replace('pointsman-', '') ?? `gone ${id.slice(-4)}`;
  }

  #requireOurs(id: string): void {
    const container = this.state.containers.get(id);
    if (container === undefined || container.labels !== null) return;
    throw new PointsmanError('NameTaken', `container ${container.facts.name} is not ours and is left alone`);
  }

  #do<T>(
    name: string,
    mutates: boolean,
    apply: () => T,
    options: { readonly latencyMs?: number; readonly stale?: boolean } = {},
  ): Promise<T> {
    const down = (): T => {
      if (this.state.isDown) throw new PointsmanError('DockerUnavailable', 'the engine does not answer');
      return apply();
    };
    return this.state.effects.run(this.life, 'docker', name, down, { mutates, ...options });
  }
}

/** A tag ends with how its application behaves: `registry.test/alpha:3-slow`. */
export function behaviourOf(reference: string): Behaviour {
  return behaviours.find((behaviour) => reference.endsWith(`-${behaviour}`)) ?? 'ok';
}

export function idOf(content: string): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}
