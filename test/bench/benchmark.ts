/** What a benchmark is. Each file beside this one exports one; `main.ts` lists them. */

/** `short`: checks only that it works and that what must be zero is zero; its times mean little. */
export type Form = 'full' | 'short';

export interface Benchmark {
  /** What `npm run bench -- NAME` calls it, and the name of its file in `bench-results/`. */
  readonly name: string;
  /** One sentence for people. */
  readonly shows: string;
  /** `say` prints a line of progress. Cleans up after itself, also when it is interrupted (see `orInterrupted`). */
  run(form: Form, say: (line: string) => void): Promise<Result>;
}

export interface Result {
  /** Every single measurement, by series: `pointsman (ms)`. */
  readonly samples: Readonly<Record<string, readonly number[]>>;
  readonly counts: Readonly<Record<string, number>>;
  /** Names among `counts`; the benchmark fails when one is not 0. */
  readonly mustBeZero: readonly string[];
  readonly ratios: Readonly<Record<string, number>>;
  /** Reported, never enforced: times depend on the machine and on what else it does. */
  readonly goals: readonly Goal[];
  /** Printed before the tables that are made of the fields above. */
  readonly tables?: readonly Table[];
  /** What a reader must know about this run: something that was not there, or not covered. */
  readonly notes?: readonly string[];
}

export interface Goal {
  readonly name: string;
  readonly value: number;
  /** The value should be at most this. */
  readonly atMost: number;
}

export interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
}
