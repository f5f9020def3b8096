import fc from 'fast-check';
import { posix } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ContextFilter, leadsOut, type ArchiveHeader } from '../../src/source/context-filter.js';

const file = (name: string, mode = 0o644): ArchiveHeader => ({ name, type: 'file', size: 1, mode });
const folder = (name: string): ArchiveHeader => ({
  name: `${name}/`,
  type: 'directory',
  size: 0,
  mode: 0o755,
});

function sent(headers: readonly ArchiveHeader[], ignored: readonly string[], always: readonly string[] = []) {
  const lines: string[] = [];
  const filter = new ContextFilter(
    (path) => ignored.includes(path),
    new Set(always),
    (line) => lines.push(line),
  );
  return { names: headers.flatMap((header) => filter.take(header).map(({ name }) => name)), lines };
}

describe('ContextFilter', () => {
  it('sends the parents of what is taken back, each once, and no others', () => {
    const headers = [
      folder('a'),
      folder('a/b'),
      file('a/b/1'),
      file('a/b/2'),
      folder('a/c'),
      file('a/c/3'),
      folder('d'),
      file('d/4'),
    ];
    const ignored = ['a', 'a/b', 'a/b/1', 'a/c', 'a/c/3', 'd', 'd/4'];
    expect(sent(headers, ignored).names).toEqual(['a/', 'a/b/', 'a/b/2']);
  });

  it('sends what is needed although it is ignored, and its folder', () => {
    expect(
      sent([folder('a'), file('a/Dockerfile'), file('a/x')], ['a', 'a/Dockerfile', 'a/x'], ['a/Dockerfile'])
        .names,
    ).toEqual(['a/', 'a/Dockerfile']);
  });

  it('takes a folder whose name begins with another one for itself', () => {
    expect(sent([folder('a'), file('a/1'), folder('ab'), file('ab/2')], ['a', 'a/1', 'ab']).names).toEqual([
      'ab/',
      'ab/2',
    ]);
  });

  it.each([
    [file('../x'), 'leads out'],
    [file('/etc/passwd'), 'leads out'],
    [file('a/../../x'), 'leads out'],
    [file('bad\uFFFDname'), 'not UTF-8'],
    [{ ...file('l'), type: 'symlink', linkname: '../x' } as const, 'symbolic link'],
    [{ ...file('l'), type: 'symlink', linkname: '' } as const, 'symbolic link'],
    [{ ...file('l'), type: 'link', linkname: '../x' } as const, 'hard link'],
    [{ ...file('l'), type: 'link', linkname: '/x' } as const, 'hard link'],
    [{ ...file('dev'), type: 'character-device' } as const, 'character-device'],
  ])('leaves out %j and says so', (header, reason) => {
    const { names, lines } = sent([header], []);
    expect(names).toEqual([]);
    expect(lines).toEqual([expect.stringContaining(reason)]);
  });

  it('leaves out what stands at or below a link that was sent, and nothing beside it', () => {
    const link = { ...file('a'), type: 'symlink', linkname: 'b' } as const;
    const { names, lines } = sent(
      [link, folder('a'), file('a/x'), folder('a/y'), file('ab'), folder('b')],
      [],
    );
    expect(names).toEqual(['a', 'ab', 'b/']);
    expect(lines).toHaveLength(3);
    for (const line of lines) expect(line).toContain('at or below a symbolic link');
  });

  it('says nothing of what is ignored anyway', () => {
    expect(sent([{ ...file('l'), type: 'symlink', linkname: '/x' }], ['l']).lines).toEqual([]);
  });

  it('gives every entry one time, owner and mode', () => {
    const filter = new ContextFilter(
      () => false,
      new Set(),
      () => undefined,
    );
    const [plain] = filter.take(file('a', 0o664));
    const [program] = filter.take(file('b', 0o775));
    expect(plain).toMatchObject({ mode: 0o644, uid: 0, gid: 0 });
    expect(program).toMatchObject({ mode: 0o755, mtime: plain?.mtime });
  });
});

describe('leadsOut', () => {
  const parts = fc.array(fc.constantFrom('..', '.', 'a', 'b', ''), { minLength: 1, maxLength: 8 });

  it('never lets a target pass that leads out by its names', () => {
    fc.assert(
      fc.property(parts, fc.integer({ min: 0, max: 4 }), (target, depth) => {
        const base = `/root${'/d'.repeat(depth)}`;
        const resolved = posix.resolve(base, target.join('/'));
        const isInside = resolved === '/root' || resolved.startsWith('/root/');
        if (!isInside) expect(leadsOut(target.join('/'), depth)).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  /**
   * A tree of links that all passed is walked the way a kernel does: each link's target from where the
   * link really stands. Nothing gets above the root, however links lead through links.
   */
  it('never lets links pass that lead out through each other', () => {
    const names = ['a', 'b', 'c'];
    const places = names.flatMap((one) => [one, ...names.map((two) => `${one}/${two}`)]);
    const links = fc.dictionary(
      fc.constantFrom(...places),
      parts.map((list) => list.join('/')),
      { maxKeys: 6 },
    );
    fc.assert(
      fc.property(links, (written) => {
        const isLink = new Set(Object.keys(written));
        // Nothing stands below a link in a tree.
        const passed = new Map(
          Object.entries(written).filter(([path, target]) =>
            !isLink.has(path.split('/')[0] ?? '') || !path.includes('/')
              ? !leadsOut(target, path.split('/').length - 1)
              : false,
          ),
        );
        for (const path of passed.keys()) expect(escapes(path, passed)).toBe(false);
      }),
      { numRuns: 1000 },
    );
  });

  function escapes(path: string, links: ReadonlyMap<string, string>): boolean {
    let at: string[] = [];
    const todo = path.split('/');
    for (let steps = 0; todo.length > 0 && steps < 200; steps += 1) {
      const part = todo.shift() ?? '';
      if (part === '' || part === '.') continue;
      if (part === '..') {
        if (at.length === 0) return true;
        at = at.slice(0, -1);
        continue;
      }
      const target = links.get([...at, part].join('/'));
      if (target === undefined) at = [...at, part];
      else todo.unshift(...target.split('/'));
    }
    return false;
  }

  it.each([
    ['dir/file', 0, false],
    ['../x', 1, false],
    ['../../x', 1, true],
    ['./../x', 1, false],
    ['a/../b', 3, true],
    ['/x', 3, true],
    ['', 3, true],
  ])('%j from depth %i', (target, depth, out) => {
    expect(leadsOut(target, depth)).toBe(out);
  });
});
