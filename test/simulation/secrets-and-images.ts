import type { Manifest } from './manifest.js';
import { behaviours } from './world/engine.js';
import { canary } from './world/invariants.js';
import type { Random } from './world/scheduler.js';
import { settings } from './world/world.js';
import type { World } from './world/world.js';

const secretNames = ['TOKEN', 'PASSWORD'] as const;
const registryAwayMs = 40_000;

/**
 * People who run images and give secrets. A secret's file comes, changes, goes, is left readable for
 * others or empty; an image's string changes, also to one that cannot be pulled or fails once it runs;
 * the registry goes away.
 */
export class SecretsAndImages {
  readonly #paths = new Set<string>();
  #values = 0;
  #tags = 0;

  constructor(
    private readonly world: World,
    private readonly random: Random,
  ) {}

  /** The manifest with an image or secrets, or both. */
  dress(manifest: Manifest): Manifest {
    const secrets = secretNames.slice(0, this.random.below(3));
    for (const name of secretNames) this.#give(manifest.name, name);
    return this.random.chance(0.5)
      ? { ...manifest, secrets }
      : { ...manifest, secrets, image: this.#image(manifest, 'ok') };
  }

  /** One change of theirs. Returns the manifest that is to be committed. */
  step(manifest: Manifest): Manifest {
    const { random } = this;
    const secret = random.pick(secretNames);
    const path = `${settings.secrets.dir}/${manifest.name}/${secret}`;
    switch (random.below(8)) {
      case 0:
      case 1:
        this.#give(manifest.name, secret);
        return manifest;
      case 2:
        this.#byHand(`${path} is removed`, () => this.world.disk.take(path));
        return manifest;
      case 3:
        this.#byHand(`chmod 644 ${path}`, () => this.world.disk.place(path, `${canary}open`, 0o644));
        return manifest;
      case 4:
        this.#byHand(`${path} is emptied`, () => this.world.disk.place(path, '', 0o600));
        return manifest;
      case 5:
        return { ...manifest, secrets: secretNames.slice(0, random.below(3)) };
      case 6:
        this.#registryGoes();
        return { ...manifest, image: this.#image(manifest, 'ok') };
      default:
        return {
          ...manifest,
          image: this.#image(manifest, random.chance(0.5) ? 'ok' : random.pick(behaviours)),
        };
    }
  }

  /** Every secret is as it should be, and the registry answers. */
  settle(): void {
    for (const path of this.#paths) this.#write(path);
    this.world.engine.registryIsDown = false;
  }

  #give(project: string, secret: string): void {
    const path = `${settings.secrets.dir}/${project}/${secret}`;
    this.#paths.add(path);
    this.#write(path);
  }

  #write(path: string): void {
    this.#values += 1;
    this.#byHand(`${path} gets value ${this.#values}`, () =>
      this.world.disk.place(path, `${canary}${this.#values}\n`, 0o600),
    );
  }

  #image({ name }: Manifest, behaviour: (typeof behaviours)[number]): string {
    this.#tags += 1;
    return `registry.test/${name}:${this.#tags}-${behaviour}`;
  }

  #registryGoes(): void {
    const { engine, scheduler } = this.world;
    engine.registryIsDown = true;
    scheduler.after(registryAwayMs, () => (engine.registryIsDown = false));
  }

  #byHand(what: string, change: () => void): void {
    this.world.meddle(what, change);
  }
}
