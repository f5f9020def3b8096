import type { ApplyDeps } from './context.js';
import type { ContainerFacts, ImageFacts } from '../runtime/port.js';

export interface CollectInput {
  readonly images: readonly ImageFacts[];
  /** All containers of the project, whatever their state. */
  readonly containers: readonly ContainerFacts[];
  /** Tags that a manifest wants or that the live slot came from. */
  readonly wantedTags: ReadonlySet<string>;
  /** `images.keep`: how many are kept besides those in use. */
  readonly keep: number;
}

/** Tags to remove: all but those in use and the `keep` newest others. */
export function imagesToCollect(input: CollectInput): readonly string[] {
  const inUse = new Set(input.containers.map((container) => container.image));
  return input.images
    .filter((image) => !inUse.has(image.id) && !image.tags.some((tag) => input.wantedTags.has(tag)))
    .sort((a, b) => b.createdAt - a.createdAt)
    .slice(input.keep)
    .flatMap((image) => image.tags.filter((tag) => tag.startsWith('pointsman/')));
}

/** Removes what `imagesToCollect` names and says so in the journal. */
export async function collectImages(
  project: string,
  { containers, wantedTags }: Pick<CollectInput, 'containers' | 'wantedTags'>,
  deps: Pick<ApplyDeps, 'runtime' | 'journal' | 'log' | 'settings'>,
): Promise<void> {
  const { runtime, journal, log, settings } = deps;
  const images = await runtime.images(project);
  const tags = imagesToCollect({ images, containers, wantedTags, keep: settings.images.keep });
  const removed: string[] = [];
  for (const tag of tags) if (await runtime.removeImage(tag)) removed.push(tag);
  if (removed.length === 0) return;
  await journal.append({ type: 'collect', project, detail: { images: removed } });
  log.info({ project, images: removed }, 'images collected');
}
