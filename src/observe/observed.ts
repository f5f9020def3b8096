import type { Project, Slot } from '../manifest/project.js';
import { otherSlot } from '../manifest/project.js';
import type { ContainerFacts, NameHolder, NetworkFacts } from '../runtime/port.js';
import { liveSlotOf } from '../router/port.js';
import type { RouteFacts, SwitchRecord } from '../router/port.js';

/** What is there for one project. Facts, and what follows from them without a decision. */
export interface Observed {
  readonly project: string;
  readonly containers: Readonly<Record<Slot, ContainerFacts | null>>;
  readonly release: ContainerFacts | null;
  readonly network: NetworkFacts | null;
  readonly route: RouteFacts;
  readonly live: LiveSlot | null;
  /** Container names that somebody else's containers hold, by slot. */
  readonly strangers: Readonly<Record<Slot, NameHolder | null>>;
}

/** The slot that gets traffic, or would as soon as its switch and site file are back. */
export interface LiveSlot {
  readonly slot: Slot;
  /** False when nginx's files no longer say so and the restart policy had to tell. */
  readonly routed: boolean;
  readonly container: ContainerFacts | null;
  /** From the container's labels, else from the switch file; null when neither can be read. */
  readonly identity: Identity | null;
  /** From the switch file. */
  readonly record: SwitchRecord | null;
}

/** What makes a container that container: enough to make it again. */
export interface Identity {
  readonly revision: string;
  readonly imageKey: string;
  readonly image: string;
  readonly configCommit: string;
  readonly sourceCommit: string | null;
  readonly deployment: string;
  readonly spec: Project;
}

/** The slot that is not live; blue before anything is. */
export function idleSlot(observed: Observed): Slot {
  return observed.live === null ? 'blue' : otherSlot(observed.live.slot);
}

export interface Facts {
  readonly project: string;
  readonly containers: readonly ContainerFacts[];
  readonly network: NetworkFacts | null;
  readonly route: RouteFacts;
  readonly strangers: Readonly<Record<Slot, NameHolder | null>>;
}

/** Puts the adapters' facts together. `parseSpec` reads a `.spec` label; null for one it cannot read. */
export function assembleObserved(facts: Facts, parseSpec: (text: string) => Project | null): Observed {
  const held = (role: string): ContainerFacts | null =>
    facts.containers.find((c) => c.labels.role === role) ?? null;
  const containers = { blue: held('blue'), green: held('green') };
  return {
    project: facts.project,
    containers,
    release: held('release'),
    network: facts.network,
    route: facts.route,
    live: liveOf(facts.route, containers, parseSpec),
    strangers: facts.strangers,
  };
}

/** `observed` with a later look at nginx's files. */
export function withRoute(
  observed: Observed,
  route: RouteFacts,
  parseSpec: (text: string) => Project | null,
): Observed {
  return { ...observed, route, live: liveOf(route, observed.containers, parseSpec) };
}

function liveOf(
  route: RouteFacts,
  containers: Observed['containers'],
  parseSpec: (text: string) => Project | null,
): LiveSlot | null {
  const slot = slotByRecord(route) ?? slotByRestartPolicy(containers) ?? liveSlotOf(route);
  if (slot === null) return null;
  const container = containers[slot];
  const record = route.switches[slot]?.record ?? null;
  return {
    slot,
    routed: liveSlotOf(route) === slot && route.present,
    container,
    record,
    identity: identityOf(container, parseSpec) ?? recordedIdentity(record, parseSpec),
  };
}

/** Green wins where both files are ours, as in nginx; a file without our record was put there by somebody. */
function slotByRecord(route: RouteFacts): Slot | null {
  return (['green', 'blue'] as const).find((slot) => route.switches[slot]?.record?.slot === slot) ?? null;
}

/** Of drained slots only the live container's restarts by itself; two of them tell nothing. */
function slotByRestartPolicy(containers: Observed['containers']): Slot | null {
  const [blue, green] = [containers.blue, containers.green].map((c) => c?.restartPolicy === 'unless-stopped');
  if (blue === green) return null;
  return blue === true ? 'blue' : 'green';
}

export function identityOf(
  container: ContainerFacts | null,
  parseSpec: (text: string) => Project | null,
): Identity | null {
  if (container === null) return null;
  const spec = parseSpec(container.labels.spec);
  if (spec === null) return null;
  const { revision, imageKey, configCommit, sourceCommit, deployment } = container.labels;
  return { revision, imageKey, image: container.image, configCommit, sourceCommit, deployment, spec };
}

function recordedIdentity(
  record: SwitchRecord | null,
  parseSpec: (text: string) => Project | null,
): Identity | null {
  if (record === null) return null;
  const spec = parseSpec(record.spec);
  if (spec === null) return null;
  const { revision, imageKey, image, configCommit, sourceCommit, deployment } = record;
  return { revision, imageKey, image, configCommit, sourceCommit, deployment, spec };
}
