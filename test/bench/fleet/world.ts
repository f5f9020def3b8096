/** A fleet at rest: every project is live on an engine and behind a router that are maps in memory. */
import type { ProbeResult, Prober } from '../../../src/apply/prober.js';
import { imageKeyOf, revision } from '../../../src/manifest/keys.js';
import type { ImageSource, Project, Slot } from '../../../src/manifest/project.js';
import { serialiseSpec } from '../../../src/manifest/spec.js';
import type { RouteFacts, Router, Site, SwitchRecord } from '../../../src/router/port.js';
import { containerName } from '../../../src/runtime/labels.js';
import type {
  ContainerFacts,
  ContainerRuntime,
  ContainerSpec,
  ImageFacts,
  NetworkFacts,
  RuntimeEvent,
} from '../../../src/runtime/port.js';

/** The one image, which every tag names. */
const image: ImageFacts = {
  id: `sha256:${'a'.repeat(64)}`,
  tags: [],
  labels: {},
  createdAt: 0,
  exposedPorts: [3000],
};

/** What nothing of a fleet of `image:` projects at rest should ever ask for. */
const unexpected = (): never => {
  throw new Error('the fleet asks for what it does not need');
};

interface Held {
  readonly network: NetworkFacts;
  readonly containers: Map<string, ContainerFacts>;
  site: Site | null;
  readonly switches: { blue: RouteFacts['switches']['blue']; green: RouteFacts['switches']['green'] };
}

/** Counts and answers at once: what is left of a pass is the controller's own cost. */
export class FleetWorld {
  readonly #projects = new Map<string, Held>();
  readonly #byId = new Map<string, string>();
  readonly #listeners = new Set<(event: RuntimeEvent) => void>();
  #ids = 0;
  /** Calls that change something. */
  effects = 0;
  onSwitch: (record: SwitchRecord) => void = () => undefined;
  onLook: (project: string) => void = () => undefined;

  /** Puts the project there as its deployment would have left it. */
  add(project: Project, configCommit: string): void {
    const { name, route, run } = project;
    const index = this.#projects.size;
    // Of the loopback network: a real nginx that asks there is refused at once.
    const prefix = `127.${200 + (index >> 12)}.${(index >> 4) & 255}`;
    const base = (index % 16) * 16;
    const addresses = { blue: `${prefix}.${base + 2}`, green: `${prefix}.${base + 3}` };
    const subnet = `${prefix}.${base}/28`;
    const network = { id: `net-${name}`, name: `pointsman-${name}`, project: name, subnet, addresses };
    const upstreams = { blue: `${addresses.blue}:${run.port}`, green: `${addresses.green}:${run.port}` };
    const held: Held = {
      network,
      containers: new Map(),
      site: { project: name, route, upstreams },
      switches: { blue: null, green: null },
    };
    this.#projects.set(name, held);
    const key = imageKeyOf(project.source as ImageSource);
    const rev = revision({ image: image.id, run, release: project.release, secretsHash: null });
    const identity = {
      project: name,
      revision: rev,
      imageKey: key,
      configCommit,
      sourceCommit: null,
      deployment: `20260101T000000Z-${index.toString(16).padStart(6, '0')}`,
      spec: serialiseSpec(project),
    };
    const labels = { ...identity, instance: 'bench', role: 'blue' as const };
    const made = { name: containerName(name, 'blue'), labels, image: image.id, address: addresses.blue };
    this.#put(made, 'unless-stopped', 'running');
    const since = new Date(0).toISOString();
    const record = {
      version: 1,
      slot: 'blue',
      image: image.id,
      since,
      isRollback: false,
      previous: null,
    } as const;
    held.switches.blue = { record: { ...identity, ...record } };
  }

  tell(project: string): void {
    const [containerId = null] = this.#held(project)?.containers.keys() ?? [];
    for (const listener of this.#listeners)
      listener({ kind: 'container', action: 'update', project, containerId, exitCode: null });
  }

  readonly prober: Prober = { probe: async (): Promise<ProbeResult> => ({ ok: true }) };

  readonly runtime: ContainerRuntime = {
    engine: async () => ({ id: 'bench', version: '28.0.0', liveRestore: true, hasInit: true }),
    containers: async (project) => {
      if (project === undefined)
        return [...this.#projects.values()].flatMap(({ containers }) => [...containers.values()]);
      this.onLook(project);
      return [...(this.#held(project)?.containers.values() ?? [])];
    },
    container: async (id) => this.#held(this.#byId.get(id) ?? '')?.containers.get(id) ?? null,
    nameHolder: async () => null,
    network: async (project) => this.#held(project)?.network ?? null,
    projects: async () => [...this.#projects.keys()],
    ensureNetwork: async (project) => this.#held(project)?.network ?? unexpected(),
    removeNetwork: unexpected,
    image: async () => image,
    images: async () => [],
    tag: unexpected,
    removeImage: async () => false,
    pull: unexpected,
    build: unexpected,
    create: async (spec) => {
      this.effects += 1;
      return this.#put(spec, spec.restartPolicy, 'created');
    },
    start: async (id) => this.#change(id, { state: 'running', startedAt: Date.now() }),
    stop: async (id) => this.#change(id, { state: 'exited', exitCode: 0 }),
    remove: async (id) => {
      this.effects += 1;
      this.#held(this.#byId.get(id) ?? '')?.containers.delete(id);
    },
    setRestartPolicy: async (id, restartPolicy) => this.#change(id, { restartPolicy }),
    waitForExit: async (_id, signal) => untilAborted(signal),
    tail: async () => [],
    logs: unexpected,
    events: (signal) => this.#events(signal),
  };

  readonly router: Router = {
    start: async () => undefined,
    observe: async (project) => {
      const held = this.#held(project);
      const site = held?.site ?? null;
      return {
        site,
        present: site !== null,
        intact: true,
        switches: held?.switches ?? { blue: null, green: null },
      };
    },
    projects: async () => [...this.#projects.keys()],
    sites: async () => [...this.#projects.values()].flatMap(({ site }) => (site === null ? [] : [site])),
    applySites: async (changes) => {
      this.effects += changes.length;
      for (const { project, site } of changes) {
        const held = this.#held(project);
        if (held !== undefined) held.site = site;
      }
      return changes.map(() => ({ kind: 'applied' }));
    },
    reloadDelay: () => 0,
    switchTo: async (record) => {
      this.effects += 1;
      const switches = this.#held(record.project)?.switches ?? unexpected();
      switches.blue = record.slot === 'blue' ? { record } : null;
      switches.green = record.slot === 'green' ? { record } : null;
      this.onSwitch(record);
    },
    restoreSwitch: unexpected,
    clearSwitch: unexpected,
    liveSlot: async (project) => this.#slot(project),
    barrier: async () => undefined,
    inFlight: async () => 0,
    repair: async () => ({ health: { ok: true, message: null }, repaired: [] }),
    watch: async () => async () => undefined,
    dismantle: async () => undefined,
    close: async () => undefined,
  };

  #slot(project: string): Slot | null {
    const switches = this.#held(project)?.switches;
    if (switches?.green != null) return 'green';
    return switches?.blue == null ? null : 'blue';
  }

  #held(project: string): Held | undefined {
    return this.#projects.get(project);
  }

  #put(
    spec: Pick<ContainerSpec, 'name' | 'labels' | 'image' | 'address'>,
    restartPolicy: string,
    state: ContainerFacts['state'],
  ): string {
    const id = (this.#ids += 1).toString(16).padStart(64, '0');
    const { name, labels, address } = spec;
    this.#byId.set(id, labels.project);
    this.#held(labels.project)?.containers.set(id, {
      id,
      name,
      image: spec.image,
      state,
      exitCode: null,
      outOfMemory: false,
      startedAt: state === 'running' ? 0 : null,
      createdAt: 0,
      restartCount: 0,
      restartPolicy,
      address,
      labels,
    });
    return id;
  }

  #change(id: string, change: Partial<ContainerFacts>): void {
    this.effects += 1;
    const containers = this.#held(this.#byId.get(id) ?? '')?.containers;
    const facts = containers?.get(id);
    if (facts !== undefined) containers?.set(id, { ...facts, ...change });
  }

  async *#events(signal: AbortSignal): AsyncIterable<RuntimeEvent> {
    const queue: RuntimeEvent[] = [];
    let wake = (): void => undefined;
    const listener = (event: RuntimeEvent): void => {
      queue.push(event);
      wake();
    };
    this.#listeners.add(listener);
    const aborted = untilAborted(signal);
    aborted.catch(() => undefined);
    try {
      for (;;) {
        const event = queue.shift();
        if (event !== undefined) yield event;
        else await Promise.race([aborted, new Promise<void>((resolve) => (wake = resolve))]);
      }
    } finally {
      this.#listeners.delete(listener);
    }
  }
}

async function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}
