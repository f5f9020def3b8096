import type { Clock } from '../clock.js';
import { PointsmanError } from '../errors.js';
import { readJournal } from '../record/journal.js';
import { Memory } from '../record/memory.js';
import { readStatus } from '../record/status-file.js';

/** What a command ends with that was asked about a project which is not there. `known`: those that are. */
export function noSuchProject(project: string, known: Iterable<string>): PointsmanError {
  const names = [...new Set(known)].sort();
  const there = names.length === 0 ? 'are none' : `${names.length === 1 ? 'is' : 'are'} ${names.join(', ')}`;
  return new PointsmanError('ManifestInvalid', `there is no project "${project}"; there ${there}`);
}

/** Null when status or journal tells of the project, as the journal does of one that is gone; else what to end with. */
export async function unknownProject(
  stateDir: string,
  project: string,
  clock: Clock,
): Promise<PointsmanError | null> {
  const reading = await readStatus(stateDir, clock);
  const shown = reading.kind === 'status' ? Object.keys(reading.status.projects) : [];
  if (shown.includes(project)) return null;
  const memory = new Memory();
  for await (const record of readJournal(stateDir)) {
    if ('project' in record && record.project === project) return null;
    memory.apply(record);
  }
  const remembered = memory.projects();
  if (remembered.includes(project)) return null;
  if (reading.kind !== 'status' && remembered.length === 0)
    return new PointsmanError('NotRunning', `nothing is known of a project "${project}": ${reading.message}`);
  return noSuchProject(project, [...shown, ...remembered]);
}
