import type { Project, Slot } from '../manifest/project.js';
import { otherSlot, slots } from '../manifest/project.js';
import { parseSpec } from '../manifest/spec.js';
import { identityOf } from '../observe/observed.js';
import type { ContainerFacts, NetworkFacts } from '../runtime/port.js';
import type { Site } from '../router/port.js';
import type { PlanInput, Step } from './plan.js';
import { isDrained, isPrevious } from './previous.js';

/** Puts right what should serve: the live container, its switch file, its site file, restart policies. */
export function planKeeping(input: PlanInput): readonly Step[] {
  return [...keepSwitch(input), ...keepContainer(input), ...keepPolicies(input), ...keepSite(input)];
}

function keepSwitch(input: PlanInput): readonly Step[] {
  const { live, route } = input.observed;
  if (live === null) return lostSwitch(input);
  if (live.identity === null) return [];
  const { slot, identity } = live;
  if (route.switches[slot] === null)
    return [{ kind: 'restore-switch', slot, identity, why: `the switch file of ${slot} is gone` }];
  if (live.record === null)
    return [{ kind: 'restore-switch', slot, identity, why: `the switch file of ${slot} is damaged` }];
  if (route.switches[otherSlot(slot)] !== null)
    return [{ kind: 'settle-switch', slot, identity, why: 'both switch files are there' }];
  return [];
}

/**
 * What served, where neither files nor restart policies tell any more: by the journal's last switch. Two
 * containers that restart by themselves both served a moment ago, one of them drains: without a journal it
 * is the newer one.
 */
export function lastServing({ observed, memory }: PlanInput): ContainerFacts | null {
  const { switched, open, wasLive } = memory;
  if (observed.live !== null) return null;
  const { blue, green } = observed.containers;
  const bothRestart = blue?.restartPolicy === 'unless-stopped' && green?.restartPolicy === 'unless-stopped';
  if (bothRestart && switched === null) return blue.createdAt > green.createdAt ? blue : green;
  if (switched === null) return null;
  const container = observed.containers[switched.to];
  if (bothRestart) return container;
  const isSame = container?.labels.revision === switched.revision && wasLive.includes(switched.revision);
  return isSame && open === null ? container : null;
}

function lostSwitch(input: PlanInput): readonly Step[] {
  const container = lastServing(input);
  const identity = identityOf(container, parseSpec);
  if (container === null || identity === null || container.labels.role === 'release') return [];
  const slot = container.labels.role;
  return [{ kind: 'restore-switch', slot, identity, why: 'both switch files are gone' }];
}

function keepContainer(input: PlanInput): readonly Step[] {
  const { live } = input.observed;
  if (live === null) return [];
  const { container, slot, identity } = live;
  if (container === null) {
    if (identity === null || input.observed.strangers[slot] !== null || imageIsGone(input)) return [];
    return [{ kind: 'recreate', slot, identity, why: 'the live container is gone' }];
  }
  if (container.state === 'exited' || container.state === 'created') {
    return [
      { kind: 'start', slot, container: container.id, why: `the live container is ${container.state}` },
    ];
  }
  if (identity === null) return [];
  if (container.state === 'dead')
    return [{ kind: 'recreate', slot, identity, why: 'the live container is dead' }];
  if (container.address === null || container.address !== input.observed.network?.addresses[slot])
    return [{ kind: 'recreate', slot, identity, why: 'the live container is not at its address' }];
  return [];
}

/** The wanted revision is the live one and its image has to be built first: that is a deployment. */
export function imageIsGone({ observed, want }: PlanInput): boolean {
  return (
    want.kind === 'resolved' && want.image === null && want.revision === observed.live?.identity?.revision
  );
}

/** The previous slot's changes when it is drained: until then it may get its traffic back at any moment. */
function keepPolicies(input: PlanInput): readonly Step[] {
  const { live, containers } = input.observed;
  if (live === null) return [];
  return slots.flatMap((slot): readonly Step[] => {
    const container = containers[slot];
    const policy = slot === live.slot ? 'unless-stopped' : 'no';
    if (container === null || container.restartPolicy === policy || container.state === 'dead') return [];
    if (slot !== live.slot && isPrevious(input, container) && !isDrained(input.memory, container)) return [];
    const why =
      slot === live.slot
        ? 'the live container restarts by itself'
        : 'only the live container restarts by itself';
    return [{ kind: 'set-restart-policy', slot, container: container.id, policy, why }];
  });
}

function keepSite(input: PlanInput): readonly Step[] {
  const { route } = input.observed;
  const site = wantedSite(input);
  if (site === null) return [];
  if (!route.present)
    return [
      {
        kind: 'site',
        site,
        drift: input.memory.wasLive.length > 0 && !input.sitePending,
        why: 'it has no site file',
      },
    ];
  if (!route.intact || route.site === null)
    return [{ kind: 'site', site, drift: true, why: 'its site file was changed by hand' }];
  if (!sameSite(route.site, site))
    return [{ kind: 'site', site, drift: false, why: siteChange(route.site, site) }];
  return [];
}

/** The first site file of a project, whose only container has `port`. */
export function firstSite(target: Project, network: NetworkFacts): Site {
  const { port } = target.run;
  const upstreams = {
    blue: `${network.addresses.blue}:${port}`,
    green: `${network.addresses.green}:${port}`,
  };
  return { project: target.name, route: target.route, upstreams };
}

/**
 * The site as it should be now. The route is the manifest's once its own revision is live and baked,
 * until then the one on disk. Null before anything is live.
 */
export function wantedSite(input: PlanInput): Site | null {
  const { observed, project, want, memory } = input;
  const { live, network, route } = observed;
  if (live === null || live.identity === null) return null;
  const own = want.kind === 'resolved' && want.revision === live.identity.revision && memory.open === null;
  const wantedRoute = own ? want.project.route : (route.site?.route ?? live.identity.spec.route);
  const upstreamOf = (slot: Slot): string | null => {
    const container = observed.containers[slot];
    const spec =
      slot === live.slot ? live.identity?.spec : container === null ? null : parseSpec(container.labels.spec);
    const known = route.site?.upstreams[slot] ?? null;
    const address = network?.addresses[slot] ?? known?.split(':')[0];
    if (address === undefined) return null;
    const port = spec?.run.port ?? known?.split(':')[1] ?? live.identity?.spec.run.port;
    return `${address}:${port}`;
  };
  const [blue, green] = [upstreamOf('blue'), upstreamOf('green')];
  return blue === null || green === null ? null : { project, route: wantedRoute, upstreams: { blue, green } };
}

export function sameSite(a: Site, b: Site): boolean {
  return (
    slots.every((slot) => a.upstreams[slot] === b.upstreams[slot]) &&
    a.route.maxBodyBytes === b.route.maxBodyBytes &&
    a.route.readTimeoutMs === b.route.readTimeoutMs &&
    a.route.domains.join(' ') === b.route.domains.join(' ')
  );
}

function siteChange(from: Site, to: Site): string {
  if (from.route.domains.join(' ') !== to.route.domains.join(' ')) {
    return `domains change from ${from.route.domains.join(', ')} to ${to.route.domains.join(', ')}`;
  }
  return slots.some((slot) => from.upstreams[slot] !== to.upstreams[slot])
    ? 'a slot has another address'
    : 'its limits change';
}
