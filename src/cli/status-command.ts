import type { Command } from 'commander';
import { PointsmanError } from '../errors.js';
import { isNobodyThere, sendControl } from '../record/control.js';
import { readStatus } from '../record/status-file.js';
import type { StatusReading } from '../record/status-file.js';
import type { ProjectStatus, Status } from '../record/status.generated.js';
import { examples, settingsFor } from './context.js';
import type { CliContext } from './context.js';
import { exitCodes, print, printJson } from './io.js';
import type { CliIo } from './io.js';
import { noSuchProject } from './known-project.js';
import { statusChanges } from './status-changes.js';
import { renderProject } from './status-detail.js';
import { renderStatus, sourceTrouble, staleness, statusLine } from './status-table.js';
import type { StatusView } from './status-table.js';
import { coloursFor, formatAge, formatTime, oneLine, widthOf } from './terminal.js';

/** A controller that hangs must not keep anybody from what its status file says. */
const healthWithinMs = 2_000;
/** Younger than the watch's second look at a status that does not change. */
const justWrittenMs = 2_000;

interface StatusOptions {
  readonly watch?: boolean;
  readonly json?: boolean;
}

export function addStatusCommand(program: Command, context: CliContext): void {
  program
    .command('status')
    .summary('what is live, what is on its way, what is wrong')
    .description(
      'Reads the status file that the controller keeps; it needs no running controller. A status older than 30 s is stale. ' +
        'A controller that runs and cannot write it says so on stderr. ' +
        'Exit code 1 then, when there is none, when it is stale, when the config repository could not be read yet, or when a project that is shown has failed or is invalid.',
    )
    .argument('[project]', 'tell everything about this one')
    .option('-w, --watch', 'show every change until interrupted')
    .option(
      '--json',
      'print the status file (schemas/status.schema.json), of one project alone when one is named',
    )
    .addHelpText(
      'after',
      examples(
        'pointsman status',
        'pointsman status shop',
        'pointsman status --watch',
        "pointsman status --json | jq '.projects.shop.live'",
      ),
    )
    .action(async (project: string | undefined, options: StatusOptions, command: Command) => {
      const { stateDir } = await settingsFor(context, command);
      context.exitCode =
        options.watch === true
          ? await watchStatus(context.io, stateDir, project ?? null, options)
          : await showStatus(context.io, stateDir, project ?? null, options);
    });
}

async function showStatus(
  io: CliIo,
  stateDir: string,
  project: string | null,
  options: StatusOptions,
): Promise<number> {
  const { seen: reading, fault } = await withLife(io, stateDir, await readStatus(stateDir, io.clock));
  if (reading.kind !== 'status') throw new PointsmanError('NotRunning', fault ?? reading.message);
  if (fault !== null) {
    const { red } = coloursFor(io.stderr, io.env);
    await print(
      io,
      `${red(`${oneLine(fault)}; what is shown is ${formatAge(reading.ageMs)} old`)}\n`,
      io.stderr,
    );
  }
  const status = only(reading.status, project);
  if (options.json === true) await printJson(io, status);
  else await print(io, render(io, reading, project));
  const isBad = Object.values(status.projects).some(({ state }) => state === 'failed' || state === 'invalid');
  const isUnread = status.source.commit === null && status.source.error !== null;
  return reading.isStale || reading.isDead || isBad || isUnread || fault !== null
    ? exitCodes.no
    : exitCodes.done;
}

interface Health {
  /** Why the running controller cannot write its status; null when it can, and when none answers. */
  readonly fault: string | null;
  /** Nobody is there to ask; false where the socket may not be opened. */
  readonly isNobody: boolean;
}

async function askHealth(io: CliIo, stateDir: string): Promise<Health> {
  const options = { signal: io.interrupt, timeoutMs: healthWithinMs };
  try {
    const { ok, message } = await sendControl(stateDir, { kind: 'health' }, options);
    return { fault: ok ? null : message, isNobody: false };
  } catch (error) {
    if (error instanceof PointsmanError && error.code === 'NotRunning')
      return { fault: null, isNobody: isNobodyThere(error) };
    throw error;
  }
}

type Found = Extract<StatusReading, { kind: 'status' }> & Pick<StatusView, 'isDead'>;
type Seen = Found | Exclude<StatusReading, { kind: 'status' }>;

function viewOf(io: CliIo, reading: Found): StatusView {
  return {
    ...reading,
    now: io.clock.now(),
    width: widthOf(io.stdout),
    colours: coloursFor(io.stdout, io.env),
  };
}

function render(io: CliIo, reading: Found, project: string | null): string {
  const view = viewOf(io, reading);
  if (project === null) return renderStatus(view);
  return renderProject(project, projectOf(reading.status, project), view);
}

/** The status with one project alone. @throws PointsmanError when it is not there */
function only(status: Status, project: string | null): Status {
  return project === null ? status : { ...status, projects: { [project]: projectOf(status, project) } };
}

function projectOf(status: Status, project: string): ProjectStatus {
  const found = Object.hasOwn(status.projects, project) ? status.projects[project] : undefined;
  if (found !== undefined) return found;
  throw noSuchProject(project, Object.keys(status.projects));
}

/**
 * Until interrupted. On a terminal the screen is redrawn, elsewhere each change is a line. A project may
 * go and come back; one that was never there is a mistyped name, unless no manifest has been read yet.
 */
async function watchStatus(
  io: CliIo,
  stateDir: string,
  project: string | null,
  options: StatusOptions,
): Promise<number> {
  const signal = AbortSignal.any([io.interrupt, io.outputClosed]);
  const show =
    options.json === true
      ? jsonLines(io, project)
      : io.stdout.isTTY === true
        ? screen(io, project)
        : changedLines(io, project);
  let wasThere = project === null;
  for await (const reading of statusChanges(stateDir, io.clock, signal)) {
    if (!wasThere && reading.kind === 'status' && reading.status.source.commit !== null) {
      only(reading.status, project);
      wasThere = true;
    }
    if (!signal.aborted) await show(await whenWatched(io, stateDir, reading));
  }
  if (io.interrupt.aborted) throw io.interrupt.reason;
  return exitCodes.done;
}

/** A controller that died writes nothing any more: one that has just written need not be asked. */
async function whenWatched(io: CliIo, stateDir: string, reading: StatusReading): Promise<Seen> {
  if (reading.kind !== 'status') return reading;
  if (!saysRunning(reading) || reading.ageMs <= justWrittenMs) return { ...reading, isDead: false };
  return (await withLife(io, stateDir, reading)).seen;
}

/** Asks the controller. One that ends says so in the status before nobody can ask it: then that counts. */
async function withLife(
  io: CliIo,
  stateDir: string,
  reading: StatusReading,
): Promise<{ readonly seen: Seen; readonly fault: string | null }> {
  const { fault, isNobody } = await askHealth(io, stateDir);
  const last = isNobody ? await readStatus(stateDir, io.clock) : reading;
  const seen = last.kind === 'status' ? { ...last, isDead: isNobody && saysRunning(last) } : last;
  return { seen, fault };
}

function saysRunning(reading: StatusReading): boolean {
  return reading.kind === 'status' && reading.status.controller.state === 'running';
}

type Show = (reading: Seen) => Promise<void>;

function screen(io: CliIo, project: string | null): Show {
  return async (reading) => {
    let text: string;
    if (reading.kind !== 'status') text = `${reading.message}\n`;
    else if (project !== null && !Object.hasOwn(reading.status.projects, project))
      text = `there is no project "${project}"\n`;
    else text = render(io, reading, project);
    const lines = text.split('\n');
    // A terminal of 0 rows is one that does not know its size.
    const height = io.stdout.rows ?? 24;
    const rows = height === 0 ? Infinity : Math.max(height - 1, 1);
    if (lines.length - 1 > rows)
      text = `${lines.slice(0, rows - 1).join('\n')}\nand ${lines.length - rows} lines more\n`;
    // Home, each line cleared behind its text, and everything below: no flicker, as a clear screen would.
    await print(io, `\u001b[H${text.replaceAll('\n', '\u001b[K\n')}\u001b[J`);
  };
}

function jsonLines(io: CliIo, project: string | null): Show {
  let last = '';
  return async (reading) => {
    if (reading.kind !== 'status') return;
    const shown =
      project === null || Object.hasOwn(reading.status.projects, project)
        ? only(reading.status, project)
        : reading.status;
    const line = `${JSON.stringify(shown)}\n`;
    if (line !== last) await print(io, line);
    last = line;
  };
}

/** A line while nobody can tell whether there is such a project; else empty. */
function notYet({ source, projects }: Status, project: string | null): string {
  if (project === null || source.commit !== null || Object.hasOwn(projects, project)) return '';
  return `there is no project "${project}" yet: the config repository has not been read`;
}

function changedLines(io: CliIo, project: string | null): Show {
  const last = new Map<string, string>();
  const say = async (key: string, line: string): Promise<void> => {
    if (last.get(key) === line) return;
    last.set(key, line);
    if (line !== '') await print(io, `${formatTime(new Date(io.clock.now()).toISOString())} ${line}\n`);
  };
  return async (reading) => {
    if (reading.kind !== 'status') return say('', reading.message);
    const { status, isStale, isDead } = reading;
    // The words of the full lines change with their age: told once.
    const view = { ...viewOf(io, reading), ageMs: 0, now: null };
    const trouble =
      isStale && !isDead
        ? 'the status is stale: the controller does not run, or hangs'
        : [staleness(view), sourceTrouble(view), notYet(status, project)].find((line) => line !== '');
    await say('', (trouble ?? '').trim());
    for (const name of Object.keys(status.projects).sort()) {
      if (project === null || project === name)
        await say(name, statusLine(name, status.projects[name] as ProjectStatus));
    }
    for (const name of [...last.keys()]) {
      if (name !== '' && !Object.hasOwn(status.projects, name)) {
        await say(name, `${name} is gone`);
        last.delete(name);
      }
    }
  };
}
