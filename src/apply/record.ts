import { PointsmanError, messageOf } from '../errors.js';
import type { JournalEntry } from '../record/port.js';
import type { ApplyDeps } from './context.js';

/**
 * Appends what has to happen even when the journal cannot be written: repairs, and going back to a slot
 * that works (SPEC section 8). Everything else uses `journal.append` and does not happen unrecorded.
 */
export async function recordIfPossible(
  deps: Pick<ApplyDeps, 'journal' | 'log'>,
  entry: JournalEntry,
): Promise<void> {
  try {
    await deps.journal.append(entry);
  } catch (error) {
    if (!(error instanceof PointsmanError) || error.code !== 'JournalUnwritable') throw error;
    deps.log.error({ entry, error: messageOf(error) }, 'journal record lost');
  }
}
