import type { ProjectStatus } from '../record/status.generated.js';
import { paintState, sourceTrouble, staleness } from './status-table.js';
import type { StatusView } from './status-table.js';
import { ageOf, formatAge, formatDuration, formatTime, oneLine, shortHash } from './terminal.js';

type Line = readonly [label: string, value: string];

/** Everything that status says of one project. */
export function renderProject(name: string, project: ProjectStatus, view: StatusView): string {
  const { colours, now } = view;
  const lines: Line[] = [
    ['project', oneLine(name)],
    [
      'state',
      paintState(
        colours,
        project.state,
      )(project.phase === null ? project.state : `${project.state} (${project.phase})`),
    ],
    ...reasonLines(name, project, now),
    ...project.urls.map((url): Line => ['url', oneLine(url)]),
    ...desiredLines(project),
    ...liveLines(project, now),
    ...previousLines(project, now),
    ...lastLines(project),
  ];
  const text = lines.map(([label, value]) => `${colours.dim(label.padEnd(9))}  ${value}\n`).join('');
  return [staleness(view), sourceTrouble(view), text].filter((part) => part !== '').join('\n');
}

function reasonLines(name: string, project: ProjectStatus, now: number): Line[] {
  const { state, reason, message, attempts, nextRetryAt } = project;
  const lines: Line[] = [];
  if (reason !== null) lines.push(['reason', oneLine(reason)]);
  if (message !== null) lines.push(['message', oneLine(message)]);
  if (attempts > 0) {
    const last = state === 'failed' ? `, and no more: commit a change, or "pointsman retry ${name}"` : '';
    const next = nextRetryAt === null ? last : `, next in ${formatAge(Date.parse(nextRetryAt) - now)}`;
    lines.push(['attempts', oneLine(`${attempts}${next}`)]);
  }
  return lines;
}

function desiredLines({ desired }: ProjectStatus): Line[] {
  if (desired === null) return [];
  const { revision, configCommit, sourceCommit } = desired;
  return [
    [
      'desired',
      `revision ${shortHash(revision)}, config ${shortHash(configCommit)}, source ${shortHash(sourceCommit)}`,
    ],
  ];
}

function liveLines({ live }: ProjectStatus, now: number): Line[] {
  if (live === null) return [['live', 'nothing']];
  const rollback = live.isRollback ? ' (a rollback)' : '';
  return [
    [
      'live',
      oneLine(
        `${live.slot}, revision ${shortHash(live.revision)}, source ${shortHash(live.sourceCommit)}${rollback}`,
      ),
    ],
    ['', `since ${formatTime(live.since)} (${ageOf(live.since, now)})`],
    ['', oneLine(`${live.address}, container ${shortHash(live.container)}, image ${shortHash(live.image)}`)],
  ];
}

function previousLines({ previous }: ProjectStatus, now: number): Line[] {
  if (previous === null) return [];
  const { slot, revision, state, inFlight, warmUntil } = previous;
  const left =
    warmUntil === null ? 'goes when drained' : `kept for ${formatAge(Date.parse(warmUntil) - now)}`;
  const requests =
    inFlight === null
      ? 'connections cannot be counted, so the whole drain is waited'
      : `${inFlight} in flight`;
  return [
    [
      'previous',
      `${slot}, revision ${shortHash(revision)}, ${state === 'draining' ? `draining (${requests})` : 'warm'}, ${left}`,
    ],
  ];
}

function lastLines({ lastDeployment }: ProjectStatus): Line[] {
  if (lastDeployment === null) return [];
  const { id, outcome, startedAt, finishedAt, phases } = lastDeployment;
  const took = Date.parse(finishedAt) - Date.parse(startedAt);
  const steps = Object.entries(phases).map(([phase, ms]) => `${phase} ${formatDuration(ms)}`);
  return [
    [
      'last',
      oneLine(`${outcome} ${formatTime(finishedAt)} after ${formatDuration(took)} (deployment ${id})`),
    ],
    ...(steps.length > 0 ? [['', steps.join(', ')] as const] : []),
  ];
}
