import type { ApplyDeps } from '../apply/context.js';
import { collectImages } from '../apply/collect.js';
import type { DesiredProjects } from '../desired-projects.js';
import { PointsmanError, messageOf } from '../errors.js';
import { parseSpec } from '../manifest/spec.js';
import { imageRepository, projectOfTag } from '../runtime/labels.js';
import type { PlanInput } from '../plan/plan.js';

/** Projects of ours that are there: a container, a network, a site file or a switch file. */
export async function existingProjects({
  runtime,
  router,
}: Pick<ApplyDeps, 'runtime' | 'router'>): Promise<readonly string[]> {
  const [inEngine, files] = await Promise.all([runtime.projects(), router.projects()]);
  return [...new Set([...inEngine, ...files])];
}

/** What has to be done now and then: images and mirrors that nobody needs, the key of secrets. */
export class Housekeeping {
  /** Live deployment per project at the last collection: nothing to collect until it changes. */
  readonly #collected = new Map<string, string>();

  constructor(private readonly deps: ApplyDeps & { readonly desired: DesiredProjects }) {}

  /**
   * Makes the key of secret hashes, unless containers with secrets exist and it is gone. Resolves to whether
   * there is one.
   */
  async ensureSecretKey(): Promise<boolean> {
    const { runtime, secrets, log } = this.deps;
    try {
      const containers = await runtime.containers();
      const inUse = containers.some(({ labels }) => (parseSpec(labels.spec)?.run.secrets.length ?? 0) > 0);
      await secrets.ensureKey(inUse);
      return true;
    } catch (error) {
      if (error instanceof PointsmanError && error.code === 'DockerUnavailable') throw error;
      // Whoever has secrets is told when they are read; nobody else has to care.
      log.error({ error: messageOf(error) }, 'key of secret hashes is not usable');
      return false;
    }
  }

  /** After a deployment became live: images beyond `images.keep`. */
  async collect(input: PlanInput): Promise<void> {
    const { live } = input.observed;
    const deployment = live?.record?.deployment ?? live?.identity?.deployment;
    if (deployment === undefined || this.#collected.get(input.project) === deployment) return;
    await this.#collectProject(input);
    this.#collected.set(input.project, deployment);
  }

  /**
   * Now and then: images and logs of projects that are gone, and mirrors of repositories that nobody names.
   * Nothing before it is known what is wanted.
   */
  async collectAll(signal: AbortSignal): Promise<void> {
    const { desired, runtime, sources, deploymentLogs, clock, log } = this.deps;
    if (desired.commit === null) return;
    try {
      const known = new Set([...desired.names(), ...(await existingProjects(this.deps))]);
      const images = await runtime.images();
      const gone = new Set(
        images
          .flatMap(({ tags }) => tags.map(projectOfTag))
          .filter((project) => project !== null && !known.has(project)),
      );
      for (const project of gone) {
        if (project === null) continue;
        for (const tag of images.flatMap(({ tags }) => tags).filter((each) => projectOfTag(each) === project))
          await runtime.removeImage(tag);
        log.info({ project }, 'images of a removed project collected');
      }
      const logs = await deploymentLogs.collect(known, clock.now());
      if (logs.length > 0) log.info({ projects: logs }, 'logs of removed projects collected');
      await sources.collect(desired.repositories(), signal);
    } catch (error) {
      signal.throwIfAborted();
      log.warn({ error: messageOf(error) }, 'collection did not end');
    }
  }

  async #collectProject(input: PlanInput): Promise<void> {
    const { project, observed } = input;
    const { blue, green } = observed.containers;
    const containers = [blue, green, observed.release].filter((container) => container !== null);
    try {
      await collectImages(project, { containers, wantedTags: wantedTags(input) }, this.deps);
    } catch (error) {
      this.deps.log.warn({ project, error: messageOf(error) }, 'images could not be collected');
    }
  }
}

function wantedTags(input: PlanInput): ReadonlySet<string> {
  const tags = new Set<string>();
  if (input.want.kind === 'resolved') tags.add(input.want.tag);
  const live = input.observed.live?.identity;
  if (live) tags.add(`${imageRepository(input.project)}:${live.imageKey}`);
  return tags;
}
