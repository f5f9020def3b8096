import { manifestText } from './manifest.js';
import type { Manifest } from './manifest.js';
import { SecretsAndImages } from './secrets-and-images.js';
import { isSound, checkRest, desiredOf, runToRest } from './rest.js';
import { behaviours } from './world/engine.js';
import { faultKinds } from './world/effects.js';
import type { FaultKind } from './world/effects.js';
import { Random } from './world/scheduler.js';
import { World } from './world/world.js';

export interface HistoryResult {
  readonly seed: number;
  readonly steps: number;
  readonly violations: readonly string[];
  readonly trace: readonly string[];
  readonly faults: number;
  readonly effects: number;
  /** Of the whole trace: the same seed has the same one. */
  readonly digest: string;
}

const names = ['alpha', 'beta', 'gamma'] as const;

/** One seeded history: commits, faults, meddling and time, then rest. */
class History {
  readonly random: Random;
  readonly world: World;
  readonly #files = new Map<string, Manifest>();
  #faultIn = -1;
  #fault: FaultKind = 'error';
  #eventsFail = false;
  /** One history in five has them. */
  readonly #extra: SecretsAndImages | null;

  constructor(seed: number) {
    this.random = new Random(seed);
    this.world = new World(new Random(seed ^ 0x5bd1e995));
    this.#extra = seed % 5 === 2 ? new SecretsAndImages(this.world, this.random) : null;
    this.world.effects.decide = () => {
      if (this.#faultIn < 0) return null;
      this.#faultIn -= 1;
      return this.#faultIn < 0 ? this.#fault : null;
    };
    this.world.fate = () => {
      if (!this.#eventsFail || this.random.chance(0.6)) return [1];
      this.world.effects.injected += 1;
      return this.random.pick<readonly number[]>([[], [1, 2], [5_000], [1, 20_000]]);
    };
  }

  async run(steps: number): Promise<void> {
    const { world, random } = this;
    const projects = 1 + random.below(3);
    for (const name of names.slice(0, projects)) {
      world.git.commitApp(`/apps/${name}.git`, 'ok');
      const manifest = { name, version: 1, domain: `${name}.example.com`, release: random.chance(0.3) };
      this.#files.set(name, this.#extra?.dress(manifest) ?? manifest);
    }
    this.#commit();
    world.begin();
    for (let step = 0; step < steps && world.effects.violations.length === 0; step += 1) {
      await this.#step();
      await world.scheduler.runUntil(
        world.scheduler.time + random.pick([0, 50, 300, 1_500, 6_000, 20_000, 70_000]),
        () => world.effects.violations.length > 0,
      );
    }
    await this.#settle();
  }

  async #step(): Promise<void> {
    const { random, world } = this;
    const name = random.pick([...this.#files.keys(), 'alpha']);
    if (this.#extra !== null && random.chance(0.3)) return this.#change(name, this.#extra);
    const roll = random.below(100);
    if (roll < 30) this.#faultSoon();
    else if (roll < 45) this.#change(name);
    else if (roll < 60)
      world.git.commitApp(`/apps/${name}.git`, random.chance(0.6) ? 'ok' : random.pick(behaviours));
    else if (roll < 68) this.#moveBack(name);
    else if (roll < 73) this.#shape(name);
    else if (roll < 76) world.crash(random.chance(0.7) ? 'process' : 'power');
    else if (roll < 79) await world.restart();
    else if (roll < 90) this.#meddle(name);
    else if (roll < 93) world.jump((random.chance(0.5) ? 1 : -1) * random.below(10 * 365));
    else if (roll < 95) this.#outage();
    else if (roll < 98) await this.#abandon(name);
    else this.#eventsFail = !this.#eventsFail;
  }

  #faultSoon(): void {
    this.#faultIn = this.random.below(60);
    this.#fault = this.random.pick(faultKinds);
  }

  #change(name: string, extra: SecretsAndImages | null = null): void {
    const manifest = this.#files.get(name);
    if (manifest === undefined) return;
    if (extra !== null) {
      this.#files.set(name, extra.step(manifest));
      return this.#commit();
    }
    const change = this.random.below(4);
    if (change === 0)
      this.#files.set(name, { ...manifest, domain: `${name}${this.random.below(3)}.example.com` });
    else if (change === 1) this.#files.set(name, { ...manifest, suspend: manifest.suspend !== true });
    else this.#files.set(name, { ...manifest, version: this.random.below(4) });
    this.#commit();
  }

  /** A revert, in the config repository or the application's: the branch goes to an older commit. */
  #moveBack(name: string): void {
    const { git } = this.world;
    if (this.random.chance(0.5)) git.moveConfig(this.random.pick([...git.commits.keys()]));
    else
      git.moveApp(
        `/apps/${name}.git`,
        this.random.pick([...(git.apps.get(`/apps/${name}.git`)?.commits.keys() ?? [])]),
      );
  }

  /** A commit, a crash while it is being deployed, and the commit taken back. */
  async #abandon(name: string): Promise<void> {
    const { world, random } = this;
    const repo = `/apps/${name}.git`;
    const before = world.git.apps.get(repo)?.tip;
    if (before === undefined) return;
    world.git.commitApp(repo, 'ok');
    await world.scheduler.runUntil(world.scheduler.time + 800 + random.below(900));
    world.crash('process');
    world.git.moveApp(repo, before);
  }

  /** Manifests come, go, trade domains, break. */
  #shape(name: string): void {
    const { random } = this;
    const files = [...this.#files.values()];
    const change = random.below(5);
    const [a, b] = files;
    if (change === 0) this.#files.delete(name);
    else if (change === 1 && a !== undefined && b !== undefined) {
      this.#files.set(a.name, { ...a, domain: b.domain });
      this.#files.set(b.name, { ...b, domain: a.domain });
    } else if (change === 2) return void this.world.git.commitConfig(new Map());
    else if (change === 3)
      return void this.world.git.commitConfig(
        new Map([...this.#texts(), [`projects/${name}.yaml`, 'kind: ??? {']]),
      );
    else if (this.world.git.apps.has(`/apps/${name}.git`))
      this.#files.set(name, { name, version: 1, domain: `${name}.example.com` });
    this.#commit();
  }

  #meddle(name: string): void {
    const { world, random } = this;
    const { engine, router } = world;
    const containers = engine.ours(name);
    const container = containers.length === 0 ? null : random.pick(containers);
    const slot = router.slot(name);
    const site = router.sites.get(name);
    const choice = random.below(7);
    if (choice === 0 && container)
      world.meddle(`docker rm -f ${container.facts.name}`, () => engine.remove(container.facts.id));
    else if (choice === 1 && container)
      world.meddle(`docker kill ${container.facts.name}`, () => engine.exit(container, 137, false));
    else if (choice === 2 && container)
      world.meddle(`${container.facts.name} crashes`, () => engine.exit(container, 1, true));
    else if (choice === 3 && slot !== null)
      this.#file(name, 'switch file removed', () => router.switches.delete(`${name}.${slot}`));
    else if (choice === 4 && site)
      this.#file(name, 'site file edited', () => router.sites.set(name, { ...site, intact: false }));
    else if (choice === 6) this.#stranger(name);
    else if (choice === 5) this.#file(null, 'nginx killed', () => (router.isRunning = false));
  }

  /** Somebody else's container takes the name of a slot. */
  #stranger(name: string): void {
    const { engine } = this.world;
    const taken = `pointsman-${name}-${this.random.pick(['blue', 'green'])}`;
    if (engine.named(taken) !== null) return;
    this.world.meddle(`a stranger is named ${taken}`, () =>
      engine.start(
        engine.add(
          taken,
          null,
          { id: 'sha256:other', behaviour: 'ok' },
          { address: null, restartPolicy: 'no' },
        ),
      ),
    );
  }

  #file(project: string | null, what: string, change: () => unknown): void {
    this.world.meddle(`${project ?? ''} ${what}`, () => void change());
    for (const watcher of [...this.world.router.watchers]) watcher(project);
  }

  #outage(): void {
    const { world, random } = this;
    const ms = random.pick([2_000, 30_000]);
    if (random.chance(0.5)) {
      world.git.isDown = true;
      world.scheduler.after(ms, () => (world.git.isDown = false));
    } else {
      world.setEngineDown(true);
      world.scheduler.after(ms, () => world.setEngineDown(false));
    }
  }

  #texts(): [string, string][] {
    return [...this.#files.values()].map((manifest) => [
      `projects/${manifest.name}.yaml`,
      manifestText(manifest),
    ]);
  }

  #commit(): void {
    this.world.git.commitConfig(new Map(this.#texts()));
  }

  /** Faults end, what is wanted stands still, a person answers what status asks for; then it has to rest. */
  async #settle(): Promise<void> {
    const { world, random } = this;
    const { effects } = world;
    this.#faultIn = -1;
    this.#eventsFail = false;
    world.git.isDown = false;
    if (world.engine.isDown) world.setEngineDown(false);
    this.#extra?.settle();
    for (const { labels, facts } of [...world.engine.containers.values()])
      if (labels === null) world.meddle('the stranger leaves', () => world.engine.remove(facts.id));
    if (random.chance(0.7)) this.#commit();
    for (let round = 0; round < 3 && effects.violations.length === 0; round += 1) {
      await runToRest(world);
      if (!(await this.#answer())) break;
    }
    if (effects.violations.length === 0) checkRest(world);
  }

  /** `retry` where an injected fault made sound revisions fail, `prune` where removals are held. */
  async #answer(): Promise<boolean> {
    const { world } = this;
    const { controller, status } = world;
    if (controller === null || status === null) return false;
    let answered = false;
    for (const { project } of desiredOf(world).projects.values()) {
      if (status.projects[project.name]?.state !== 'failed' || !isSound(world, project)) continue;
      await world.scheduler.finish(controller.retry(project.name));
      answered = true;
    }
    const { git } = world;
    const { tip, commits } = git;
    if (tip !== null && (commits.get(tip)?.size ?? 0) > 0 && status.summary.removing > 0) {
      git.confirmed.add(tip);
      const reply = await world.scheduler.finish(controller.prune(tip));
      answered ||= reply.ok;
    }
    return answered;
  }
}

export async function runHistory(seed: number, steps: number): Promise<HistoryResult> {
  const history = new History(seed);
  const { effects } = history.world;
  const onUnhandled = (error: unknown): void =>
    effects.violate(`unhandled rejection: ${error instanceof Error ? error.stack : String(error)}`);
  process.on('unhandledRejection', onUnhandled);
  const realRandom = Math.random;
  Math.random = () => history.world.random.next();
  try {
    await history.run(steps);
  } catch (error) {
    effects.violate(`the simulation failed: ${error instanceof Error ? error.stack : String(error)}`);
  } finally {
    Math.random = realRandom;
    process.off('unhandledRejection', onUnhandled);
  }
  if (process.env['SIMULATE_STATUS'] !== undefined)
    effects.remember(JSON.stringify(history.world.status?.projects, null, 1));
  return {
    seed,
    steps,
    violations: effects.violations,
    trace: effects.trace,
    faults: effects.injected,
    effects: effects.mutations,
    digest: effects.digest(),
  };
}
