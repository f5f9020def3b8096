import type { Clock } from '../../../src/clock.js';

/** A sequence of numbers that a seed decides (mulberry32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 up to, not including, 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T;
  }
}

interface Event {
  readonly at: number;
  readonly order: number;
  run: (() => void) | null;
}

/**
 * The one driver of a simulated world. Specification: events run in order of their time, those of the
 * same time in the order they were asked for; between two events every promise that can settle does;
 * time stands still while anything runs and jumps to the next event when nothing else is left.
 */
export class Scheduler {
  /** Milliseconds since the world began. */
  time = 0;
  /** What the wall clock shows when the world begins; a clock jump moves it. */
  wall = Date.parse('2026-01-01T00:00:00Z');
  steps = 0;
  #order = 0;
  readonly #heap: Event[] = [];

  after(ms: number, run: () => void): () => void {
    const event: Event = { at: this.time + Math.max(0, ms), order: (this.#order += 1), run };
    this.#push(event);
    return () => {
      event.run = null;
    };
  }

  /** Runs everything due until `time`, or until `isDone` says so after an event. */
  async runUntil(time: number, isDone: () => boolean = () => false): Promise<void> {
    await turn();
    while (!isDone()) {
      const next = this.#heap[0];
      if (next === undefined || next.at > time) break;
      this.#pop();
      const { run } = next;
      if (run === null) continue;
      this.time = Math.max(this.time, next.at);
      this.steps += 1;
      run();
      await turn();
    }
    if (!isDone()) this.time = Math.max(this.time, time);
  }

  /** Runs events until the work is done. */
  async finish<T>(work: Promise<T>, mostMs = 3_600_000): Promise<T> {
    let settled = false;
    const done = (): void => void (settled = true);
    work.then(done, done);
    await this.runUntil(this.time + mostMs, () => settled);
    if (!settled) throw new Error('it did not end');
    return work;
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let index = heap.push(event) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(event, heap[parent] as Event)) break;
      heap[index] = heap[parent] as Event;
      index = parent;
    }
    heap[index] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Event;
    if (heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = index * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Event, heap[child] as Event)) child += 1;
      if (!isBefore(heap[child] as Event, last)) break;
      heap[index] = heap[child] as Event;
      index = child;
    }
    heap[index] = last;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.at === b.at ? a.order < b.order : a.at < b.at;
}

/** Lets every promise that can settle do so. */
export function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

/** A promise of somebody who died: nothing comes of it. */
export function never<T>(): Promise<T> {
  return new Promise<T>(() => undefined);
}

/** One run of the controller's process, from its start to its crash. */
export class Life {
  isAlive = true;
  constructor(readonly number: number) {}
}

/** The scheduler's time as one life sees it: its timers die with it. */
export class LifeClock implements Clock {
  constructor(
    private readonly scheduler: Scheduler,
    private readonly life: Life,
  ) {}

  now(): number {
    return this.scheduler.wall + this.scheduler.time;
  }

  monotonic(): number {
    return this.scheduler.time;
  }

  timer(ms: number, callback: () => void): () => void {
    if (!this.life.isAlive) return () => undefined;
    return this.scheduler.after(ms, () => {
      if (this.life.isAlive) callback();
    });
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason as Error);
      const onAbort = (): void => {
        cancel();
        reject(signal.reason as Error);
      };
      const cancel = this.timer(ms, () => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      });
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }
}
