import { parseSpec } from '../manifest/spec.js';
import type { Slot } from '../manifest/project.js';
import { slots } from '../manifest/project.js';
import type { Router } from '../router/port.js';
import type { ContainerFacts, ContainerRuntime, NameHolder } from '../runtime/port.js';
import { containerName } from '../runtime/labels.js';
import { assembleObserved } from './observed.js';
import type { Observed } from './observed.js';

export interface ObserveDeps {
  readonly runtime: Pick<ContainerRuntime, 'containers' | 'network' | 'nameHolder'>;
  readonly router: Pick<Router, 'observe'>;
}

/** Looks at one project's containers, network and files. @throws PointsmanError DockerUnavailable */
export async function observeProject(project: string, deps: ObserveDeps): Promise<Observed> {
  const [containers, network, route] = await Promise.all([
    deps.runtime.containers(project),
    deps.runtime.network(project),
    deps.router.observe(project),
  ]);
  const strangers = await strangersOf(project, containers, deps.runtime);
  return assembleObserved({ project, containers, network, route, strangers }, parseSpec);
}

/** Asks about a slot's name only when no container of ours holds it. */
async function strangersOf(
  project: string,
  containers: readonly ContainerFacts[],
  runtime: ObserveDeps['runtime'],
): Promise<Readonly<Record<Slot, NameHolder | null>>> {
  const strangers: Record<Slot, NameHolder | null> = { blue: null, green: null };
  for (const slot of slots) {
    if (containers.some((container) => container.labels.role === slot)) continue;
    const holder = await runtime.nameHolder(containerName(project, slot));
    if (holder !== null && !holder.ours) strangers[slot] = holder;
  }
  return strangers;
}
