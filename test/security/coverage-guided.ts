import { Session } from 'node:inspector/promises';
import type { Profiler } from 'node:inspector';

/** Code to feed: anything it throws is a finding, unless it is an answer that `target` itself takes. */
export interface Target {
  readonly name: string;
  readonly run: (input: Buffer) => void;
  /** Inputs to begin with. */
  readonly seeds: readonly Buffer[];
  /** Words of the format, put into inputs now and then. */
  readonly words: readonly string[];
}

export interface Finding {
  readonly target: string;
  readonly input: Buffer;
  readonly error: string;
}

export interface Fuzzed {
  readonly executions: number;
  /** Inputs kept because they reached something new. */
  readonly corpus: number;
  /** Ranges of code reached, as V8 counts them. */
  readonly reached: number;
  readonly findings: readonly Finding[];
}

/** Inputs between two looks at the coverage; looking costs more than running. */
const batch = 25;
const longestInput = 70_000;
const mostFindings = 20;

/**
 * Changes inputs and keeps those batches that reach code no input reached before, as V8's precise block
 * coverage of `src/` tells. `keep` gets each input before it runs, so that one that ends the process is
 * still known.
 */
export async function fuzz(
  target: Target,
  options: { readonly seconds: number; readonly seed: number; readonly keep: (input: Buffer) => void },
): Promise<Fuzzed> {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  const random = randomOf(options.seed);
  const reached = new Set<string>();
  const corpus = [...target.seeds];
  const findings: Finding[] = [];
  let executions = 0;
  const run = (input: Buffer): void => {
    options.keep(input);
    executions += 1;
    try {
      target.run(input);
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      if (findings.length < mostFindings) findings.push({ target: target.name, input, error: text });
    }
  };
  const isNew = async (): Promise<boolean> => {
    const { result } = await session.post('Profiler.takePreciseCoverage');
    return addReached(result, reached);
  };
  try {
    for (const seed of corpus) run(seed);
    await isNew();
    const end = performance.now() + options.seconds * 1_000;
    while (performance.now() < end) {
      const inputs = Array.from({ length: batch }, () => mutate(corpus, target.words, random));
      for (const input of inputs) run(input);
      if (!(await isNew())) continue;
      // Which of the batch it was is not told: all are small steps from what is known.
      corpus.push(...inputs.slice(0, 5));
    }
  } finally {
    await session.post('Profiler.stopPreciseCoverage');
    session.disconnect();
  }
  return { executions, corpus: corpus.length, reached: reached.size, findings };
}

function addReached(scripts: readonly Profiler.ScriptCoverage[], reached: Set<string>): boolean {
  const before = reached.size;
  for (const { url, functions } of scripts) {
    if (!url.includes('/src/') && !url.includes('/node_modules/yaml/')) continue;
    for (const { ranges } of functions)
      for (const { startOffset, endOffset, count } of ranges)
        if (count > 0)
          reached.add(`${url}:${startOffset}:${endOffset}:${Math.min(8, 32 - Math.clz32(count))}`);
  }
  return reached.size > before;
}

type Random = (below: number) => number;

/** Mulberry32: small, and the same everywhere for one seed. */
function randomOf(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

function mutate(corpus: readonly Buffer[], words: readonly string[], random: Random): Buffer {
  let input: Buffer = Buffer.from(corpus[random(corpus.length)] ?? Buffer.alloc(0));
  for (let change = 1 + random(6); change > 0; change -= 1) {
    const at = random(input.length + 1);
    const length = random(Math.min(40, input.length - at) + 1);
    const [head, cut, tail] = [
      input.subarray(0, at),
      input.subarray(at, at + length),
      input.subarray(at + length),
    ];
    switch (random(7)) {
      case 0:
        if (at < input.length) input[at] = random(256);
        break;
      case 1:
        input = Buffer.concat([head, tail]);
        break;
      case 2:
        input = Buffer.concat([head, cut, cut, tail]);
        break;
      case 3:
      case 4:
        input = Buffer.concat([head, Buffer.from(words[random(words.length)] ?? ''), tail]);
        break;
      case 5: {
        const other = corpus[random(corpus.length)] ?? input;
        const from = random(other.length + 1);
        input = Buffer.concat([head, other.subarray(from, from + random(200)), tail]);
        break;
      }
      default:
        input = Buffer.concat([head, Buffer.alloc(1 + random(200), random(256)), tail]);
    }
  }
  return input.subarray(0, longestInput);
}
