import type { Slot } from '../manifest/project.js';
import { parseSpec } from '../manifest/spec.js';
import type { ProjectMemory } from '../record/port.js';
import type { ContainerFacts } from '../runtime/port.js';
import type { PlanInput } from './plan.js';

/** Whether this container in the idle slot had the traffic before the live one. */
export function isPrevious({ observed, memory }: PlanInput, container: ContainerFacts): boolean {
  const { live } = observed;
  if (live === null) return false;
  if (live.record !== null) return live.record.previous?.deployment === container.labels.deployment;
  return (
    memory.wasLive.includes(container.labels.revision) &&
    memory.open?.deployment !== container.labels.deployment
  );
}

/** Whether a slot that lost its traffic answers nothing any more. */
export function isDrained({ drained }: ProjectMemory, { labels, state }: ContainerFacts): boolean {
  return state !== 'running' || (drained?.slot === labels.role && drained.revision === labels.revision);
}

/** What has to be known of a slot to drain it. */
export interface Draining {
  readonly slot: Slot;
  /** Its id. */
  readonly container: string;
  readonly revision: string;
  /** `address:port` */
  readonly upstream: string;
  /** The longest wait, from its begin. */
  readonly drainMs: number;
}

/** Null where nothing can be in flight to it, or nobody can tell where it listens. */
export function drainingOf(container: ContainerFacts, drainMs: number): Draining | null {
  const { id, state, address, labels } = container;
  const { role, revision } = labels;
  const spec = parseSpec(labels.spec);
  if (role === 'release' || state !== 'running' || address === null || spec === null) return null;
  return { slot: role, container: id, revision, upstream: `${address}:${spec.run.port}`, drainMs };
}
