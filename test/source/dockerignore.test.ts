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

  it('names a pattern that cannot be understood', () => {
    expect(() => parseDockerignore('web/.dockerignore', 'ok\n[z-a]')).toThrow(
      expect.objectContaining({
        code: 'BuildFailed',
        message: expect.stringMatching(/web\/\.dockerignore.*"\[z-a\]"/),
      }),
    );
  });
});
