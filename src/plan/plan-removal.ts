import { slots } from '../manifest/project.js';
import { parseSpec } from '../manifest/spec.js';
import { drainMsOf } from './plan-letting-go.js';
import type { Plan, PlanInput, Step } from './plan.js';

/** A project whose manifest is gone at `configCommit`: its route goes first, then it is drained, stopped and removed. Named volumes stay. */
export function planRemoval(input: PlanInput, configCommit: string): Plan {
  const { observed, memory, project } = input;
  const { route, network } = observed;
  const containers = slots.map((slot) => observed.containers[slot]).filter((container) => container !== null);
  const steps: Step[] = [];
  if (memory.open !== null)
    steps.push({ kind: 'close', deployment: memory.open.deployment, why: 'its manifest is gone' });
  if (route.present) steps.push({ kind: 'unroute', configCommit, why: 'its manifest is gone' });
  const upstreams = containers.flatMap((container) => {
    const spec = parseSpec(container.labels.spec);
    return container.address === null || spec === null || container.state !== 'running'
      ? []
      : [`${container.address}:${spec.run.port}`];
  });
  if (upstreams.length > 0)
    steps.push({
      kind: 'empty-slots',
      upstreams,
      drainMs: drainMsOf(input),
      why: 'requests in flight end first',
    });
  for (const container of [...containers, ...(observed.release === null ? [] : [observed.release])]) {
    const stopTimeoutMs = parseSpec(container.labels.spec)?.run.stopTimeoutMs ?? 10_000;
    steps.push({
      kind: 'remove',
      role: container.labels.role,
      container: container.id,
      stopTimeoutMs,
      retires: null,
      why: 'its manifest is gone',
    });
  }
  if (network !== null) steps.push({ kind: 'remove-network', why: 'its manifest is gone' });
  if (route.switches.blue !== null || route.switches.green !== null)
    steps.push({ kind: 'clear-switch', why: 'its manifest is gone' });
  return { project, steps, state: steps.length === 0 ? 'gone' : 'removing', blocked: null, wakeAt: null };
}
