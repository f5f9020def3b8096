import fc from 'fast-check';
import { expect, it } from 'vitest';
import { assembleChanges, assembleDesired } from '../../src/manifest/assemble.js';
import { canonicalJson, imageKey, imageKeyOf, revision, routeKey } from '../../src/manifest/keys.js';
import { parseManifests } from '../../src/manifest/parse.js';
import { mostProblems } from '../../src/manifest/problems.js';
import type { Project } from '../../src/manifest/project.js';
import { parseSpec, serialiseSpec } from '../../src/manifest/spec.js';
import { anyProject } from './arbitrary-project.js';
import { print } from './print.js';
import { bytesOf, manifest, parse, projectOf } from './support.js';

const runs = { numRuns: 300 };
const live = { names: new Map<string, null>(), domains: new Map<string, string>() };

/** Holds for whatever a file holds. */
function expectSound(bytes: Uint8Array): void {
  const parsed = parseManifests('projects/a.yaml', bytes);
  expect(parsed.problems.length).toBeLessThanOrEqual(mostProblems + 1);
  for (const { line, column, message, file } of parsed.problems) {
    expect(file).toBe('projects/a.yaml');
    expect(line).toBeGreaterThanOrEqual(1);
    expect(column).toBeGreaterThanOrEqual(1);
    expect(message).toMatch(/^[^\u0000-\u001f]{1,1000}$/u);
  }
  if (parsed.problems.length === 0) expect(parsed.invalid).toEqual([]);
  else expect(parsed.invalid.length + parsed.namelessDocuments).toBeGreaterThan(0);
  const desired = assembleDesired('c', [parsed], { baseDomain: 'localhost', live });
  for (const name of desired.projects.keys()) expect(desired.invalid.has(name)).toBe(false);
}

it('no bytes make the parser throw', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), expectSound), { numRuns: 1_000 });
});

it('no text of YAML pieces makes the parser throw', () => {
  const piece = fc.constantFrom(
    ...[
      'name: shop',
      'image: nginx',
      'run:',
      'env:',
      '  ',
      '- ',
      '? ',
      ': ',
      '[',
      ']',
      '{',
      '}',
      ',',
      '"',
      "'",
      '|',
      '>',
      '&a ',
      '*a',
      '!x ',
      '<<: ',
      '#',
      '---\n',
      '...\n',
      '%YAML 1.1\n',
      '\n',
      '\t',
      '\r',
      'é',
      '1',
      '~',
      '.nan',
      '__proto__',
      'constructor',
    ],
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), (parts) => expectSound(bytesOf(parts.join('')))),
    { numRuns: 2_000 },
  );
});

it('no damage to a valid manifest makes the parser throw', () => {
  const whole = bytesOf(
    manifest('run: { port: 80, env: { A: "b" } }\nroute:\n  domains: [a.example.com]\n---\n# end\n'),
  );
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.nat(255), fc.boolean(), (at, byte, isCut) => {
      const damaged = whole.slice(0, isCut ? at : whole.length);
      if (!isCut) damaged[at] = byte;
      expectSound(damaged);
    }),
    { numRuns: 1_000 },
  );
});

it('no value in any place of a manifest makes the parser throw', () => {
  const key = fc.constantFrom(
    'name',
    'suspend',
    'source',
    'build',
    'image',
    'run',
    'release',
    'health',
    'route',
    'rollout',
    'repo',
    'port',
    'env',
    'domains',
    'status',
    'timeout',
    '__proto__',
    'toString',
  );
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom<unknown>(
        null,
        true,
        3,
        -1,
        1e300,
        '',
        'shop',
        '10s',
        '200-399',
        'a.example.com',
        '/a',
        [],
        {},
      ),
      fc.string(),
      fc.array(tie('any'), { maxLength: 3 }),
      fc.dictionary(key, tie('any'), { maxKeys: 4 }),
    ),
  })).any;
  fc.assert(
    fc.property(fc.dictionary(key, value, { maxKeys: 6 }), (fields) =>
      expectSound(
        bytesOf(JSON.stringify({ apiVersion: 'pointsman.dev/v1', kind: 'Project', name: 'shop', ...fields })),
      ),
    ),
    { numRuns: 1_000 },
  );
});

it('a printed project reads back as itself, in block and in flow style', () => {
  fc.assert(
    fc.property(anyProject, fc.boolean(), (project, flow) => {
      expect(projectOf(print(project, { flow }))).toEqual(project);
    }),
    runs,
  );
});

it('a project survives its container label', () => {
  fc.assert(
    fc.property(anyProject, (project) => {
      expect(parseSpec(serialiseSpec(project))).toEqual(project);
    }),
    runs,
  );
});

it('no text makes reading a label throw', () => {
  fc.assert(
    fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
      expect(parseSpec(text)).toBeNull();
    }),
    runs,
  );
});

it('keys do not depend on the order of keys', () => {
  fc.assert(
    fc.property(anyProject, (project) => {
      expect(keysOf(reversed(project) as Project)).toEqual(keysOf(project));
    }),
    runs,
  );
});

it('keys are the same for a project that came through its label', () => {
  fc.assert(
    fc.property(anyProject, (project) => {
      expect(keysOf(parseSpec(serialiseSpec(project)) as Project)).toEqual(keysOf(project));
    }),
    runs,
  );
});

it('projects have one revision exactly when they run the same', () => {
  const inOrder = ({ run, release }: Project) =>
    canonicalJson([
      { ...run, volumes: [...run.volumes].sort((a, b) => (a.path < b.path ? -1 : 1)) },
      release,
    ]);
  const revisionOf = ({ run, release }: Project) => revision({ image: 'x', run, release, secretsHash: null });
  fc.assert(
    fc.property(anyProject, anyProject, fc.boolean(), (a, other, takesRun) => {
      const b = { ...other, ...(takesRun ? { run: a.run, release: a.release } : {}) };
      expect(revisionOf(a) === revisionOf(b)).toBe(inOrder(a) === inOrder(b));
    }),
    runs,
  );
});

it('each project is either valid or invalid, whatever the files claim', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'd');
  const domains = fc.uniqueArray(fc.constantFrom('x.example.com', 'y.example.com', 'z.example.com'), {
    maxLength: 2,
  });
  const file = fc.record({ name, domains, isBroken: fc.boolean() });
  const served = fc.dictionary(fc.constantFrom('x.example.com', 'y.example.com', 'z.example.com'), name);
  fc.assert(
    fc.property(fc.array(file, { minLength: 2, maxLength: 5 }), served, (files, owners) => {
      const parsed = files.map((each, index) => {
        const route = each.domains.length === 0 ? '' : `route: { domains: [${each.domains.join(', ')}] }\n`;
        return parse(manifest(`${route}${each.isBroken ? 'x: 1\n' : ''}`, each.name), `${index}.yaml`);
      });
      const liveDomains = new Map(Object.entries(owners));
      const desired = assembleDesired('c', parsed, {
        baseDomain: 'localhost',
        live: { names: new Map(), domains: liveDomains },
      });
      const owned = new Map<string, string>();
      for (const [
        project,
        {
          project: { route },
        },
      ] of desired.projects) {
        expect(desired.invalid.has(project)).toBe(false);
        for (const domain of route.domains) {
          // Nobody else has it, and nobody who runs on as he was still serves it.
          expect(owned.get(domain)).toBeUndefined();
          owned.set(domain, project);
          const owner = liveDomains.get(domain);
          expect(owner !== undefined && owner !== project && desired.invalid.has(owner)).toBe(false);
        }
      }
      expect(new Set([...desired.projects.keys(), ...desired.invalid.keys()])).toEqual(
        new Set(files.map((each) => each.name)),
      );
      for (const problems of desired.invalid.values()) expect(problems.length).toBeGreaterThan(0);
    }),
    { numRuns: 1_000 },
  );
});

function keysOf(project: Project): readonly string[] {
  const { source, run, release, route } = project;
  const image = source.kind === 'git' ? imageKey(source, 'tree') : imageKeyOf(source);
  return [
    image,
    revision({ image, run, release, secretsHash: 'hash' }),
    routeKey(route, { blue: 'b', green: 'g' }),
  ];
}

/** The same value with the keys of every object the other way round. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, inner]) => [key, reversed(inner)]),
  );
}

it('what is live does not matter where nobody claims the same', () => {
  const domain = fc.constantFrom('1.test', '2.test', '3.test', '4.test', 'a.localhost');
  const name = fc.constantFrom('a', 'b', 'c', 'd');
  const claims = fc.dictionary(domain, name);
  fc.assert(
    fc.property(fc.uniqueArray(name, { minLength: 1 }), claims, claims, (names, claimed, served) => {
      const files = names.map((each) => {
        const own = Object.keys(claimed).filter((key) => claimed[key] === each);
        const route = own.length === 0 ? '' : `route: { domains: [${own.join(', ')}] }\n`;
        return parse(manifest(route, each), `${each}.yaml`);
      });
      const assembled = assembleDesired('c', files, { baseDomain: 'test.localhost', live });
      expect(assembled.invalid.size).toBe(0);
      const serving = {
        names: new Map(Object.values(served).map((each) => [each, null] as const)),
        domains: new Map(Object.entries(served)),
      };
      const again = assembleDesired('c', files, { baseDomain: 'test.localhost', live: serving });
      expect(again).toEqual(assembled);
    }),
    runs,
  );
});

it('what a commit changed gives the same as all of its files', () => {
  const file = fc.record({
    name: fc.constantFrom('a', 'b', 'c', 'd'),
    domain: fc.constantFrom(null, 'x.test', 'b.localhost', 'x.test, y.test'),
    cpus: fc.constantFrom(1, 2),
    isBroken: fc.boolean(),
    hasBrokenSecond: fc.boolean(),
  });
  type File = typeof file extends fc.Arbitrary<infer T> ? T : never;
  const parsed = (each: File) =>
    parse(
      manifest(
        `run: { port: 80, cpus: ${each.cpus} }\n${each.domain === null ? '' : `route: { domains: [${each.domain}] }\n`}${each.isBroken ? 'x: 1\n' : ''}`,
        each.name,
      ) + (each.hasBrokenSecond ? `---\n${manifest('x: 1\n', 'second')}` : ''),
      `${each.name}.yaml`,
    );
  const context = { baseDomain: 'localhost', live };
  const outcomes = { quick: 0, whole: 0 };
  fc.assert(
    fc.property(
      fc.uniqueArray(file, { minLength: 1, maxLength: 4, selector: ({ name }) => name }),
      fc.array(fc.tuple(fc.nat(3), file), { maxLength: 2 }),
      fc.boolean(),
      (first, edits, keepsName) => {
        const files = first.map((each) => parsed({ ...each, isBroken: false, hasBrokenSecond: false }));
        const before = { files, desired: assembleDesired('before', files, context) };
        const next = [...files];
        for (const [at, edit] of edits) {
          const name = keepsName ? (first[at]?.name ?? edit.name) : edit.name;
          next[Math.min(at, next.length)] = parsed({ ...edit, name });
        }
        const quick = assembleChanges(before, 'after', next, 'localhost');
        outcomes[quick === null ? 'whole' : 'quick'] += 1;
        if (quick === null) return;
        const { changes, ...desired } = quick;
        const whole = assembleDesired('after', next, context);
        expect(desired).toEqual(whole);
        expect([...desired.projects.keys()]).toEqual([...whole.projects.keys()]);
        expect(changes?.since).toBe('before');
        const other = [...whole.projects].filter(
          ([name, { project }]) => project !== before.desired.projects.get(name)?.project,
        );
        expect(changes?.projects).toEqual(other.map(([name]) => name));
      },
    ),
    { numRuns: 2_000 },
  );
  expect(Math.min(outcomes.quick, outcomes.whole)).toBeGreaterThan(100);
});
