import { manifestText } from './manifest.js';
import type { Manifest } from './manifest.js';
import type { Slot } from '../../src/manifest/project.js';
import type { Behaviour } from './world/engine.js';
import type { FaultKind } from './world/effects.js';
import type { World } from './world/world.js';

/** One thing that people do: what is there before it, and the thing itself. */
export interface Scenario {
  readonly name: string;
  /** Runs to rest without faults. */
  readonly before: (stage: Stage) => void;
  /** Every effect after it is a place for a fault. */
  readonly act: (stage: Stage) => Promise<void> | void;
}

/** Hands of the people who commit. */
export class Stage {
  readonly #manifests = new Map<string, Manifest>();

  constructor(readonly world: World) {}

  /** Names, without a change for the others; null takes the manifest away. */
  config(changes: Readonly<Record<string, Partial<Manifest> | null>>): string {
    for (const [name, change] of Object.entries(changes)) {
      const base = this.#manifests.get(name) ?? { name, version: 1, domain: `${name}.example.com` };
      if (change === null) this.#manifests.delete(name);
      else this.#manifests.set(name, { ...base, ...change });
    }
    const files = [...this.#manifests.values()].map(
      (each) => [`projects/${each.name}.yaml`, manifestText(each)] as const,
    );
    return this.world.git.commitConfig(new Map(files));
  }

  app(name: string, behaviour: Behaviour = 'ok'): string {
    return this.world.git.commitApp(`/apps/${name}.git`, behaviour);
  }

  run(ms: number): Promise<void> {
    return this.world.scheduler.runUntil(this.world.scheduler.time + ms);
  }

  /** Until the controller asks for this effect, a minute at the longest; it fails with `fault`. */
  async until(name: string, fault: FaultKind | null = null): Promise<void> {
    const { scheduler, effects } = this.world;
    const { decide } = effects;
    let isAsked = false;
    effects.decide = (effect) => {
      const enumerated = decide(effect);
      if (isAsked || effect.name !== name) return enumerated;
      isAsked = true;
      return enumerated ?? fault;
    };
    await scheduler.runUntil(scheduler.time + 60_000, () => isAsked);
    effects.decide = decide;
  }

  /** Somebody removes the project's container in this slot, where there is one. */
  remove(name: string, slot: Slot): void {
    const { engine } = this.world;
    const container = engine.named(`pointsman-${name}-${slot}`);
    if (container !== null)
      this.world.meddle(`docker rm -f ${container.facts.name}`, () => engine.remove(container.facts.id));
  }

  get tip(): string {
    return this.world.git.tip ?? '';
  }
}

function two(stage: Stage): void {
  for (const name of ['alpha', 'beta']) stage.app(name);
  stage.config({ alpha: {}, beta: {} });
}

const failing = (behaviour: Behaviour, release = false): Scenario => ({
  name: `an update that is ${behaviour}`,
  before(stage) {
    stage.app('alpha');
    stage.config({ alpha: { release } });
  },
  act: (stage) => void stage.app('alpha', behaviour),
});

/** A commit, and its revert after `meanwhile`. */
const reverted = (name: string, meanwhile: (stage: Stage) => Promise<void>): Scenario => ({
  name,
  before: two,
  async act(stage) {
    const old = stage.tip;
    stage.config({ alpha: { version: 2 } });
    await meanwhile(stage);
    stage.world.git.moveConfig(old);
  },
});

export const scenarios: readonly Scenario[] = [
  {
    name: 'first deployment',
    before: () => undefined,
    act(stage) {
      stage.app('alpha');
      stage.config({ alpha: { release: true } });
    },
  },
  {
    name: 'first container removed between its probes and its switch',
    before: () => undefined,
    async act(stage) {
      stage.app('alpha');
      stage.config({ alpha: {} });
      await stage.until('create switch alpha.blue');
      stage.remove('alpha', 'blue');
    },
  },
  { name: 'update', before: two, act: (stage) => void stage.app('alpha') },
  {
    name: 'update of settings alone',
    before: two,
    act: (stage) => void stage.config({ alpha: { version: 2 } }),
  },
  reverted('warm revert', (stage) => stage.run(8_000)),
  reverted('cold revert', (stage) => stage.run(60_000)),
  failing('unbuildable'),
  failing('bad-release', true),
  failing('crash'),
  failing('unhealthy'),
  failing('sick'),
  {
    name: 'superseded',
    before: two,
    async act(stage) {
      stage.app('alpha');
      await stage.run(1_000);
      stage.app('alpha');
    },
  },
  reverted('reverted while it switches', (stage) => stage.until('create switch alpha.green')),
  reverted('reverted while a switch that was taken back is tried again', async (stage) => {
    await stage.until('create switch alpha.green');
    await stage.until('barrier', 'error');
    await stage.until('create switch alpha.green');
  }),
  { name: 'removal', before: two, act: (stage) => void stage.config({ beta: null }) },
  {
    name: 'removal and restore',
    before: two,
    async act(stage) {
      stage.config({ beta: null });
      await stage.run(1_200);
      stage.config({ beta: {} });
    },
  },
  {
    name: 'rename of a domain',
    before: two,
    act: (stage) => void stage.config({ alpha: { domain: 'new.example.com' } }),
  },
  {
    name: 'two projects trade a domain',
    before: two,
    act: (stage) =>
      void stage.config({ alpha: { domain: 'beta.example.com' }, beta: { domain: 'alpha.example.com' } }),
  },
  {
    name: 'suspend and resume',
    before: two,
    async act(stage) {
      stage.config({ alpha: { suspend: true } });
      stage.app('alpha');
      await stage.run(3_000);
      stage.config({ alpha: { suspend: false } });
    },
  },
  {
    name: 'pinned to followed',
    before(stage) {
      const commit = stage.app('alpha');
      stage.app('alpha');
      stage.config({ alpha: { commit } });
    },
    act: (stage) => void stage.config({ alpha: { commit: null } }),
  },
];
