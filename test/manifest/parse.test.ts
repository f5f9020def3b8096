import { describe, expect, it } from 'vitest';
import { mostProblems } from '../../src/manifest/problems.js';
import { lines, manifest, parse } from './support.js';

const head = 'apiVersion: pointsman.dev/v1\nkind: Project\nname: shop\n';

describe('parseManifests', () => {
  it('reads several documents of a file, each with its line', () => {
    const { projects, problems, namelessDocuments } = parse(
      `# shops\n---\n${manifest('', 'shop')}---\n# nothing\n---\n${manifest('', 'blog')}...\n`,
    );
    expect(projects.map(({ project, file, line }) => [project.name, file, line])).toEqual([
      ['shop', 'projects/a.yaml', 3],
      ['blog', 'projects/a.yaml', 10],
    ]);
    expect(problems).toEqual([]);
    expect(namelessDocuments).toBe(0);
  });

  it.each(['', '\n\n', '# only a comment\n', '---\n', '---\n---\n# a\n...\n'])(
    'takes %j as no document',
    (text) => {
      expect(parse(text)).toMatchObject({ projects: [], invalid: [], problems: [], namelessDocuments: 0 });
    },
  );

  it('remembers where the name and each domain stand', () => {
    const [candidate] = parse(
      manifest('route:\n  domains:\n    - a.example.com\n    - b.example.com\n'),
    ).projects;
    expect(candidate?.namePlace).toEqual({ line: 3, column: 7 });
    expect(candidate?.domainPlaces).toEqual([
      { line: 7, column: 7 },
      { line: 8, column: 7 },
    ]);
  });

  it('reports every problem with its place, not the first', () => {
    const text = [
      'apiVersion: v2',
      'kind: Projekt',
      'name: shop',
      'port: 3',
      'source: { repo: shop.git, ref: 1.0, comit: abc }',
      'run:',
      '  port: abc',
      '  env: { A: 1, PORT: "3" }',
      '  volumes: [{ name: data }]',
      '  command: []',
      'rollout:',
    ].join('\n');
    expect(lines(parse(text).problems)).toEqual([
      '1:13 /apiVersion apiVersion is "v2": expected "pointsman.dev/v1"',
      '2:7 /kind kind is "Projekt": expected "Project"',
      '4:1 /port port is not a known key: did you mean run.port',
      '5:17 /source/repo source.repo is "shop.git": the address is not one of a repository: use https://, http://, ssh://, user@host:path or an absolute path',
      '5:32 /source/ref source.ref is 1.0 (a number): expected text; put it in quotes',
      '5:37 /source/comit source.comit is not a known key: did you mean source.commit',
      '7:9 /run/port run.port is "abc": expected a whole number from 1 to 65535',
      '8:13 /run/env/A run.env.A is 1 (a number): expected text; put it in quotes',
      '9:13 /run/volumes/0/path run.volumes[0].path is missing: add it as text, for example "/data"',
      '10:12 /run/command run.command is an empty list: add an item or remove the key',
      '11:9 /rollout rollout is empty: expected a mapping with drain, keepPrevious, or no such key at all',
    ]);
  });

  it.each([
    ['image: nginx\nsource: { repo: /srv/a }', 'source and image are both given'],
    ['', 'source or image is missing'],
  ])('says in one sentence what is wrong with source and image in %j', (rest, message) => {
    const { problems } = parse(head + rest);
    expect(problems).toMatchObject([{ path: '', message: expect.stringContaining(message) as string }]);
  });

  it('wants build only beside source', () => {
    expect(lines(parse(`${head}image: nginx\nbuild: { target: a }\n`).problems)).toEqual([
      '5:1 /build build is only used together with source: add that or remove this',
    ]);
  });

  it.each([
    ['run: { prot: 1 }', 'run.prot is not a known key: did you mean run.port'],
    ['run: { Port: 1 }', 'run.Port is not a known key: did you mean run.port'],
    [
      'health: { keepPrevious: 1s }',
      'health.keepPrevious is not a known key: did you mean rollout.keepPrevious',
    ],
    ['run: { read_only: true }', 'run.read_only is not a known key: did you mean run.readOnly'],
    [
      'rollout: { zzzzzz: 1 }',
      'rollout.zzzzzz is not a known key: remove it, or use one of drain, keepPrevious',
    ],
  ])('suggests the key that %s meant', (rest, message) => {
    expect(parse(manifest(rest)).problems.map((problem) => problem.message)).toEqual([message]);
  });

  it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty', '<<'])(
    'takes %s for an unknown key',
    (key) => {
      const { problems, invalid } = parse(manifest(`${key}: { polluted: true }\n`));
      expect(problems).toMatchObject([{ line: 5, column: 1, path: `/${key}` }]);
      expect(problems[0]?.message).toContain(`${key} is not a known key`);
      expect(invalid.map(({ name }) => name)).toEqual(['shop']);
      expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    },
  );

  it.each([
    ['run: { env: { PORT: "1" } }', '/run/env/PORT', 'run.env.PORT is set by pointsman'],
    ['run: { secrets: [PORT] }', '/run/secrets/0', 'run.secrets holds PORT'],
    [
      'run: { env: { A: a }, secrets: [B, A] }',
      '/run/secrets/1',
      'run.secrets holds A, which run.env sets as well',
    ],
    ['run: { secrets: [A, A] }', '/run/secrets', 'run.secrets holds "A" twice'],
    [
      'run: { volumes: [{ name: a, path: /a }, { name: a, path: /b }] }',
      '/run/volumes/1/name',
      'run.volumes[1].name is "a"',
    ],
    [
      'run: { volumes: [{ name: a, path: /a }, { name: b, path: /a/ }] }',
      '/run/volumes/1/path',
      'run.volumes[1].path is "/a"',
    ],
    [
      'route: { domains: [a.example.com, A.example.com] }',
      '/route/domains/1',
      'route.domains[1] is "a.example.com"',
    ],
    ['run: { command: ["", a] }', '/run/command/0', 'run.command[0] is empty'],
  ])('finds the contradiction in %s', (rest, path, message) => {
    expect(parse(manifest(rest)).problems).toMatchObject([
      { path, project: 'shop', message: expect.stringContaining(message) as string },
    ]);
  });

  it('refuses duplicate keys, aliases, anchors, tags and merge keys, each at its place', () => {
    const text = manifest(
      'run: &run\n  port: 80\n  port: 81\n  user: !secret x\n  env: *other\nroute:\n  <<: *run\nsuspend: !!bool "true"\n',
    );
    expect(lines(parse(text).problems)).toEqual([
      '6:3 /run the anchor &run is not used: remove it',
      '7:3 /run/port the key port is given twice: keep one of them',
      '8:17 /run/user the tag !secret is not known: remove it',
      '9:8 /run/env the alias *other is not followed: write the value out',
      '11:7 /route/<< the alias *run is not followed: write the value out',
    ]);
  });

  it('reads YAML 1.2: words of 1.1 are text, and a directive cannot change that', () => {
    expect(parse(manifest('run: { env: { A: yes, B: off, C: 0o7x, D: 1_000 } }')).problems).toEqual([]);
    const { problems, projects, invalid } = parse(`%YAML 1.1\n---\n${manifest('run: { env: { A: yes } }')}`);
    expect(lines(problems)).toEqual(['1:1  the directive %YAML 1.1 is not used: remove the line']);
    expect(projects).toEqual([]);
    expect(invalid).toMatchObject([{ name: 'shop', problems: [{}] }]);
  });

  it('keeps a document with a name and an error apart from its neighbours', () => {
    const { projects, invalid, namelessDocuments } = parse(
      `${manifest('run: { port: x }', 'bad')}\n---\n${manifest('', 'good')}`,
    );
    expect(projects.map(({ project }) => project.name)).toEqual(['good']);
    expect(invalid).toMatchObject([
      { name: 'bad', line: 3, column: 7, problems: [{ path: '/run/port', project: 'bad' }] },
    ]);
    expect(namelessDocuments).toBe(0);
  });

  it('knows the name of a document with a syntax error, and says nothing else about it', () => {
    const { invalid, namelessDocuments, problems } = parse('name: shop\nport: 1\n\trun: 3\n');
    expect(invalid.map(({ name }) => name)).toEqual(['shop']);
    expect(namelessDocuments).toBe(0);
    expect(lines(problems)).toEqual([
      '3:1  this is not valid yaml: tabs are not allowed as indentation; indent with spaces',
    ]);
  });

  it.each([
    ['foo: [1, 2\n', '1:6', '['],
    ['foo: [1, 2\nbar: c\n', '1:6', '['],
    ['run: { port: 3000\nroute: { domains: [a] }\n', '1:6', '{'],
    ['run: { env: { A: b }\n', '1:6', '{'],
    ['run: { user: "node }\nsuspend: true\n', '1:14', '"'],
    ["a: b\nc: 'it''s\n", '2:4', "'"],
    ['a: "\\"\n', '1:4', '"'],
    ['a: [1, {b: 2]\n', '1:8', '{'],
    ['a:\n  - {x: [1, 2}\n', '2:9', '['],
    ['a: [1\nb: c: d\n', '1:4', '['],
  ])('says once where what is never closed begins: %j', (text, place, opening) => {
    const closing = { '[': ']', '{': '}' }[opening] ?? opening;
    expect(lines(parse(text).problems)).toEqual([
      `${place}  this is not valid yaml: this ${opening} is never closed; close it with ${closing}`,
    ]);
  });

  it('says of a bracket that is closed on a line without indentation what else may be meant', () => {
    expect(lines(parse('a: [1,\n2]\n').problems)).toEqual([
      '1:4  this is not valid yaml: this [ is never closed; close it with ], or indent the lines up to its end',
    ]);
  });

  it('tells what stands before something unclosed, and the documents beside it', () => {
    expect(lines(parse(`a: 'it's'\nb: [1\n---\nc: {d\n`).problems)).toEqual([
      expect.stringMatching(/^1:8 /) as string,
      expect.stringMatching(/^2:4 .*this \[ is never closed/) as string,
      expect.stringMatching(/^4:4 .*this \{ is never closed/) as string,
    ]);
  });

  it.each([
    ['port: "3000"', '/run/port'],
    ['readOnly: "true"', '/run/readOnly'],
  ])('says that quotes are too much in run: { %s }', (field, path) => {
    const [problem] = parse(manifest(`run: { ${field} }`)).problems;
    expect(problem).toMatchObject({ path, message: expect.stringMatching(/; remove the quotes$/) as string });
  });

  it('claims both names of a document that has two', () => {
    const { invalid, namelessDocuments } = parse('name: shop\nname: blog\nimage: nginx\n');
    expect(invalid.map(({ name }) => name)).toEqual(['shop', 'blog']);
    expect(namelessDocuments).toBe(0);
  });

  it.each([
    ['a document without a name', 'kind: Project\n'],
    ['a list', '- a\n'],
    ['a word', 'shop\n'],
    ['a null', '~\n'],
    ['a compose file', 'services:\n  web:\n    image: nginx\n'],
    ['a name that is a number', 'name: 12\n'],
    ['a name by alias', 'name: *x\n'],
    ['nesting that the guard refuses', `name: shop\nrun: ${'['.repeat(100)}`],
    ['a lone closing bracket', ']'],
    ['a lone directive', '%YAML 1.2\n'],
  ])('counts %s as nameless', (_, text) => {
    const result = parse(text);
    expect(result.namelessDocuments).toBe(1);
    expect(result.problems.length).toBeGreaterThan(0);
    expect(result.projects).toEqual([]);
  });

  it('counts a document that an open quote swallowed', () => {
    const { namelessDocuments, invalid } = parse(`name: shop\nimage: "nginx\n---\n${manifest('', 'blog')}`);
    expect(invalid.map(({ name }) => name)).toEqual(['shop']);
    expect(namelessDocuments).toBe(1);
  });

  it.each([
    ['"\\0"', 'NUL'],
    ['"a\\ud800"', 'half of a character'],
  ])('refuses the text %s', (value, message) => {
    const { problems } = parse(manifest(`run: { env: { A: ${value} } }`));
    expect(problems).toMatchObject([
      { path: '/run/env/A', message: expect.stringContaining(message) as string },
    ]);
  });

  it('shows a received value on one short line', () => {
    const long = 'x'.repeat(5_000);
    const { problems } = parse(manifest(`run: { port: "a\\n\\u001b[31m\\u202e${long}" }`));
    const message = problems[0]?.message ?? '';
    expect(message).toMatch(/^run\.port is "a\\n\\u001b\[31m/);
    expect(message.length).toBeLessThan(200);
    expect(message).not.toMatch(/[\u0000-\u001f\u202e]/);
  });

  it('bounds what one file is reported with', () => {
    const keys = Array.from({ length: 5_000 }, (_, index) => `k${index}: 1\n`).join('');
    const { problems, invalid } = parse(manifest(keys));
    expect(problems).toHaveLength(mostProblems + 1);
    expect(problems.at(-1)?.message).toMatch(/^[0-9]+ more problems follow in this file/);
    expect(invalid[0]?.problems).toHaveLength(mostProblems + 1);
  });
});
