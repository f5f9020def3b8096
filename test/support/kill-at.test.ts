import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { killAtArguments, type KillAt } from './controller.js';

/** Appends three records as the journal does, each followed by its effect on stdout. */
const program = `
  import { open } from 'node:fs/promises';
  const file = await open(process.argv[1], 'w');
  let position = 0;
  for (const to of ['building', 'starting', 'probing']) {
    const line = Buffer.from(JSON.stringify({ type: 'deployment', to, detail: { slot: 'blue', tail: ['ä'] } }) + '\\n');
    position += (await file.write(line, 0, line.length, position)).bytesWritten;
    await file.datasync();
    console.log('effect of ' + to);
  }
`;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pointsman-kill-at-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function run(killAt: KillAt): Promise<{ effects: string[]; lines: string[]; signal: string | null }> {
  const journal = join(folder, 'journal.jsonl');
  const { args, env } = killAtArguments(killAt);
  const child = spawn(process.execPath, [...args, '--input-type=module', '--eval', program, journal], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  const [, signal] = (await once(child, 'close')) as [number | null, string | null];
  return { effects: lines(output), lines: lines(await readFile(journal, 'utf8')), signal };
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

const starting = { type: 'deployment', to: 'starting', detail: { slot: 'blue' } };

describe('the kill hook', () => {
  it('kills after the record is written and before its effect', async () => {
    const seen = await run({ record: starting, when: 'after' });
    expect(seen.signal).toBe('SIGKILL');
    expect(seen.effects).toEqual(['effect of building']);
    expect(seen.lines).toHaveLength(2);
    expect(seen.lines[1]).toContain('"starting"');
  });

  it('kills after the effect before and without the record', async () => {
    const seen = await run({ record: starting, when: 'before' });
    expect(seen).toMatchObject({ signal: 'SIGKILL', effects: ['effect of building'] });
    expect(seen.lines).toHaveLength(1);
  });

  it('leaves half of a line', async () => {
    const seen = await run({ record: starting, when: 'torn' });
    expect(seen.signal).toBe('SIGKILL');
    expect(seen.lines).toHaveLength(2);
    expect(() => JSON.parse(seen.lines[1] ?? '') as unknown).toThrow();
  });

  it('lets as many matching records pass as it is told to', async () => {
    const seen = await run({ record: { type: 'deployment' }, when: 'after', skip: 2 });
    expect(seen.signal).toBe('SIGKILL');
    expect(seen.effects).toEqual(['effect of building', 'effect of starting']);
  });

  it('lets a process live that never writes the record', async () => {
    const seen = await run({ record: { ...starting, detail: { slot: 'green' } }, when: 'after' });
    expect(seen.signal).toBeNull();
    expect(seen.effects).toHaveLength(3);
  });
});
