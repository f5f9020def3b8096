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
export function isDrained({ memory }: PlanInput, { labels, state }: ContainerFacts): boolean {
  const { drained } = memory;
  return state !== 'running' || (drained?.slot === labels.role && drained.revision === labels.revision);
}
