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
  const batch = new Map([...input.wanted].sort(([a], [b]) => (a < b ? -1 : 1)));
  const held = new Map<string, HeldChange>();
  const hold = (change: HeldChange): void => {
    batch.delete(change.project);
    held.set(change.project, change);
  };
  // What the owner or the heir of a domain holds up can never go; two that ask for one domain come after
  // it, so that nobody makes room for a rival that cannot go itself.
  for (;;) {
    const obstacle = first(batch, (project) => obstacleTo(project, batch, input));
    const next = obstacle ?? first(batch, (project) => rivalOf(project, batch, input));
    if (next === null) break;
    hold(next);
  }
  for (let again = true; again;) {
    again = false;
    for (const project of [...held.keys()].sort()) {
      const more = new Map([...batch, [project, input.wanted.get(project) ?? null]]);
      if (
        obstacleTo(project, more, input) !== null ||
        first(more, (each) => rivalOf(each, more, input)) !== null
      )
        continue;
      batch.set(project, input.wanted.get(project) ?? null);
      held.delete(project);
      again = true;
    }
  }
  const byProject = (a: { readonly project: string }, b: { readonly project: string }): number =>
    a.project < b.project ? -1 : 1;
  return {
    changes: [...batch].map(([project, site]) => ({ project, site })).sort(byProject),
    held: [...held.values()].sort(byProject),
  };
}

type Batch = ReadonlyMap<string, Site | null>;
type Obstacle = Pick<HeldChange, 'domain' | 'holder'>;

function first(batch: Batch, look: (project: string) => Obstacle | null): HeldChange | null {
  for (const project of batch.keys()) {
    const obstacle = look(project);
    if (obstacle !== null) return { project, ...obstacle };
  }
  return null;
}

/** A domain that its owner keeps, or one to give up whose heir does not take it yet. */
function obstacleTo(project: string, batch: Batch, { sites, claims }: SitesInput): Obstacle | null {
  const takes = batch.get(project)?.route.domains ?? [];
  for (const domain of takes) {
    const owner = sites.find((site) => site.project !== project && site.route.domains.includes(domain));
    if (owner !== undefined && !givesUp(owner.project, domain, batch))
      return { domain, holder: owner.project };
  }
  const has = sites.find((each) => each.project === project)?.route.domains ?? [];
  for (const domain of has.filter((each) => !takes.includes(each))) {
    const heir = claims.get(domain);
    // One that a crash cut off from the rest of its batch has it on disk already.
    const after =
      heir === undefined || batch.has(heir)
        ? batch.get(heir ?? '')
        : sites.find((each) => each.project === heir);
    if (heir !== undefined && heir !== project && after?.route.domains.includes(domain) !== true)
      return { domain, holder: heir };
  }
  return null;
}

/** Another change of the batch that takes a domain of this one and goes before it: by claim, then by name. */
function rivalOf(project: string, batch: Batch, { claims }: SitesInput): Obstacle | null {
  for (const domain of batch.get(project)?.route.domains ?? []) {
    const claimant = claims.get(domain);
    for (const [other, site] of batch) {
      if (other === project || site?.route.domains.includes(domain) !== true) continue;
      if (claimant === project) continue;
      if (claimant === other || other < project) return { domain, holder: other };
    }
  }
  return null;
}

function givesUp(owner: string, domain: string, batch: Batch): boolean {
  const change = batch.get(owner);
  return change !== undefined && change?.route.domains.includes(domain) !== true;
}
