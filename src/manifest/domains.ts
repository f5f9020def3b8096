import type { Candidate } from './parse.js';
import { pointer } from './problems.js';
import type { Problem } from './project.js';

/**
 * Settles who gets a domain that several projects claim: the one that serves it now keeps it, with none
 * serving it nobody gets it. A project that loses one domain is invalid as a whole and runs on as it was:
 * it claims nothing new, and keeps what it serves. That can take a domain from a third project, and so
 * on, until nothing changes; every step makes at least one more project invalid.
 *
 * `invalid` holds names that are invalid already. Returns one problem for each lost domain.
 */
export function settleDomains(
  candidates: readonly Candidate[],
  invalid: ReadonlySet<string>,
  liveDomains: ReadonlyMap<string, string>,
): readonly Problem[] {
  if (invalid.size === 0 && !isAnyShared(candidates)) return [];
  const claimants = new Map<string, Candidate[]>();
  for (const each of candidates) {
    for (const domain of each.project.route.domains) addTo(claimants, domain, each);
  }
  const served = new Map<string, string[]>();
  for (const [domain, project] of liveDomains) addTo(served, project, domain);
  const lost = new Set(invalid);
  const settled = new Set<string>();
  const problems: Problem[] = [];

  /** Lets each project of `owners` keep what it serves and still claims, or cannot give up. */
  const keepServed = (owners: readonly string[]): void => {
    const queue = [...owners];
    for (let owner = queue.shift(); owner !== undefined; owner = queue.shift()) {
      for (const domain of served.get(owner) ?? []) {
        const all = claimants.get(domain) ?? [];
        const keeps = lost.has(owner) || all.some(({ project }) => project.name === owner);
        if (!keeps || settled.has(domain)) continue;
        settled.add(domain);
        queue.push(...takeFrom(all, domain, owner));
      }
    }
  };
  const takeFrom = (all: readonly Candidate[], domain: string, owner: string): readonly string[] => {
    const losers = all.filter(({ project }) => project.name !== owner);
    problems.push(...losers.map((loser) => lostToOwner(loser, domain, owner, invalid.has(owner))));
    return markLost(losers);
  };
  const markLost = (losers: readonly Candidate[]): readonly string[] => {
    const names = losers.map(({ project }) => project.name).filter((name) => !lost.has(name));
    for (const name of names) lost.add(name);
    return names;
  };

  keepServed([...served.keys()]);
  // Nobody serves these: judged all at once, so that the order of files does not matter.
  const contested = [...claimants]
    .filter(([domain, all]) => all.length > 1 && !settled.has(domain))
    .map(([domain, all]) => ({ domain, all: all.filter(({ project }) => !lost.has(project.name)) }))
    .filter(({ all }) => all.length > 1);
  for (const { domain, all } of contested) {
    problems.push(...all.map((loser) => lostToNobody(loser, domain, all)));
  }
  keepServed(markLost(contested.flatMap(({ all }) => all)));
  return problems;
}

function isAnyShared(candidates: readonly Candidate[]): boolean {
  const seen = new Set<string>();
  let claims = 0;
  for (const { project } of candidates) {
    for (const domain of project.route.domains) seen.add(domain);
    claims += project.route.domains.length;
  }
  return seen.size < claims;
}

function addTo<T>(lists: Map<string, T[]>, key: string, value: T): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}

function lostToOwner(candidate: Candidate, domain: string, owner: string, isInvalid: boolean): Problem {
  const why = isInvalid ? `${owner}, whose manifest cannot be used and which runs on as it was` : owner;
  const message = `the domain ${domain} is served by ${why}: choose another one, or give it up there first`;
  return problemOf(candidate, domain, message);
}

function lostToNobody(candidate: Candidate, domain: string, all: readonly Candidate[]): Problem {
  const places = all.map(({ project, file, line }) => `${project.name} in ${file}:${line}`).join(', ');
  const message = `the domain ${domain} is claimed by ${places}, none of them gets it: leave it to one`;
  return problemOf(candidate, domain, message);
}

function problemOf(candidate: Candidate, domain: string, message: string): Problem {
  const { project, file, namePlace, domainPlaces } = candidate;
  const index = project.route.domains.indexOf(domain);
  const place = domainPlaces[index];
  // A default domain is written nowhere: it comes from the name.
  if (place === undefined) return { file, ...namePlace, path: '/name', message, project: project.name };
  return {
    file,
    ...place,
    path: pointer(['route', 'domains', String(index)]),
    message,
    project: project.name,
  };
}
