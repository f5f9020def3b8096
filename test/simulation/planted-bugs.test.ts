import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { plantedBugs } from './planted-bugs.mjs';

describe('a bug that can be planted', () => {
  it.each(plantedBugs)('finds its place: $name', async ({ file, from }) => {
    const text = await readFile(new URL(`../../${file}`, import.meta.url), 'utf8');
    expect(text.split(from)).toHaveLength(2);
  });
});
