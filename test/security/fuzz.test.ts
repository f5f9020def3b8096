/** That the fuzzer finds what is there to be found: one that finds nothing says nothing otherwise. */
import { expect, it } from 'vitest';
import { fuzz, type Target } from './coverage-guided.js';
import { targets } from './fuzz-targets.js';

const options = { seconds: 2, seed: 1, keep: () => undefined };

function targetNamed(name: string): Target {
  const found = targets.find((target) => target.name === name);
  if (found === undefined) throw new Error(`there is no target ${name}`);
  return found;
}

it('reports each input that fails, as it was, and goes on', async () => {
  const seen: Buffer[] = [];
  const { findings, executions } = await fuzz(
    {
      name: 'planted',
      seeds: [Buffer.from('a')],
      words: ['needle'],
      run: (input) => {
        if (input.includes('needle')) throw new TypeError('found it');
      },
    },
    { ...options, keep: (input) => void seen.push(Buffer.from(input)) },
  );
  expect(seen).toHaveLength(executions);
  expect(findings.length).toBeGreaterThan(1);
  for (const { target, input, error } of findings) {
    expect(target).toBe('planted');
    expect(input.toString('latin1')).toContain('needle');
    expect(error).toContain('found it');
    expect(seen.some((each) => each.equals(input))).toBe(true);
  }
});

it.each(['manifest', 'settings', 'journal', 'nginx'])(
  'keeps inputs of the target %s that reach code no other has reached',
  async (name) => {
    const target = targetNamed(name);
    const { corpus, reached, findings } = await fuzz(target, options);
    expect(findings).toEqual([]);
    expect(corpus).toBeGreaterThan(target.seeds.length);
    expect(reached).toBeGreaterThan(10);
  },
);
