/**
 * The release command: a one-off container of the new image before it starts. At least once per
 * deployment and never two at once: one that runs already is awaited, by whichever life of the
 * controller it was started. Only its own timeout ends it.
 */
import { PointsmanError, messageOf } from '../errors.js';
import type { ContainerFacts } from '../runtime/port.js';
import { joinSignals } from '../signals.js';
import type { DeployState } from './deploy.js';
import type { Deployment } from './deployment.js';
import { containerSpec } from './container-spec.js';
import { tailLines } from './failure.js';

/** Lines of release output in the deployment's log. */
const longestOutput = 5_000;

export async function runRelease(
  deployment: Deployment,
  state: DeployState,
  signal: AbortSignal,
): Promise<void> {
  const { context, step } = deployment;
  const { release } = step.target.project;
  if (release === null) return;
  await deployment.enter('releasing');
  const id = await ownRelease(deployment, state, signal);
  const exitCode = await awaitRelease(deployment, id, release.timeoutMs);
  const tail = await logRelease(deployment, id);
  if (exitCode !== 0) {
    await context.runtime.remove(id);
    const message = `the release command exited with ${exitCode}: mend it and commit, or run it again with \`pointsman retry ${context.project}\``;
    throw new PointsmanError('ReleaseFailed', message, { detail: { tail: tail.slice(-tailLines) } });
  }
  signal.throwIfAborted();
  await deployment.enter('starting');
  await context.runtime.remove(id);
}

/** The container of this deployment's release: found after a crash, or made and started now. */
async function ownRelease(deployment: Deployment, state: DeployState, signal: AbortSignal): Promise<string> {
  const { context, step } = deployment;
  const there = (await context.runtime.containers(context.project)).find(
    (container) => container.labels.role === 'release',
  );
  if (there !== undefined) {
    if (there.labels.deployment === deployment.id) {
      if (there.state === 'created') await context.runtime.start(there.id);
      return there.id;
    }
    await awaitForeign(deployment, there);
  }
  signal.throwIfAborted();
  const spec = await containerSpec(deployment, state, 'release');
  const id = await context.runtime.create({ ...spec, command: step.target.project.release?.command ?? null });
  await context.runtime.start(id);
  return id;
}

/** An older deployment's release ends by itself before ours begins. */
async function awaitForeign(deployment: Deployment, container: ContainerFacts): Promise<void> {
  const { context, step } = deployment;
  if (container.state === 'running') {
    deployment.progress('waiting for the release command of an older deployment');
    await awaitRelease(deployment, container.id, step.target.project.release?.timeoutMs ?? 600_000).catch(
      (error: unknown) => {
        context.stopping.throwIfAborted();
        context.log.warn(
          { ...deployment.fields, error: messageOf(error) },
          'release command of an older deployment did not end',
        );
      },
    );
  }
  await context.runtime.remove(container.id);
}

/** Copies what it wrote into the deployment's log. Resolves to it. */
async function logRelease({ context, log }: Deployment, id: string): Promise<readonly string[]> {
  const lines = await context.runtime.tail(id, longestOutput);
  for (const line of lines) log.line(line);
  return lines;
}

async function awaitRelease(deployment: Deployment, id: string, timeoutMs: number): Promise<number> {
  const { context } = deployment;
  const timeout = new AbortController();
  const cancelTimer = context.clock.timer(timeoutMs, () => timeout.abort());
  const either = joinSignals(context.stopping, timeout.signal);
  try {
    return await context.runtime.waitForExit(id, either.signal);
  } catch (error) {
    if (!timeout.signal.aborted || context.stopping.aborted) throw error;
    const tail = await logRelease(deployment, id);
    await context.runtime.remove(id);
    throw new PointsmanError(
      'ReleaseTimedOut',
      `the release command took longer than release.timeout ${timeoutMs / 1000}s: raise it, or make it faster`,
      { detail: { tail: tail.slice(-tailLines) } },
    );
  } finally {
    cancelTimer();
    either.release();
  }
}
