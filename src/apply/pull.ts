import { isAbort, messageOf } from '../errors.js';
import type { PassContext } from './context.js';

/**
 * Resolves a manifest's image once: what is there under that name counts, otherwise it is pulled. The
 * tag by image key is the record of it, so that the same string means the same image from then on.
 */
export async function pullImage(context: PassContext, reference: string, tag: string): Promise<void> {
  const { project, runtime, log, stopping } = context;
  const there = await runtime.image(reference);
  if (there !== null) return runtime.tag(there.id, tag);
  context.report({ phase: 'fetching' });
  log.info({ project, image: reference }, 'pulling image');
  try {
    await runtime.pull(reference, (line) => context.report({ phase: 'fetching', step: line }), stopping);
    const pulled = await runtime.image(reference);
    if (pulled === null) throw new Error(`the engine pulled ${reference} but does not know it`);
    await runtime.tag(pulled.id, tag);
    // Our tag keeps it from here on; the name was not there before, so it does not stay either.
    await runtime.removeImage(reference);
    log.info({ project, image: reference, id: pulled.id }, 'image pulled');
  } catch (error) {
    context.report({ phase: null, outcome: 'failed' });
    if (!isAbort(error, stopping))
      log.warn({ project, image: reference, error: messageOf(error) }, 'image could not be pulled');
    throw error;
  }
  context.report({ phase: null });
}
