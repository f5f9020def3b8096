import { isAbort, messageOf } from '../errors.js';
import type { Logger } from '../log.js';

interface Item {
  /** Somebody asked again while the work was on. */
  again: boolean;
  done: Promise<void>;
}

/**
 * Work keyed by project: never two passes of one project at once, any number of requests since a pass
 * looked make one more pass, and different projects do not wait for each other.
 */
export class WorkQueue {
  readonly #items = new Map<string, Item>();
  #idle: (() => void)[] = [];
  #closed = false;

  constructor(
    /** Calls `looking` before each look at what is there: whatever was asked for until then, that look answers. */
    private readonly work: (key: string, looking: () => void) => Promise<void>,
    private readonly log: Logger,
  ) {}

  /** Asks for a pass; true when one was on already, which then runs once more. */
  trigger(key: string): boolean {
    if (this.#closed) return false;
    const item = this.#items.get(key);
    if (item !== undefined) {
      item.again = true;
      return true;
    }
    const fresh: Item = { again: false, done: Promise.resolve() };
    this.#items.set(key, fresh);
    fresh.done = this.#run(key, fresh);
    return false;
  }

  /** Projects whose pass is on. */
  get size(): number {
    return this.#items.size;
  }

  /** Resolves when no work is on. */
  async idle(): Promise<void> {
    if (this.#items.size === 0) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** Takes nothing new and resolves when what is on has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#items.values()].map((item) => item.done));
  }

  async #run(key: string, item: Item): Promise<void> {
    do {
      item.again = false;
      try {
        await this.work(key, () => (item.again = false));
      } catch (error) {
        if (!isAbort(error))
          this.log.error({ project: key, error: messageOf(error) }, 'pass ended unexpectedly');
      }
    } while (item.again && !this.#closed);
    this.#items.delete(key);
    if (this.#items.size > 0) return;
    const waiting = this.#idle;
    this.#idle = [];
    for (const resolve of waiting) resolve();
  }
}
