/** NaN of nothing. */
export function median(samples: readonly number[]): number {
  return percentile(samples, 50);
}

/** Nearest rank: one of the samples, never a value between two. NaN of nothing. */
export function percentile(samples: readonly number[], percent: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const rank = Math.ceil((percent / 100) * sorted.length);
  return sorted[Math.max(0, rank - 1)] ?? Number.NaN;
}

/**
 * A B A B …: every series once a round, in the order given, so that what else the machine does meets
 * all of them alike. Each function resolves to its one measurement.
 */
export async function interleave<Name extends string>(
  rounds: number,
  series: Readonly<Record<Name, (round: number) => Promise<number>>>,
): Promise<Record<Name, readonly number[]>> {
  const names = Object.keys(series) as Name[];
  const samples = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  for (let round = 0; round < rounds; round += 1) {
    for (const name of names) samples[name].push(await series[name](round));
  }
  return samples;
}

/** Milliseconds that `work` took. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

/** Four significant digits are more than any of this is worth. */
export function rounded(value: number): number {
  return Number(value.toPrecision(4));
}
