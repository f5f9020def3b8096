import type { HistoryResult } from './history.js';

export interface WorkerResult {
  readonly totals: Readonly<Record<'histories' | 'steps' | 'faults' | 'effects', number>>;
  readonly digests: readonly string[];
  readonly failure: HistoryResult | null;
}

export function run(program: string, job: Readonly<Record<string, unknown>>): Promise<WorkerResult>;
