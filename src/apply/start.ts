import { messageOf } from '../errors.js';
import type { DeployState } from './deploy.js';
import type { Deployment } from './deployment.js';
import { containerSpec } from './container-spec.js';

/** Starts the candidate in its slot: a new container, or the one that stands there already. */
export async function startCandidate(
  deployment: Deployment,
  state: DeployState,
  signal: AbortSignal,
): Promise<void> {
  const { context, step } = deployment;
  await deployment.enter('starting');
  state.container ??= await context.runtime.create(await containerSpec(deployment, state, step.slot));
  signal.throwIfAborted();
  await context.runtime.start(state.container);
  state.startedAt = context.clock.monotonic();
  const id = state.container.slice(0, 12);
  deployment.log.line(`container ${id} started in ${step.slot}`);
  context.log.debug({ ...deployment.fields, container: id, slot: step.slot }, 'container started');
}

/** Copies what the candidate said so far into the deployment's log. */
export async function logOutput(deployment: Deployment, container: string, lines: number): Promise<void> {
  try {
    for (const line of await deployment.context.runtime.tail(container, lines)) deployment.log.line(line);
  } catch (error) {
    deployment.log.line(`(its output cannot be read: ${messageOf(error)})`);
  }
}
