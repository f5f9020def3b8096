import dockerignore from '@balena/dockerignore';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseDockerignore } from '../../src/source/dockerignore.js';

describe('parseDockerignore', () => {
  // Expected values are what the builder does (moby's patternmatcher, MatchesOrParentMatches).
  it.each([
    ['node_modules', 'node_modules/a/b.js', true],
    ['node_modules', 'web/node_modules/a', false],
    ['**/node_modules', 'web/node_modules/a', true],
    ['**/*.md', 'README.md', true],
    ['*.md', 'docs/README.md', false],
    ['*.md\n!README.md', 'README.md', false],
    ['!README.md\n*.md', 'README.md', true],
    ['*\n!src', 'src/deep/x', false],
    ['*\n!src\nsrc/secret', 'src/secret/x', true],
    ['/dist/', 'dist/x', true],
    ['# dist', 'dist', false],
    ['dist\r\nbuild\r\n', 'build', true],
    ['\uFEFFdist', 'dist', true],
    ['\uFEFF#dist', '#dist', false],
    ['Dist', 'dist', false],
    ['a?c', 'abc', true],
    ['a?c', 'a/c', false],
    ['[ab].js', 'b.js', true],
    ['[^a].js', 'b.js', true],
    ['[^a].js', 'a.js', false],
    ['app/(admin)', 'app/(admin)/page.tsx', true],
    ['app/(admin)', 'app/admin/page.tsx', false],
    ['c++', 'c++/x', true],
    ['c++', 'ccc', false],
    ['a|b', 'a', false],
    ['{a,b}', '{a,b}', true],
    ['a.c', 'abc', false],
    ['\\!x', '!x', true],
    ['a\\*', 'a*', true],
    ['a\\*', 'ab', false],
    ['./dist', 'dist', true],
    ['a/../dist', 'dist', true],
    ['**', 'anything/at/all', true],
    ['foo/**', 'foo/bar/x', true],
    ['foo/**', 'foo', false],
    ['foo/**/bar', 'foo/bar', true],
    ['foo/**/bar', 'foo/x/y/bar/z', true],
    ['', 'x', false],
  ])('%j on %j', (patterns, path, ignored) => {
    expect(parseDockerignore('.dockerignore', patterns)(path)).toBe(ignored);
  });

  it('answers the same after any number of questions', () => {
    const ignores = parseDockerignore('.dockerignore', 'x*');
    for (let index = 0; index < 10_000; index += 1) ignores(`y${index}`);
    expect([ignores('x1'), ignores('y1')]).toEqual([true, false]);
  });

  it.each(['[z-a]', '[', '[]', '[^]', '[a', '[a-', '[a\\', 'x\\'])(
    'names %j, which cannot be understood',
    (pattern) => {
      expect(() => parseDockerignore('web/.dockerignore', `ok\n${pattern}`)).toThrow(
        expect.objectContaining({
          code: 'BuildFailed',
          message: expect.stringContaining(`web/.dockerignore has the pattern ${JSON.stringify(pattern)}`),
        }),
      );
    },
  );

  // But for `**` within a part: the port looks at too few of the folders above the path then.
  it('means what a port of moby means, for any patterns and paths', () => {
    const name = fc.string({ unit: fc.constantFrom('a', 'b', '.', '-'), minLength: 1, maxLength: 3 });
    const part = fc.oneof(name, fc.constantFrom('*', '**', '?', 'a*', '*b', '[ab]', '[^a]*', '\\a'));
    const pattern = fc
      .tuple(fc.constantFrom('', '', '!', '/'), fc.array(part, { minLength: 1, maxLength: 4 }))
      .map(([before, parts]) => before + parts.join('/'));
    const path = fc.array(
      name.filter((text) => !/^\.+$/.test(text)),
      { minLength: 1, maxLength: 4 },
    );
    fc.assert(
      fc.property(fc.array(pattern, { minLength: 1, maxLength: 4 }), path, (patterns, parts) => {
        const port = dockerignore.default({ ignorecase: false }).add([...patterns]);
        const own = parseDockerignore('.dockerignore', patterns.join('\n'));
        expect(own(parts.join('/'))).toBe(port.ignores(parts.join('/')));
      }),
      { numRuns: 2_000 },
    );
  });

  it('knows no name that means something to JavaScript', () => {
    for (const name of ['constructor', '__proto__', 'toString'])
      expect(parseDockerignore('.dockerignore', name)(name)).toBe(true);
  });
});
