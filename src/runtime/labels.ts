import { slots, type Slot } from '../manifest/project.js';
import type { ContainerLabels } from './port.js';

export const labelPrefix = 'dev.pointsman.';
export const instanceLabel = `${labelPrefix}instance`;
export const projectLabel = `${labelPrefix}project`;
const slotLabel = `${labelPrefix}slot`;

const keys = {
  instance: instanceLabel,
  project: projectLabel,
  role: slotLabel,
  revision: `${labelPrefix}revision`,
  imageKey: `${labelPrefix}image-key`,
  configCommit: `${labelPrefix}config-commit`,
  sourceCommit: `${labelPrefix}source-commit`,
  deployment: `${labelPrefix}deployment`,
  spec: `${labelPrefix}spec`,
} as const satisfies Record<keyof ContainerLabels, string>;

/** `pointsman-shop-blue`, `pointsman-shop-release` */
export function containerName(project: string, role: Slot | 'release'): string {
  return `pointsman-${project}-${role}`;
}

/** `pointsman-shop` */
export function networkName(project: string): string {
  return `pointsman-${project}`;
}

/** `pointsman-shop-data` */
export function volumeName(project: string, volume: string): string {
  return `pointsman-${project}-${volume}`;
}

/** The repository part of a project's image tags: `pointsman/shop`. */
export function imageRepository(project: string): string {
  return `pointsman/${project}`;
}

/** `shop` of `pointsman/shop:key`; null for every other reference. */
export function projectOfTag(reference: string): string | null {
  return /^pointsman\/([a-z][a-z0-9-]*):[^/@:]+$/.exec(reference)?.[1] ?? null;
}

/**
 * Every key is written, an absent source commit as an empty value: a container inherits what its
 * image's labels say about any key that is left out.
 */
export function writeLabels(labels: ContainerLabels): Record<string, string> {
  return Object.fromEntries(
    Object.entries(keys).map(([field, key]) => [key, labels[field as keyof ContainerLabels] ?? '']),
  );
}

/** What the labels say, or the key of the first one that is missing or senseless. */
export function readLabels(
  labels: Readonly<Record<string, string>>,
): ContainerLabels | { readonly malformed: string } {
  for (const [field, key] of Object.entries(keys)) {
    if ((labels[key] ?? '') === '' && field !== 'sourceCommit') return { malformed: key };
  }
  const at = (key: string): string => labels[key] ?? '';
  const role = [...slots, 'release' as const].find((each) => each === at(keys.role));
  if (role === undefined) return { malformed: keys.role };
  const sourceCommit = at(keys.sourceCommit);
  return {
    instance: at(keys.instance),
    project: at(keys.project),
    role,
    revision: at(keys.revision),
    imageKey: at(keys.imageKey),
    configCommit: at(keys.configCommit),
    sourceCommit: sourceCommit === '' ? null : sourceCommit,
    deployment: at(keys.deployment),
    spec: at(keys.spec),
  };
}

/**
 * A container that this instance made. The instance label alone does not tell: whoever runs one of
 * our images by hand gets a container that inherited it. The slot stands on containers only.
 */
export function isOurContainer(
  labels: Readonly<Record<string, string>> | null | undefined,
  instance: string,
): boolean {
  return labels?.[instanceLabel] === instance && labels[slotLabel] !== undefined;
}

/** For networks and volumes, which inherit nothing. */
export function carriesInstance(
  labels: Readonly<Record<string, string>> | null | undefined,
  instance: string,
): boolean {
  return labels?.[instanceLabel] === instance;
}
