import type { JournalRecord } from '../record/port.js';
import { formatDuration, formatTime, oneLine, shortHash } from './terminal.js';
import type { Colours } from './terminal.js';

type DeploymentRecord = Extract<JournalRecord, { type: 'deployment' }>;

const outcomes: ReadonlySet<string> = new Set(['active', 'failed', 'cancelled', 'rolled-back']);

/** Cells of one line of history. */
export interface HistoryLine {
  readonly when: string;
  readonly project: string;
  readonly what: string;
  readonly revision: string;
  /** Of the application; of the config repository where none is built. `-` when the entry names none. */
  readonly commit: string;
  readonly duration: string;
}

/** Null for what says nothing to a person by itself: the phases in between, and the journal's own records. */
export function historyLine(record: JournalRecord): HistoryLine | null {
  const what = describe(record);
  if (what === null) return null;
  return {
    when: formatTime(record.at),
    project: 'project' in record && record.project !== undefined ? record.project : '-',
    what: oneLine(what),
    revision: 'revision' in record ? shortHash(record.revision) : '-',
    commit:
      record.type === 'deployment' || record.type === 'switch'
        ? shortHash(record.sourceCommit ?? record.configCommit)
        : '-',
    duration: record.type === 'deployment' ? durationOf(record) : '-',
  };
}

function describe(record: JournalRecord): string | null {
  switch (record.type) {
    case 'controller':
      return `controller ${record.detail.event} (version ${record.detail.version}, pid ${record.detail.pid})`;
    case 'sync': {
      const { projects, problems } = record.detail;
      return `read config commit ${shortHash(record.configCommit)}: ${count(projects, 'project')}, ${count(problems, 'problem')}`;
    }
    case 'problem':
      return `problem ${record.detail.code}: ${record.detail.message}`;
    case 'deployment':
      return describeDeployment(record);
    case 'switch': {
      const { from, to, cause } = record.detail;
      return `traffic ${from === null ? '' : `from ${from} `}to ${to} (${cause})`;
    }
    case 'previous': {
      const { event, slot, inFlight } = record.detail;
      const left =
        event === 'drained' && inFlight !== null && inFlight > 0 ? `, ${inFlight} still in flight` : '';
      return `${slot} ${event}${left}`;
    }
    case 'drift':
      return record.detail.event === 'found'
        ? `drift found: ${record.detail.what}`
        : `drift put right: ${record.detail.what}`;
    case 'removal':
      return describeRemoval(record);
    case 'collect':
      return `${count(record.detail.images.length, 'image')} collected`;
    case 'retry':
      return 'retry asked for';
    case 'checkpoint':
      return record.detail.reason === 'rotated'
        ? null
        : `journal begun anew: the old file was ${record.detail.reason}`;
    default:
      // Written by a later version.
      return (record as { readonly type: string }).type;
  }
}

function describeDeployment({ to, detail }: DeploymentRecord): string | null {
  if (!outcomes.has(to)) return null;
  const rollback = detail.isRollback === true ? ' (a rollback)' : '';
  const why = [detail.reason, detail.message].filter((part) => part !== undefined).join(': ');
  return `${to}${rollback}${to === 'active' || why === '' ? '' : `: ${why}`}`;
}

function describeRemoval({ configCommit, detail }: Extract<JournalRecord, { type: 'removal' }>): string {
  switch (detail.event) {
    case 'confirmed':
      return `removals of config commit ${shortHash(configCommit)} confirmed`;
    case 'started':
      return 'removal started';
    case 'done':
      return 'removed';
  }
}

function durationOf({ detail }: DeploymentRecord): string {
  const phases = Object.values(detail.phases ?? {});
  return phases.length === 0 ? '-' : formatDuration(phases.reduce((sum, ms) => sum + ms, 0));
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

/** What an outcome or an event looks like. */
export function paintWhat(colours: Colours): (text: string) => string {
  return (text) => {
    if (text.startsWith('active')) return colours.green(text);
    if (/^(failed|rolled-back|problem)/.test(text)) return colours.red(text);
    if (/^(drift|cancelled)/.test(text)) return colours.yellow(text);
    return text;
  };
}
