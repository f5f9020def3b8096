import { describe, expect, it } from 'vitest';
import { assembleDesired, type LiveClaims } from '../../src/manifest/assemble.js';
import { unreadableFile } from '../../src/manifest/parse.js';
import type { DesiredState } from '../../src/manifest/project.js';
import { manifest, parse } from './support.js';

const nothingLive: LiveClaims = { names: new Map(), domains: new Map() };

interface Example {
  /** Name → domains; no domains: the default one. */
  readonly files: readonly (readonly [name: string, domains?: readonly string[]])[];
  /** Domain → project. */
  readonly live?: Readonly<Record<string, string>>;
  /** Extra text of the manifest of this name. */
  readonly broken?: string;
}

function assemble({ files, live = {}, broken }: Example): DesiredState {
  const parsed = files.map(([name, domains], index) => {
    const route = domains === undefined ? '' : `route: { domains: [${domains.join(', ')}] }\n`;
    return parse(
      manifest(`${route}${name === broken ? 'wrong: true\n' : ''}`, name),
      `projects/${index}.yaml`,
    );
  });
  const owners = Object.values(live);
  return assembleDesired('c0ffee', parsed, {
    baseDomain: 'apps.example.com',
    live: { names: new Map(owners.map((name) => [name, null])), domains: new Map(Object.entries(live)) },
  });
}

describe('assembleDesired', () => {
  it('fills in the default domain from the name and the base domain', () => {
    const { projects, commit, problems, removalsHeldBecause } = assemble({
      files: [['shop'], ['blog', ['b.example.com']]],
    });
    expect(projects.get('shop')?.project.route.domains).toEqual(['shop.apps.example.com']);
    expect(projects.get('blog')?.project.route.domains).toEqual(['b.example.com']);
    expect(projects.get('shop')).toMatchObject({ file: 'projects/0.yaml', line: 1 });
    expect({ commit, problems, removalsHeldBecause }).toEqual({
      commit: 'c0ffee',
      problems: [],
      removalsHeldBecause: null,
    });
  });

  it('gives a name that is claimed twice to nobody and names every place', () => {
    const { projects, invalid, problems } = assemble({ files: [['shop'], ['shop'], ['blog']] });
    expect([...projects.keys()]).toEqual(['blog']);
    expect([...invalid.keys()]).toEqual(['shop']);
    expect(problems.map(({ file, line, path }) => [file, line, path])).toEqual([
      ['projects/0.yaml', 3, '/name'],
      ['projects/1.yaml', 3, '/name'],
    ]);
    for (const { message } of problems) expect(message).toContain('projects/0.yaml:3, projects/1.yaml:3');
    expect(problems[0]?.message).toContain('none of them is used');
  });

  it('says that a running project with a repeated name runs on', () => {
    const { problems } = assemble({ files: [['shop'], ['shop']], live: { 'shop.apps.example.com': 'shop' } });
    expect(problems[0]?.message).toContain('shop runs on as it was');
  });

  it('counts the name of a document that is invalid for another reason', () => {
    const files = [parse(manifest('', 'shop'), 'a.yaml'), parse(manifest('wrong: 1', 'shop'), 'b.yaml')];
    const { projects, invalid } = assembleDesired('c', files, { baseDomain: 'localhost', live: nothingLive });
    expect(projects.size).toBe(0);
    expect(invalid.get('shop')).toHaveLength(3);
  });

  it.each<[string, Example, readonly string[]]>([
    [
      'nobody when nobody serves it',
      { files: [['a', ['x.example.com']], ['b', ['x.example.com']], ['c']] },
      ['c'],
    ],
    [
      'the project that serves it',
      {
        files: [
          ['a', ['x.example.com']],
          ['b', ['x.example.com']],
        ],
        live: { 'x.example.com': 'b' },
      },
      ['b'],
    ],
    [
      'the only one that claims it, though another serves it',
      {
        files: [
          ['a', ['x.example.com']],
          ['b', ['y.example.com']],
        ],
        live: { 'x.example.com': 'b' },
      },
      ['a', 'b'],
    ],
    [
      'two projects that trade',
      {
        files: [
          ['a', ['y.example.com']],
          ['b', ['x.example.com']],
        ],
        live: { 'x.example.com': 'a', 'y.example.com': 'b' },
      },
      ['a', 'b'],
    ],
    [
      'the only one, when the project that serves it has no manifest',
      { files: [['a', ['x.example.com']]], live: { 'x.example.com': 'gone' } },
      ['a'],
    ],
    [
      'nobody, when two claim it and the project that serves it has no manifest',
      {
        files: [
          ['a', ['x.example.com']],
          ['b', ['x.example.com']],
        ],
        live: { 'x.example.com': 'gone' },
      },
      [],
    ],
    [
      'the invalid project that serves it',
      {
        files: [
          ['a', ['x.example.com']],
          ['b', ['x.example.com']],
        ],
        live: { 'x.example.com': 'b' },
        broken: 'b',
      },
      [],
    ],
    [
      'the invalid project that serves it, though its manifest gives it up',
      {
        files: [
          ['a', ['x.example.com']],
          ['b', ['z.example.com']],
        ],
        live: { 'x.example.com': 'b' },
        broken: 'b',
      },
      [],
    ],
    [
      'a valid project when the other claim is invalid and not served',
      {
        files: [
          ['a', ['x.example.com']],
          ['b', ['x.example.com']],
        ],
        broken: 'b',
      },
      ['a'],
    ],
    ['a default domain like a written one', { files: [['a'], ['b', ['a.apps.example.com']]] }, []],
    [
      'domains in capitals like small ones',
      {
        files: [
          ['a', ['X.example.com']],
          ['b', ['x.EXAMPLE.com']],
        ],
      },
      [],
    ],
  ])('gives a domain to %s', (_, example, valid) => {
    const { projects, invalid } = assemble(example);
    expect([...projects.keys()].sort()).toEqual(valid);
    expect([...invalid.keys()].sort()).toEqual(
      example.files
        .map(([name]) => name)
        .filter((name) => !valid.includes(name))
        .sort(),
    );
  });

  it('lets a project that lost one domain keep what it serves, and so on down the chain', () => {
    // a loses p to z, so it stays on x, which b wanted; b stays on y, which c wanted.
    const { projects, problems } = assemble({
      files: [
        ['z', ['p.example.com']],
        ['a', ['p.example.com']],
        ['b', ['x.example.com']],
        ['c', ['y.example.com']],
      ],
      live: { 'p.example.com': 'z', 'x.example.com': 'a', 'y.example.com': 'b' },
    });
    expect([...projects.keys()]).toEqual(['z']);
    expect(problems.map(({ project }) => project)).toEqual(['a', 'b', 'c']);
  });

  it('lets a project that lost a contest keep what it serves', () => {
    const { projects } = assemble({
      files: [
        ['a', ['n.example.com']],
        ['b', ['x.example.com']],
        ['c', ['n.example.com']],
      ],
      live: { 'x.example.com': 'a' },
    });
    expect([...projects.keys()]).toEqual([]);
  });

  it('frees the other domains of a project that lost one', () => {
    const { projects } = assemble({
      files: [
        ['z', ['p.example.com']],
        ['a', ['p.example.com', 'q.example.com']],
        ['b', ['q.example.com']],
      ],
      live: { 'p.example.com': 'z' },
    });
    expect([...projects.keys()].sort()).toEqual(['b', 'z']);
  });

  it('puts the problem of a lost domain where the domain stands', () => {
    const { problems } = assemble({
      files: [
        ['a', ['q.example.com', 'x.example.com']],
        ['b', ['x.example.com']],
      ],
      live: { 'x.example.com': 'b' },
    });
    expect(problems).toMatchObject([
      {
        file: 'projects/0.yaml',
        line: 5,
        path: '/route/domains/1',
        project: 'a',
        message: 'the domain x.example.com is served by b: choose another one, or give it up there first',
      },
    ]);
  });

  it('does not depend on the order of the files', () => {
    const files: Example['files'] = [
      ['a', ['x.example.com', 'y.example.com']],
      ['b', ['x.example.com']],
      ['c', ['y.example.com', 'z.example.com']],
      ['d', ['z.example.com']],
    ];
    const live = { 'z.example.com': 'd', 'x.example.com': 'c' };
    const forwards = [...assemble({ files, live }).projects.keys()].sort();
    const backwards = [...assemble({ files: [...files].reverse(), live }).projects.keys()].sort();
    expect(forwards).toEqual(backwards);
  });

  it.each([
    ['there are no files', []],
    ['all files are empty', [parse('# nothing\n')]],
    ['a document has no name', [parse(manifest()), parse('kind: Project\n', 'projects/b.yaml')]],
    [
      'a file cannot be read',
      [parse(manifest()), unreadableFile('projects/b.yaml', 'this is a symbolic link')],
    ],
  ])('holds removals back when %s', (_, files) => {
    const { removalsHeldBecause } = assembleDesired('c', files, {
      baseDomain: 'localhost',
      live: nothingLive,
    });
    expect(removalsHeldBecause).toEqual(expect.any(String));
  });

  it('holds no removals back for a document that is invalid but has a name', () => {
    const { removalsHeldBecause } = assemble({ files: [['a'], ['b']], broken: 'b' });
    expect(removalsHeldBecause).toBeNull();
  });

  it('settles thousands of projects that all trade domains', () => {
    const count = 3_000;
    const files = Array.from(
      { length: count },
      (_, index) => [`p${index}`, [index === 0 ? 'first.example.com' : `d${index - 1}.example.com`]] as const,
    );
    const live = Object.fromEntries(
      Array.from({ length: count }, (_, index) => [`d${index}.example.com`, `p${index}`]),
    );
    const { projects } = assemble({ files, live: { ...live, 'first.example.com': 'p0' }, broken: 'p0' });
    expect(projects.size).toBe(0);
  });
});
