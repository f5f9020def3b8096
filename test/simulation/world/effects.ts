import { createHash } from 'node:crypto';
import { PointsmanError } from '../../../src/errors.js';
import type { ErrorCode } from '../../../src/errors.js';
import { Life, Random, Scheduler, never } from './scheduler.js';

/** What can go wrong at one effect. `crash-*`: the process dies; `power-*`: the whole machine does. */
export const faultKinds = [
  'crash-before',
  'crash-after',
  'error',
  'timeout',
  'stale',
  'power-before',
  'power-after',
] as const;
export type FaultKind = (typeof faultKinds)[number];

export type Port = 'docker' | 'nginx' | 'git' | 'disk' | 'probe';

export interface Effect {
  readonly port: Port;
  /** What it does, for the trace: `create shop-blue`. */
  readonly name: string;
  readonly mutates: boolean;
  /** Counts all effects of the world. */
  readonly index: number;
}

/** A broken invariant. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

const unavailable: Readonly<Record<Port, ErrorCode>> = {
  docker: 'DockerUnavailable',
  nginx: 'NginxUnavailable',
  git: 'SourceUnreachable',
  disk: 'JournalUnwritable',
  probe: 'ProbeFailed',
};

/**
 * Every effect of the controller on its world passes here. Specification: an effect takes place at one
 * moment, `latencyMs` after it was asked for, and its answer arrives at that moment. A fault may let it
 * not take place (`error`), take place and be reported as failed (`timeout`), answer what was true at
 * the last look with the same name (`stale`, only where nothing changes), or end the process or the
 * machine before or after it. A request that is on its way to the engine when its asker dies may still
 * take place; everything else of a dead life does nothing.
 */
export class Effects {
  readonly scheduler = new Scheduler();
  count = 0;
  mutations = 0;
  injected = 0;
  lastMutationAt = 0;
  /** Names of the last effects, newest last. */
  readonly trace: string[] = [];
  violations: string[] = [];
  /** Which fault strikes at this effect. */
  decide: (effect: Effect) => FaultKind | null = () => null;
  onCrash: (kind: 'process' | 'power') => void = () => undefined;
  onMutation: () => void = () => undefined;
  #answers = new Map<string, unknown>();
  /** Of everything that ever stood in the trace. */
  readonly #hash = createHash('sha256');

  constructor(readonly random: Random) {}

  run<T>(
    life: Life,
    port: Port,
    name: string,
    apply: () => T,
    options: { readonly mutates?: boolean; readonly latencyMs?: number; readonly stale?: boolean } = {},
  ): Promise<T> {
    if (!life.isAlive) return never();
    const { mutates = false, latencyMs = 1, stale = false } = options;
    const fault = this.strike({ port, name, mutates });
    return new Promise<T>((resolve, reject) => {
      this.scheduler.after(latencyMs, () => {
        if (!life.isAlive) {
          if (port === 'docker' && mutates && fault === null && this.random.chance(0.5))
            this.#applyQuietly(apply, name);
          return;
        }
        try {
          if (fault === 'crash-before') return this.onCrash('process');
          if (fault === 'power-before') return this.onCrash('power');
          if (fault === 'error') return reject(this.#refusal(port, name));
          if (fault === 'stale' && stale && this.#answers.has(name))
            return resolve(this.#answers.get(name) as T);
          const value = apply();
          this.note(`${fault === null ? '' : `[${fault}] `}${name}`, mutates);
          if (stale) this.#answers.set(name, value);
          if (fault === 'crash-after') return this.onCrash('process');
          if (fault === 'power-after') return this.onCrash('power');
          if (fault === 'timeout') return reject(this.#refusal(port, name));
          resolve(value);
        } catch (error) {
          reject(error as Error);
        }
      });
    });
  }

  /** Counts an effect and asks which fault strikes it. */
  strike(effect: Omit<Effect, 'index'>): FaultKind | null {
    const fault = this.decide({ ...effect, index: this.count });
    this.count += 1;
    if (fault !== null) {
      this.injected += 1;
      this.#remember(`-- ${fault} at ${effect.name}`);
    }
    return fault;
  }

  /** An effect took place. */
  note(name: string, mutates: boolean): void {
    if (!mutates) return;
    this.mutations += 1;
    this.lastMutationAt = this.scheduler.time;
    this.#remember(name);
    this.onMutation();
  }

  violate(what: string): void {
    this.violations.push(what);
    this.#remember(`!! ${what}`);
  }

  /** The same for two histories that went the same way, effect for effect. */
  digest(): string {
    return this.#hash.copy().digest('hex');
  }

  remember(what: string): void {
    this.#remember(what);
  }

  #remember(what: string): void {
    const line = `${String(this.scheduler.time).padStart(9)} ${what}`;
    this.trace.push(line);
    this.#hash.update(`${line}\n`);
    if (this.trace.length > 400) this.trace.splice(0, 200);
  }

  #applyQuietly(apply: () => unknown, name: string): void {
    try {
      apply();
      this.note(`[late, of a dead life] ${name}`, true);
    } catch {
      this.#remember(`[late, refused] ${name}`);
    }
  }

  #refusal(port: Port, name: string): Error {
    return new PointsmanError(unavailable[port], `${name}: no answer (injected)`);
  }
}

/** Settles as `work` does, or rejects as soon as `signal` aborts. */
export function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) {
    work.catch(() => undefined);
    return Promise.reject(signal.reason as Error);
  }
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    const off = (): void => signal.removeEventListener('abort', onAbort);
    work.then(
      (value) => (off(), resolve(value)),
      (error: unknown) => (off(), reject(error as Error)),
    );
  });
}
