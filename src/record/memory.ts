/**
 * What the journal remembers of a project, and how each record changes it.
 *
 *   deployment → phase       opens the deployment or moves it on; another revision forgets the failure;
 *                            `rejected` in the detail is a final failure from that moment on
 *   deployment → active      closes it; the revision was live; no failure any more
 *   deployment → failed      closes it; the failure, with its attempts
 *   deployment → rolled-back closes it; the revision is rejected for good
 *   deployment → cancelled   closes it; what was known of failures stays
 *   switch                   the last switch; what was drained before is not the previous slot any more
 *   previous                 `drained` is remembered until the slot is retired or traffic moves again
 *   removal done             the project is forgotten
 *   removal confirmed        the commit is remembered
 *   retry                    the failure is forgotten
 *   checkpoint               replaces everything
 *   all others               history only
 */
import type { JournalMemory, JournalRecord, MemoryState, Outcome, Phase, ProjectMemory } from './port.js';
import { noMemory } from './port.js';

/** Bounds of what is remembered (SPEC section 8): revisions per project, and confirmed commits. */
const mostLiveRevisions = 50;
const mostConfirmedCommits = 20;
/** Characters of a failure's message. */
const longestMessage = 2_000;

type DeploymentRecord = Extract<JournalRecord, { type: 'deployment' }>;
type SwitchRecordEntry = Extract<JournalRecord, { type: 'switch' }>;
type PreviousRecord = Extract<JournalRecord, { type: 'previous' }>;

const outcomes: ReadonlySet<string> = new Set(['active', 'failed', 'cancelled', 'rolled-back']);

/**
 * One project's memory after `record`, which is about that project. Null: forget the project.
 * Replaying a record that was applied before changes nothing that matters.
 */
export function applyRecord(memory: ProjectMemory, record: JournalRecord): ProjectMemory | null {
  switch (record.type) {
    case 'deployment':
      return outcomes.has(record.to) ? closeDeployment(memory, record) : openDeployment(memory, record);
    case 'switch':
      return applySwitch(memory, record);
    case 'previous':
      return applyPrevious(memory, record);
    case 'removal':
      return record.detail.event === 'done' ? null : memory;
    case 'retry':
      return memory.failure === null ? memory : { ...memory, failure: null };
    case 'controller':
    case 'sync':
    case 'problem':
    case 'drift':
    case 'collect':
    case 'checkpoint':
      return memory;
    default:
      // Written by a later version of Pointsman: history that this one does not read.
      record satisfies never;
      return memory;
  }
}

function openDeployment(memory: ProjectMemory, record: DeploymentRecord): ProjectMemory {
  const { detail } = record;
  const before = memory.open?.deployment === record.deployment ? memory.open : null;
  const known = memory.failure?.revision === record.revision ? memory.failure : null;
  const open = {
    deployment: record.deployment,
    revision: record.revision,
    configCommit: record.configCommit,
    sourceCommit: record.sourceCommit,
    phase: record.to as Phase,
    slot: detail.slot ?? before?.slot ?? null,
    attempt: detail.attempt ?? before?.attempt ?? (known?.attempts ?? 0) + 1,
    isRollback: detail.isRollback ?? before?.isRollback ?? false,
    startedAt: before?.startedAt ?? record.at,
  };
  const failure = detail.rejected === true ? failureOf(memory, record, open.attempt) : known;
  return { ...memory, open, failure };
}

function closeDeployment(memory: ProjectMemory, record: DeploymentRecord): ProjectMemory {
  const open = memory.open?.deployment === record.deployment ? memory.open : null;
  const ended = memory.last?.deployment === record.deployment ? memory.last : null;
  const last = {
    deployment: record.deployment,
    revision: record.revision,
    outcome: record.to as Outcome,
    startedAt: open?.startedAt ?? ended?.startedAt ?? record.at,
    finishedAt: record.at,
    phases: record.detail.phases ?? {},
  };
  const closed = { ...memory, open: open === null ? memory.open : null, last };
  if (last.outcome === 'active') {
    return {
      ...closed,
      failure: null,
      wasLive: newestLast(memory.wasLive, record.revision, mostLiveRevisions),
    };
  }
  if (last.outcome === 'cancelled') return closed;
  return { ...closed, failure: failureOf(memory, record, open?.attempt ?? null) };
}

function failureOf(
  memory: ProjectMemory,
  record: DeploymentRecord,
  attempt: number | null,
): ProjectMemory['failure'] {
  const { detail } = record;
  const before = memory.failure?.revision === record.revision ? memory.failure : null;
  const sameDeployment = before?.deployment === record.deployment ? before : null;
  const rejected =
    detail.rejected === true || record.to === 'rolled-back' || sameDeployment?.rejected === true;
  const final = rejected || detail.final === true;
  return {
    revision: record.revision,
    deployment: record.deployment,
    reason: detail.reason ?? sameDeployment?.reason ?? (rejected ? 'BakeFailed' : 'StartFailed'),
    message: (detail.message ?? sameDeployment?.message ?? '').slice(0, longestMessage),
    attempts: detail.attempt ?? attempt ?? sameDeployment?.attempts ?? (before?.attempts ?? 0) + 1,
    final,
    rejected,
    nextRetryAt: final ? null : (detail.nextRetryAt ?? null),
  };
}

/** A repair that leaves traffic where it is says nothing new about what was left behind. */
function applySwitch(memory: ProjectMemory, record: SwitchRecordEntry): ProjectMemory {
  const { from, to, cause } = record.detail;
  const unmoved = from === to || (cause === 'repair' && from === null && memory.switched?.to === to);
  if (unmoved) return memory;
  return { ...memory, drained: null, switched: { at: record.at, from, to, revision: record.revision } };
}

function applyPrevious(memory: ProjectMemory, record: PreviousRecord): ProjectMemory {
  const { event, slot } = record.detail;
  if (event === 'drained') return { ...memory, drained: { slot, revision: record.revision } };
  return memory.drained?.slot === slot ? { ...memory, drained: null } : memory;
}

/** `list` with `item` at its end, once, and no longer than `most`. */
function newestLast(list: readonly string[], item: string, most: number): readonly string[] {
  return [...list.filter((other) => other !== item), item].slice(-most);
}

/** The memory of all projects: folded from records in order. */
export class Memory implements JournalMemory {
  readonly #projects = new Map<string, ProjectMemory>();
  #confirmed: readonly string[] = [];

  project(name: string): ProjectMemory {
    return this.#projects.get(name) ?? noMemory;
  }

  projects(): readonly string[] {
    return [...this.#projects.keys()];
  }

  isConfirmed(configCommit: string): boolean {
    return this.#confirmed.includes(configCommit);
  }

  apply(record: JournalRecord): void {
    if (record.type === 'checkpoint') return this.#restore(record.detail.memory);
    if (record.type === 'removal' && record.detail.event === 'confirmed') {
      this.#confirmed = newestLast(this.#confirmed, record.configCommit, mostConfirmedCommits);
      return;
    }
    const name = 'project' in record ? record.project : undefined;
    if (name === undefined) return;
    const before = this.project(name);
    const after = applyRecord(before, record);
    if (after === null) this.#projects.delete(name);
    else if (after !== before) this.#projects.set(name, after);
  }

  /** Everything, as plain data for a checkpoint. */
  state(): MemoryState {
    return { projects: Object.fromEntries(this.#projects), confirmed: this.#confirmed };
  }

  #restore(state: MemoryState): void {
    this.#projects.clear();
    for (const [name, memory] of Object.entries(state.projects)) {
      this.#projects.set(name, { ...noMemory, ...memory });
    }
    this.#confirmed = state.confirmed;
  }
}
