import type { JournalRecord } from '../../src/record/port.js';

export type DeploymentRecord = Extract<JournalRecord, { type: 'deployment' }>;

/** One deployment, as the journal tells it. */
export interface History {
  readonly id: string;
  /** Every phase in order, the outcome last: `queued building starting probing switching active`. */
  readonly phases: string;
  readonly last: DeploymentRecord;
}

/** The project's deployments, oldest first. */
export function deploymentsOf(journal: readonly JournalRecord[], project: string): readonly History[] {
  const byId = new Map<string, DeploymentRecord[]>();
  for (const record of journal) {
    if (record.type !== 'deployment' || record.project !== project) continue;
    byId.set(record.deployment, [...(byId.get(record.deployment) ?? []), record]);
  }
  return [...byId].map(([id, records]) => {
    const last = records.at(-1) as DeploymentRecord;
    return { id, phases: records.map(({ to }) => to).join(' '), last };
  });
}

/** Where traffic went and why: `blue→green deploy`. */
export function switchesOf(journal: readonly JournalRecord[], project: string): readonly string[] {
  return journal.flatMap((record) =>
    record.type === 'switch' && record.project === project
      ? [`${record.detail.from}→${record.detail.to} ${record.detail.cause}`]
      : [],
  );
}

/** What became of slots that lost their traffic: `drained blue`, `retired blue`. */
export function previousOf(journal: readonly JournalRecord[], project: string): readonly string[] {
  return journal.flatMap((record) =>
    record.type === 'previous' && record.project === project
      ? [`${record.detail.event} ${record.detail.slot}`]
      : [],
  );
}
