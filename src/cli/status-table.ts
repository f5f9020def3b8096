import type { ProjectStatus, Status } from '../record/status.generated.js';
import { renderTable } from './table.js';
import type { Column } from './table.js';
import { ageOf, formatAge, formatTime, oneLine, shortHash } from './terminal.js';
import type { Colours } from './terminal.js';

export interface StatusView {
  readonly status: Status;
  /** Milliseconds since it was written. */
  readonly ageMs: number;
  readonly isStale: boolean;
  /** It says that the controller runs, and nobody answers there. */
  readonly isDead: boolean;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Columns of the terminal; null without one. */
  readonly width: number | null;
  readonly colours: Colours;
}

/** A running controller writes every 10 s at the latest: after this one is late, though not stale yet. */
const lateAfterMs = 15_000;

export type ProjectState = ProjectStatus['state'];
const states = [
  'live',
  'progressing',
  'failed',
  'suspended',
  'invalid',
  'removing',
] as const satisfies readonly ProjectState[];

/** All projects as a table, what a person has to mend, and a summary. */
export function renderStatus(view: StatusView): string {
  const parts = [
    staleness(view),
    sourceTrouble(view),
    components(view),
    projectTable(view),
    problems(view),
    summary(view),
  ];
  return parts.filter((part) => part !== '').join('\n');
}

export function paintState(colours: Colours, state: ProjectState): (text: string) => string {
  switch (state) {
    case 'live':
      return colours.green;
    case 'progressing':
      return colours.cyan;
    case 'failed':
    case 'invalid':
      return colours.red;
    case 'removing':
      return colours.yellow;
    case 'suspended':
      return colours.dim;
  }
}

/** A line for a status that says nothing about now; empty for a fresh one. */
export function staleness({
  status,
  ageMs,
  isStale,
  isDead,
  colours,
}: Pick<StatusView, 'status' | 'ageMs' | 'isStale' | 'isDead' | 'colours'>): string {
  if (isDead) {
    const at = formatTime(status.writtenAt);
    return colours.red(`no controller runs: this is how it was at ${at}; start it with "pointsman run"\n`);
  }
  if (status.controller.state === 'stopped') {
    return colours.yellow(
      `${isStale ? 'stale: ' : ''}the controller stopped ${formatAge(ageMs)} ago; what follows is how it left things\n`,
    );
  }
  if (ageMs <= lateAfterMs) return '';
  const mend = 'see its log, or start it with "pointsman run"';
  return colours.red(
    `${isStale ? 'stale: ' : ''}written ${formatAge(ageMs)} ago, and a running controller writes every 10 s; ${mend}\n`,
  );
}

/**
 * A line for manifests that may be old because the config repository cannot be read; else empty. `now`
 * null: without its age.
 */
export function sourceTrouble({
  status: { source, controller },
  now,
  colours,
}: Pick<StatusView, 'status' | 'colours'> & { readonly now: number | null }): string {
  if (source.error === null) return '';
  const since = source.lastSuccessAt ?? controller.startedAt;
  const age = now === null ? '' : ` (${ageOf(since, now)})`;
  const counts = source.commit === null ? '' : `; what follows goes by commit ${shortHash(source.commit)}`;
  return colours.yellow(
    `the config repository cannot be read since ${formatTime(since)}${age}: ${oneLine(source.error)}${counts}\n`,
  );
}

function components({ status, colours }: StatusView): string {
  return Object.entries(status.components)
    .filter(([, { ok }]) => !ok)
    .map(([name, { message }]) =>
      colours.red(`${name}: ${oneLine(message ?? 'it does not answer, see the log')}\n`),
    )
    .join('');
}

function projectTable({ status, now, width, colours }: StatusView): string {
  const names = Object.keys(status.projects).sort();
  if (names.length === 0) return 'no projects\n';
  const paint = (text: string): string => {
    const state = states.find((each) => each === text || text === `update ${each}`);
    return state === undefined ? text : paintState(colours, state)(text);
  };
  const columns: readonly Column[] = [
    { title: 'PROJECT' },
    { title: 'STATE', paint },
    { title: 'SLOT', dropAt: 2 },
    { title: 'REVISION', dropAt: 3 },
    { title: 'COMMIT', dropAt: 1 },
    { title: 'AGE', dropAt: 4 },
    { title: 'URL / MESSAGE' },
  ];
  const rows = names.map((name) => {
    const project = status.projects[name] as ProjectStatus;
    const { live } = project;
    return [
      name,
      stateText(project),
      live?.slot ?? '-',
      shortHash(live?.revision ?? null),
      shortHash(live?.sourceCommit ?? null),
      ageOf(live?.since ?? null, now),
      isToldBelow(project.message, status.problems)
        ? `${project.reason ?? project.state}, see PROBLEMS`
        : lastCell(project),
    ];
  });
  return renderTable(columns, rows, { width, colours });
}

/** A project that failed and serves all the same is not down: what serves is another revision than is wanted. */
function stateText({ state, live, desired }: ProjectStatus): string {
  const isServed = live !== null && live.revision !== desired?.revision;
  return state === 'failed' && isServed ? 'update failed' : state;
}

/** What is going on, what is wrong, or else where the project answers. */
function lastCell({ phase, reason, message, urls }: ProjectStatus): string {
  const parts = [phase === null ? '' : `${phase}`, message === null ? (reason ?? '') : message].filter(
    (part) => part !== '',
  );
  return parts.length > 0 ? parts.join(': ') : urls.join(' ');
}

function problems({ status, colours }: StatusView): string {
  if (status.problems.length === 0) return '';
  const lines = status.problems.map((problem) => `${colours.red('!')} ${describeProblem(problem)}\n`);
  return `${colours.dim('PROBLEMS')}\n${lines.join('')}`;
}

/** Whether `message`, of a project, says what one of `problems` says. */
export function isToldBelow(
  message: string | null,
  problems: readonly Pick<Status['problems'][number], 'file' | 'message'>[],
): boolean {
  if (message === null) return false;
  return problems.some((each) => message.startsWith(each.file) && message.endsWith(each.message));
}

/** `projects/a.yaml:4:9 /run/port: …`; only the message when it is not about a file. */
export function describeProblem(problem: Omit<Status['problems'][number], 'project'>): string {
  const { file, line, column, path, message } = problem;
  if (file === '') return oneLine(message);
  const place = line > 0 ? `${file}:${line}:${column}` : file;
  return oneLine(`${place}${path === '' ? '' : ` ${path}`}: ${message}`);
}

function summary({ status, now, colours }: StatusView): string {
  const { total } = status.summary;
  const counts = states
    .filter((state) => status.summary[state] > 0)
    .map((state) => paintState(colours, state)(`${status.summary[state]} ${state}`));
  const { branch, commit, lastSuccessAt } = status.source;
  const at = commit === null ? '' : ` at ${shortHash(commit)}`;
  const look = lastSuccessAt === null ? 'not read yet' : `looked at ${ageOf(lastSuccessAt, now)} ago`;
  const head = `${total} ${total === 1 ? 'project' : 'projects'}${counts.length > 0 ? `: ${counts.join(', ')}` : ''}`;
  return `${head} ${colours.dim(`(${oneLine(branch)}${at}, ${look})`)}\n`;
}

/** One line of a project for outputs that cannot be redrawn: `shop live blue 7d01aa55 http://…`. */
export function statusLine(name: string, project: ProjectStatus): string {
  const { state, live } = project;
  return oneLine(
    [name, state, live?.slot ?? '-', shortHash(live?.revision ?? null), lastCell(project)].join(' '),
  );
}
