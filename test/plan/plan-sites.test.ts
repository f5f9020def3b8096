import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planSites } from '../../src/plan/plan-sites.js';
import type { SitesInput, SitesPlan } from '../../src/plan/plan-sites.js';
import type { Site } from '../../src/router/port.js';

function site(project: string, ...domains: readonly string[]): Site {
  return {
    project,
    route: { domains, maxBodyBytes: 1, readTimeoutMs: 1 },
    upstreams: { blue: '10.0.0.2:1', green: '10.0.0.3:1' },
  };
}

type Domains = Readonly<Record<string, readonly string[] | null>>;

function input(on: Domains, wanted: Domains, claims: Readonly<Record<string, string>> = {}): SitesInput {
  const sites = Object.entries(on).map(([project, domains]) => site(project, ...(domains ?? [])));
  const wishes = Object.entries(wanted).map(
    ([project, domains]) => [project, domains === null ? null : site(project, ...domains)] as const,
  );
  return { sites, wanted: new Map(wishes), claims: new Map(Object.entries(claims)) };
}

function shown(plan: SitesPlan): unknown {
  return {
    go: plan.changes.map(({ project }) => project),
    held: plan.held.map(({ project, domain, holder }) => `${project}: ${domain} of ${holder}`),
  };
}

describe('planSites', () => {
  it.each<[string, SitesInput, readonly string[], readonly string[]]>([
    ['a new site goes at once', input({}, { a: ['x'] }), ['a'], []],
    ['nothing wanted, nothing done', input({ a: ['x'] }, {}), [], []],
    ['a site that is taken away goes at once', input({ a: ['x'] }, { a: null }), ['a'], []],
    [
      'a domain moves when both sides are in the batch',
      input({ a: ['x'] }, { a: ['y'], b: ['x'] }, { x: 'b', y: 'a' }),
      ['a', 'b'],
      [],
    ],
    ['a domain of another owner is held', input({ a: ['x'] }, { b: ['x'] }, { x: 'b' }), [], ['b: x of a']],
    [
      'the old owner keeps a domain until its heir is ready',
      input({ a: ['x', 'y'] }, { a: ['y'] }, { x: 'b', y: 'a' }),
      [],
      ['a: x of b'],
    ],
    [
      'a domain that nobody claims is given up at once',
      input({ a: ['x', 'y'] }, { a: ['y'] }, { y: 'a' }),
      ['a'],
      [],
    ],
    [
      'a crash in the middle of a trade is gone on with: the heir has the domain on disk already',
      input({ a: ['y'], b: ['y'] }, { b: ['x'] }, { x: 'b', y: 'a' }),
      ['b'],
      [],
    ],
    [
      'two that trade domains wait for each other',
      input({ a: ['x'], b: ['y'] }, { a: ['y'] }, { x: 'b', y: 'a' }),
      [],
      ['a: y of b'],
    ],
    [
      'two that trade domains go together',
      input({ a: ['x'], b: ['y'] }, { a: ['y'], b: ['x'] }, { x: 'b', y: 'a' }),
      ['a', 'b'],
      [],
    ],
    [
      'three that trade in a ring are all held when one is not ready',
      input({ a: ['x'], b: ['y'], c: ['z'] }, { a: ['y'], b: ['z'] }, { x: 'c', y: 'a', z: 'b' }),
      [],
      ['a: x of c', 'b: z of c'],
    ],
    [
      'a removed project passes its domain on in the same batch',
      input({ a: ['x'] }, { a: null, b: ['x'] }, { x: 'b' }),
      ['a', 'b'],
      [],
    ],
    [
      'of two that ask for one free domain the one that the manifests name gets it',
      input({}, { a: ['x'], b: ['x'] }, { x: 'b' }),
      ['b'],
      ['a: x of b'],
    ],
    ['and without a claim the first by name', input({}, { a: ['x'], b: ['x'] }), ['a'], ['b: x of a']],
    [
      'nobody makes room for a rival that cannot go itself',
      input({ c: ['y'] }, { a: ['x', 'y'], b: ['x'] }),
      ['b'],
      ['a: y of c'],
    ],
  ])('%s', (_name, given, go, held) => {
    expect(shown(planSites(given))).toEqual({ go, held });
  });
});

const projects = ['a', 'b', 'c', 'd'] as const;
const domains = ['u', 'v', 'w', 'x', 'y'] as const;

/** Sites on disk never share a domain; wishes may ask for whatever they like. */
const arbitraryInput = fc
  .record({
    owner: fc.array(fc.constantFrom(null, ...projects), {
      minLength: domains.length,
      maxLength: domains.length,
    }),
    wishes: fc.dictionary(
      fc.constantFrom(...projects),
      fc.option(fc.uniqueArray(fc.constantFrom(...domains), { minLength: 1, maxLength: 3 })),
      { noNullPrototype: true },
    ),
    claims: fc.dictionary(fc.constantFrom(...domains), fc.constantFrom(...projects), {
      noNullPrototype: true,
    }),
  })
  .map(({ owner, wishes, claims }) => {
    const on = Object.fromEntries(
      projects
        .map((project) => [project, domains.filter((_, index) => owner[index] === project)] as const)
        .filter(([, has]) => has.length > 0),
    );
    return input(on, wishes, claims);
  });

function after(given: SitesInput, { changes }: SitesPlan): ReadonlyMap<string, Site> {
  const sites = new Map(given.sites.map((each) => [each.project, each] as const));
  for (const change of changes) {
    if (change.site === null) sites.delete(change.project);
    else sites.set(change.project, change.site);
  }
  return sites;
}

function ownersOf(sites: Iterable<Site>, domain: string): readonly string[] {
  return [...sites]
    .filter(({ route }) => route.domains.includes(domain))
    .map(({ project }) => project)
    .sort();
}

/** Why `changes` as one batch would be wrong; null when it would not. */
function fault(given: SitesInput, changes: SitesPlan['changes']): string | null {
  const then = after(given, { changes, held: [] });
  for (const domain of domains) {
    const [before, now] = [ownersOf(given.sites, domain), ownersOf(then.values(), domain)];
    if (now.length > 1) return `${domain} has two owners`;
    const heir = given.claims.get(domain);
    if (before[0] !== undefined && now[0] === undefined && heir !== undefined && heir !== before[0])
      return `${domain} is without an owner, and ${heir} is to have it`;
    if (before[0] !== undefined && now[0] !== undefined && before[0] !== now[0]) {
      if (heir !== undefined && heir !== before[0] && heir !== now[0]) return `${domain} goes past its heir`;
    }
  }
  return null;
}

describe('planSites, for whatever is asked', () => {
  const runs = { numRuns: 2_000 };

  it('gives no domain two owners and leaves none without the one it had', () => {
    fc.assert(
      fc.property(arbitraryInput, (given) => {
        expect(fault(given, planSites(given).changes)).toBeNull();
      }),
      runs,
    );
  });

  it('answers each wish once: it goes as it was asked, or is held', () => {
    fc.assert(
      fc.property(arbitraryInput, (given) => {
        const plan = planSites(given);
        const answered = [...plan.changes, ...plan.held].map(({ project }) => project).sort();
        expect(answered).toEqual([...given.wanted.keys()].sort());
        for (const change of plan.changes) expect(change.site).toBe(given.wanted.get(change.project));
      }),
      runs,
    );
  });

  it('holds nothing without reason: whatever is held would spoil the batch', () => {
    fc.assert(
      fc.property(arbitraryInput, (given) => {
        const plan = planSites(given);
        for (const { project, holder } of plan.held) {
          const more = [...plan.changes, { project, site: given.wanted.get(project) ?? null }];
          expect(fault(given, more)).not.toBeNull();
          expect(holder).not.toBe(project);
        }
      }),
      runs,
    );
  });

  it('does not depend on the order of what it is given', () => {
    fc.assert(
      fc.property(arbitraryInput, (given) => {
        const turned = {
          sites: [...given.sites].reverse(),
          wanted: new Map([...given.wanted].reverse()),
          claims: new Map([...given.claims].reverse()),
        };
        expect(planSites(turned)).toEqual(planSites(given));
      }),
      runs,
    );
  });
});
