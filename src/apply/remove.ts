import type { PassContext } from './context.js';

/** Stops and removes a container that gets no traffic. Gone already is fine. */
export async function stopAndRemove(
  context: Pick<PassContext, 'runtime'>,
  container: string,
  stopTimeoutMs: number,
): Promise<void> {
  await context.runtime.stop(container, stopTimeoutMs);
  await context.runtime.remove(container);
}
