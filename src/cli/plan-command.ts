import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Option } from 'commander';
import type { Command } from 'commander';
import { PointsmanError, messageOf } from '../errors.js';
import { createLogger } from '../log.js';
import type { PlanOptions, PlanReport, PlannedProject } from './backend.js';
import { examples, settingsFor } from './context.js';
import type { CliContext } from './context.js';
import { exitCodes, print, printJson } from './io.js';
import { prettyLog } from './pretty-log.js';
import { describeProblem, isToldBelow } from './status-table.js';
import { coloursFor, oneLine, shortHash } from './terminal.js';
import type { Colours } from './terminal.js';

interface PlanCommandOptions {
  readonly dir?: string;
  readonly commit?: string;
  readonly exitCode?: boolean;
  readonly json?: boolean;
}

export function addPlanCommand(program: Command, context: CliContext): void {
  program
    .command('plan')
    .summary('what the next pass would do, and why')
    .description(
      'Compares what the config repository says with what runs, and prints every action that the next pass would take. ' +
        'Changes nothing but the mirrors of the repositories. Exit code 1 when a manifest is invalid; with --exit-code ' +
        'also when changes are pending.',
    )
    .addOption(
      new Option('--dir <folder>', 'manifests of this folder instead of the config repository').conflicts(
        'commit',
      ),
    )
    .option(
      '--commit <commit>',
      'the config repository at this commit instead of its newest (a short hash for one that is known here)',
    )
    .option('--exit-code', 'end with 1 when changes are pending')
    .option('--json', 'print the plan as JSON')
    .addHelpText(
      'after',
      examples(
        'pointsman plan',
        'pointsman plan --dir ./projects',
        'pointsman plan --commit 4f5e6d7c --exit-code',
      ),
    )
    .action(async (options: PlanCommandOptions, command: Command) => {
      context.exitCode = await plan(context, command, options);
    });
}

async function plan(context: CliContext, command: Command, options: PlanCommandOptions): Promise<number> {
  const { io } = context;
  const from = await placeOf(options, io.cwd);
  const settings = await settingsFor(context, command);
  const backend = await context.deps.backend();
  // What is worth a warning belongs beside the plan, not into it.
  const log = createLogger({
    level: 'warn',
    output: io.stderr.isTTY === true ? prettyLog(io.stderr, { colour: false }) : io.stderr,
  });
  const report = await backend.plan(settings, { from, log, signal: io.interrupt });
  if (options.json === true) await printJson(io, report);
  else await print(io, renderPlan(report, coloursFor(io.stdout, io.env)));
  const isPending = report.removals.length > 0 || report.projects.some(({ steps }) => steps.length > 0);
  if (report.problems.length > 0) return exitCodes.no;
  return options.exitCode === true && isPending ? exitCodes.no : exitCodes.done;
}

/** @throws PointsmanError Usage when `--dir` names no folder, `--commit` no hash */
async function placeOf({ dir, commit }: PlanCommandOptions, cwd: string): Promise<PlanOptions['from']> {
  if (commit !== undefined && !/^[0-9a-f]{4,64}$/i.test(commit)) {
    const typed = JSON.stringify(oneLine(commit));
    throw new PointsmanError('Usage', `${typed} is not a commit hash; write its 40 hex digits`);
  }
  if (dir === undefined) return commit === undefined ? { kind: 'tip' } : { kind: 'commit', commit };
  const folder = resolve(cwd, dir);
  const found = await stat(folder).catch((error: NodeJS.ErrnoException) => {
    const why = error.code === 'ENOENT' ? 'is not there' : `cannot be read: ${messageOf(error)}`;
    throw new PointsmanError('Usage', `--dir ${folder} ${why}; name the folder of the manifests`);
  });
  if (!found.isDirectory())
    throw new PointsmanError('Usage', `--dir ${folder} is not a folder; name the folder of the manifests`);
  return { kind: 'folder', folder };
}

export function renderPlan(report: PlanReport, colours: Colours): string {
  const changing = report.projects.filter(({ steps, blocked }) => steps.length > 0 || blocked !== null);
  const parts = [...changing]
    .sort((a, b) => (a.project < b.project ? -1 : 1))
    .map((project) => renderPlanned(project, report, colours));
  if (report.removals.length > 0) {
    parts.push(
      `${colours.yellow('removals')}\n${[...report.removals]
        .sort()
        .map((name) => `  - ${oneLine(name)}\n`)
        .join('')}`,
    );
  }
  if (report.removalsHeldBecause !== null) {
    parts.push(colours.yellow(`${oneLine(report.removalsHeldBecause)}\n`));
  }
  if (report.problems.length > 0) {
    const lines = report.problems.map((problem) => `${colours.red('!')} ${describeProblem(problem)}\n`);
    parts.push(`${colours.dim('PROBLEMS')}\n${lines.join('')}`);
  }
  const at = report.commit === null ? '' : ` at ${shortHash(report.commit)}`;
  const steps = report.projects.reduce((sum, project) => sum + project.steps.length, 0);
  const same = report.projects.length - changing.length;
  const blocked = report.projects.filter((project) => project.blocked !== null).length;
  const others = [
    ...(blocked === 0 ? [] : [`${projectsAre(blocked)} blocked`]),
    ...(same === 0 ? [] : [`${projectsAre(same)} as ${same === 1 ? 'it' : 'they'} should be`]),
  ].join(', ');
  parts.push(
    steps === 0 && report.removals.length === 0 && blocked === 0
      ? `nothing to do${at}\n`
      : `${steps} ${steps === 1 ? 'action' : 'actions'}${at}${others === '' ? '' : `; ${others}`}\n`,
  );
  return parts.join('\n');
}

function projectsAre(count: number): string {
  return count === 1 ? '1 project is' : `${count} projects are`;
}

function renderPlanned(
  { project, state, steps, blocked }: PlannedProject,
  { problems, removalsHeldBecause }: PlanReport,
  colours: Colours,
): string {
  const line = (head: string, rest: string): string => `  ${head}${rest === '' ? '' : `  ${rest}`}\n`;
  const lines = steps.map(({ action, why }) => {
    const reason = oneLine(why);
    return line(colours.cyan(oneLine(action)), reason === '' ? '' : colours.dim(reason));
  });
  if (blocked !== null) {
    const isTold = blocked.message === removalsHeldBecause || isToldBelow(blocked.message, problems);
    lines.push(
      line(colours.red(`blocked: ${blocked.code}`), isTold ? 'see below' : oneLine(blocked.message)),
    );
  }
  return `${colours.bold(oneLine(project))} ${colours.dim(`(${oneLine(state)})`)}\n${lines.join('')}`;
}
