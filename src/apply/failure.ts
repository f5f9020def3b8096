import { isAbort, messageOf } from '../errors.js';
import type { PointsmanError } from '../errors.js';
import type { DeploymentDetail } from '../record/port.js';
import type { Deployment } from './deployment.js';
import type { DeployState } from './deploy.js';

/** Lines of output that journal and log keep of a failure (SPEC section 10). */
export const tailLines = 50;

/** What the journal says of a failed attempt: why, the last output, and whether and when it is tried again. */
export async function failureDetail(
  error: PointsmanError,
  deployment: Deployment,
  state: DeployState,
): Promise<DeploymentDetail> {
  const { context, step } = deployment;
  const { retries } = context.settings;
  const tail = tailOf(error) ?? (await outputOf(deployment, state));
  const message = withOutput(messageOf(error), tail, context.project);
  const final =
    error.reaction === 'stall' || (error.reaction === 'retry' && step.attempt >= retries.attempts);
  if (final) return { reason: error.code, message, final, tail };
  const nextRetryAt = new Date(context.clock.now() + backoffMs(retries, step.attempt)).toISOString();
  return { reason: error.code, message, final, tail, nextRetryAt };
}

/** Says where to read on, where something was written. */
function withOutput(message: string, tail: readonly string[], project: string): string {
  return tail.length === 0 ? message : `${message}; "pointsman logs ${project} --build" shows its output`;
}

function tailOf(error: PointsmanError): readonly string[] | null {
  const { tail } = error.detail;
  return Array.isArray(tail) ? tail.map(String).slice(-tailLines) : null;
}

async function outputOf(deployment: Deployment, state: DeployState): Promise<readonly string[]> {
  if (state.container === null) return [];
  try {
    return await deployment.context.runtime.tail(state.container, tailLines);
  } catch (error) {
    if (isAbort(error)) throw error;
    return [`(its output cannot be read: ${messageOf(error)})`];
  }
}

/** Doubles with each attempt from `backoffMs` to `maxBackoffMs`, ±20 % so that many do not come back at once. */
export function backoffMs(
  retries: { readonly backoffMs: number; readonly maxBackoffMs: number },
  attempt: number,
): number {
  const base = Math.min(retries.backoffMs * 2 ** Math.min(attempt - 1, 30), retries.maxBackoffMs);
  return Math.round(base * (0.8 + 0.4 * Math.random()));
}
