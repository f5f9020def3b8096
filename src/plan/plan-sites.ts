import type { Site, SiteChange } from '../router/port.js';

export interface SitesInput {
  /** On disk now. */
  readonly sites: readonly Site[];
  /** What is asked for: project → its site, or null to take it away. */
  readonly wanted: ReadonlyMap<string, Site | null>;
  /** Domain → project that the manifests give it to. */
  readonly claims: ReadonlyMap<string, string>;
}

export interface SitesPlan {
  /** To be put in place as one batch, by project. */
  readonly changes: readonly SiteChange[];
  readonly held: readonly HeldChange[];
}

export interface HeldChange {
  readonly project: string;
  readonly domain: string;
  /** Who has the domain, or is to have it and is not ready. */
  readonly holder: string;
}

/**
 * Which changes can go together. A domain has one owner at any time and moves without a gap: its new
 * owner waits until the old one gives it up in the same batch, and the old one keeps it until the
 * project that the manifests give it to is ready to take it. What cannot go now is held with its reason.
 */
export function planSites(input: SitesInput): SitesPlan {
  const owners = new Map(
    input.sites.flatMap(({ project, route }) => route.domains.map((domain) => [domain, project] as const)),
  );
  const batch = new Map([...input.wanted].sort(([a], [b]) => (a < b ? -1 : 1)));
  const held = new Map<string, HeldChange>();
  for (let changed = true; changed;) {
    changed = false;
    for (const [project, site] of batch) {
      const obstacle = obstacleTo(project, site, batch, owners, input);
      if (obstacle === null) continue;
      batch.delete(project);
      held.set(project, { project, ...obstacle });
      changed = true;
    }
  }
  return { changes: [...batch].map(([project, site]) => ({ project, site })), held: [...held.values()] };
}

function obstacleTo(
  project: string,
  site: Site | null,
  batch: ReadonlyMap<string, Site | null>,
  owners: ReadonlyMap<string, string>,
  { sites, claims }: SitesInput,
): Pick<HeldChange, 'domain' | 'holder'> | null {
  const takes = site?.route.domains ?? [];
  for (const domain of takes) {
    const owner = owners.get(domain);
    if (owner !== undefined && owner !== project && !givesUp(owner, domain, batch))
      return { domain, holder: owner };
    const rival = [...batch].find(
      ([other, theirs]) => other < project && theirs?.route.domains.includes(domain) === true,
    );
    if (rival !== undefined) return { domain, holder: rival[0] };
  }
  const has = sites.find((each) => each.project === project)?.route.domains ?? [];
  for (const domain of has.filter((each) => !takes.includes(each))) {
    const heir = claims.get(domain);
    if (heir !== undefined && heir !== project && batch.get(heir)?.route.domains.includes(domain) !== true)
      return { domain, holder: heir };
  }
  return null;
}

function givesUp(owner: string, domain: string, batch: ReadonlyMap<string, Site | null>): boolean {
  const change = batch.get(owner);
  return change !== undefined && change?.route.domains.includes(domain) !== true;
}
