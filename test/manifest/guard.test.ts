import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { Composer, isCollection, isPair, type ParsedNode } from 'yaml';
import { describe, expect, it } from 'vitest';
import { deepestNesting, guard, largestFileBytes } from '../../src/manifest/guard.js';
import { bytesOf, lines, manifest, parse } from './support.js';

describe('guard', () => {
  it.each([
    ['[', '['],
    ['{', '{'],
    ['[{', '[{a: '],
    ['block lists', '- '],
    ['block mappings on one line', 'a: '],
    ['explicit keys', '? '],
  ])('refuses a thousand levels of %s before they reach the parser', (_, unit) => {
    const result = guard(bytesOf(unit.repeat(1000)));
    expect(result).toMatchObject({ ok: false, line: 1 });
    expect(result).toHaveProperty(
      'message',
      `lists and mappings are nested deeper than ${deepestNesting}: flatten them`,
    );
  });

  it('refuses levels of indentation', () => {
    const text = Array.from({ length: 80 }, (_, depth) => `${' '.repeat(depth)}a:\n`).join('');
    expect(guard(bytesOf(text))).toMatchObject({ ok: false, line: deepestNesting + 1 });
  });

  it('takes exactly the allowed depth', () => {
    const flow = (depth: number) => bytesOf('['.repeat(depth) + ']'.repeat(depth));
    expect(guard(flow(deepestNesting)).ok).toBe(true);
    expect(guard(flow(deepestNesting + 1)).ok).toBe(false);
  });

  it('counts no brackets in strings, comments and block scalars', () => {
    const many = '[{'.repeat(500);
    const text = manifest(
      `run:\n  command: [sh, -c, '${many}', "${many}"] # ${many}\n  env:\n    A: |\n      ${many}\n      - - - - -\n    B: a${many}\n`,
    );
    expect(lines(parse(text).problems)).toEqual([]);
  });

  it('keeps the process alive where the bare parser kills it', () => {
    const script = `
      import { parseManifests } from './src/manifest/parse.ts';
      const deep = new TextEncoder().encode('a: ' + '['.repeat(1000));
      for (let turn = 0; turn < 200; turn += 1) parseManifests('a.yaml', deep);
      process.stdout.write('alive');
    `;
    const output = execFileSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      cwd: new URL('../..', import.meta.url),
      encoding: 'utf8',
      timeout: 60_000,
    });
    expect(output).toBe('alive');
  });

  it('refuses a file that is too large by its size alone', () => {
    expect(guard(new Uint8Array(largestFileBytes + 1).fill(0x20))).toMatchObject({
      ok: false,
      line: 0,
      column: 0,
    });
    expect(guard(new Uint8Array(largestFileBytes).fill(0x20)).ok).toBe(true);
  });

  it.each([
    ['a byte that is not UTF-8', Uint8Array.from([0x61, 0x0a, 0x62, 0x0a, 0x62, 0xff, 0x0a]), 3, 'not UTF-8'],
    ['UTF-16', Uint8Array.from([0xff, 0xfe, 0x61, 0x00]), 1, 'not UTF-8'],
    ['a cut character', Uint8Array.from([0x61, 0x0a, 0xe2, 0x82]), 2, 'not UTF-8'],
    ['a NUL byte', Uint8Array.from([0x61, 0x0a, 0x00]), 2, 'U+0000'],
    ['an escape character', Uint8Array.from([0x61, 0x0a, 0x61, 0x1b]), 2, 'U+001B'],
  ])('refuses %s and names its line', (_, bytes, line, text) => {
    const result = guard(bytes);
    expect(result).toMatchObject({ ok: false, line });
    expect(result).toHaveProperty('message', expect.stringContaining(text));
  });

  it('takes a byte order mark and line ends of Windows', () => {
    expect(parse(`\ufeff${manifest().replaceAll('\n', '\r\n')}`)).toMatchObject({
      problems: [],
      projects: [{}],
    });
  });

  it('never lets a tree through that is much deeper than it counted', () => {
    const pieces = fc.constantFrom(
      '[',
      ']',
      '{',
      '}',
      '- ',
      '? ',
      ': ',
      ', ',
      'a',
      "'",
      '"',
      '|\n',
      '#',
      '\n',
      '  ',
      '\t',
      '&x ',
      '---\n',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 400 }), (parts) => {
        const result = guard(bytesOf(parts.join('')));
        if (!result.ok) return;
        for (const document of new Composer({ logLevel: 'silent' }).compose(result.tokens)) {
          expect(depthOf(document.contents)).toBeLessThanOrEqual(2 * deepestNesting + 2);
        }
      }),
      { numRuns: 500 },
    );
  });
});

function depthOf(root: ParsedNode | null): number {
  let depth = 0;
  let level: unknown[] = [root];
  while (level.length > 0) {
    const next = level.flatMap((node) =>
      isPair(node) ? [node.key, node.value] : isCollection(node) ? node.items : [],
    );
    if (level.some((node) => isCollection(node))) depth += 1;
    level = next;
  }
  return depth;
}
