import { PointsmanError } from '../errors.js';
import type { GitSource } from '../manifest/project.js';
import type { Deployment } from './deployment.js';

/**
 * Builds the target's image from its source's tree and tags it by its key. Resolves to the image id.
 * @throws PointsmanError BuildFailed, BuildTimedOut, DockerfileMissing, ImagePullFailed
 */
export async function buildImage(deployment: Deployment, signal: AbortSignal): Promise<string> {
  const { step, log } = deployment;
  const { target } = step;
  const { source } = target.project;
  if (source.kind !== 'git' || target.tree === null || target.sourceCommit === null) {
    throw new PointsmanError(
      'BuildFailed',
      `image ${target.tag} is gone and there is nothing to build it from: pull or import it again`,
    );
  }
  await deployment.enter('building');
  try {
    return await build(deployment, source, signal);
  } finally {
    log.line('build ended');
  }
}

async function build(deployment: Deployment, source: GitSource, signal: AbortSignal): Promise<string> {
  const { context, step, log } = deployment;
  const { target } = step;
  const resolved = { commit: target.sourceCommit as string, tree: target.tree as string, stale: null };
  const stream = await context.sources.context(source, resolved, (line) => log.line(line), signal);
  try {
    return await context.runtime.build(
      {
        project: context.project,
        tag: target.tag,
        labels: {
          'dev.pointsman.instance': context.settings.instance,
          'dev.pointsman.project': context.project,
          'dev.pointsman.image-key': target.imageKey,
        },
        build: source.build,
        context: stream,
      },
      (progress) => {
        log.line(progress.line);
        if (progress.step !== null) deployment.progress(progress.step);
      },
      signal,
    );
  } finally {
    stream.destroy();
  }
}
