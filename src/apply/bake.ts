import { PointsmanError } from '../errors.js';
import { otherSlot } from '../manifest/project.js';
import { joinSignals } from '../signals.js';
import type { Attempt } from './context.js';
import { Superseded } from './context.js';
import type { DeployState } from './deploy.js';
import type { Deployment } from './deployment.js';
import { containerOf, pause, probeTargetOf, whileRunning } from './probe.js';
import type { ProbeTarget } from './prober.js';

/**
 * Keeps probing the new live container for `health.bake`. Ends early, as cancelled, when what is
 * wanted by now is the previous slot's revision: the next pass goes back to it at once.
 * @throws PointsmanError BakeFailed
 */
export async function bake(deployment: Deployment, state: DeployState, attempt: Attempt): Promise<void> {
  const { context, step } = deployment;
  await deployment.enter('baking');
  const goBack = new AbortController();
  const previous = context.observed.containers[otherSlot(step.slot)]?.labels.revision;
  const lookAround = (): void => {
    const { newer } = attempt;
    if (newer?.kind === 'resolved' && !newer.project.suspend && newer.revision === previous) {
      goBack.abort(new Superseded(`a revert to revision ${newer.revision}`));
    }
  };
  const stopListening = attempt.onSupersede(lookAround);
  const either = joinSignals(context.stopping, goBack.signal);
  try {
    lookAround();
    const container = await containerOf(context, state);
    const target = probeTargetOf(container, step.target.project.health);
    await whileRunning(context, container.id, either.signal, (running) =>
      keepProbing(deployment, target, running),
    );
  } catch (error) {
    context.stopping.throwIfAborted();
    if (goBack.signal.aborted) throw goBack.signal.reason;
    if (error instanceof PointsmanError && error.code === 'ContainerExited')
      throw failed(error.message, error);
    throw error;
  } finally {
    stopListening();
    either.release();
  }
}

async function keepProbing(deployment: Deployment, target: ProbeTarget, signal: AbortSignal): Promise<void> {
  const { clock, prober } = deployment.context;
  const { bakeMs, failures } = target.health;
  const intervalMs = target.health.intervalMs ?? pause.mostMs;
  const end = clock.monotonic() + bakeMs;
  let inRow = 0;
  for (;;) {
    await clock.sleep(Math.max(0, Math.min(intervalMs, end - clock.monotonic())), signal);
    const result = await prober.probe(target, signal);
    if (result.ok && inRow > 0) deployment.progress(null);
    inRow = result.ok ? 0 : inRow + 1;
    if (!result.ok) {
      deployment.progress(`${inRow} of ${failures} failed probes: ${result.why}`);
      if (inRow >= failures)
        throw failed(`${failures} probes in a row failed after the switch: ${result.why}`);
    }
    if (clock.monotonic() >= end && inRow === 0) return;
  }
}

function failed(why: string, cause?: unknown): PointsmanError {
  const message = `${why}; traffic goes back to the previous revision, which stays until another one is wanted`;
  return new PointsmanError('BakeFailed', message, { cause });
}
