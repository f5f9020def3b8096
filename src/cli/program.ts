import { Command, CommanderError } from 'commander';
import { PointsmanError, isAbort, messageOf, redact, withMend } from '../errors.js';
import type { ErrorCode } from '../errors.js';
import type { CliContext, CliDeps } from './context.js';
import { addDoctorCommand } from './doctor-command.js';
import { addHistoryCommand } from './history-command.js';
import { addInitCommand } from './init-command.js';
import { Interrupted, exitCodes } from './io.js';
import type { CliIo } from './io.js';
import { addLogsCommand } from './logs-command.js';
import { addPlanCommand } from './plan-command.js';
import { addPruneCommand } from './prune-command.js';
import { addRetryCommand } from './retry-command.js';
import { addRunCommand } from './run-command.js';
import { addStatusCommand } from './status-command.js';
import { addSyncCommand } from './sync-command.js';
import { coloursFor, hasColours, oneLine, widthOf } from './terminal.js';
import { addValidateCommand } from './validate-command.js';
import { readVersion } from './version.js';

const closing = `
Exit codes:
  0        done
  1        it ran, and the answer is no (a project failed, a manifest is invalid, changes are pending
           with --exit-code, no controller to talk to, the status is stale)
  2        usage, settings, or another controller runs
  130 143  interrupted

"pointsman help <command>" tells more about one of them.
`;

/**
 * Runs one command line (without the program's name) and resolves to its exit code. Never rejects for
 * what a person can do wrong: that is said on stderr.
 */
export async function runCli(argv: readonly string[], io: CliIo, deps: CliDeps): Promise<number> {
  const context: CliContext = { io, deps, version: readVersion(), exitCode: exitCodes.done };
  try {
    await createProgram(context).parseAsync([...argv], { from: 'user' });
    return context.exitCode;
  } catch (error) {
    return explain(error, io);
  }
}

/** The program with all its commands; a command leaves its exit code in `context`. */
export function createProgram(context: CliContext): Command {
  const { io, version } = context;
  const program = new Command('pointsman')
    .description(
      'Commit a manifest, get a running, routed project on your own server; revert the commit to roll back.',
    )
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .option('--config <file>', 'settings (default: $POINTSMAN_CONFIG, else /etc/pointsman/pointsman.yaml)')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      getOutHelpWidth: () => widthOf(io.stdout) ?? 100,
      getErrHelpWidth: () => widthOf(io.stderr) ?? 100,
      getOutHasColors: () => hasColours(io.stdout, io.env),
      getErrHasColors: () => hasColours(io.stderr, io.env),
    })
    .exitOverride()
    .showHelpAfterError('("pointsman --help" lists commands, "pointsman <command> --help" options)')
    .addHelpText('after', closing);
  program.addHelpText('before', ({ error }) => refuseUnknownHelp(program, error));
  addRunCommand(program, context);
  addPlanCommand(program, context);
  addValidateCommand(program, context);
  addStatusCommand(program, context);
  addHistoryCommand(program, context);
  addLogsCommand(program, context);
  addSyncCommand(program, context);
  addRetryCommand(program, context);
  addPruneCommand(program, context);
  addDoctorCommand(program, context);
  addInitCommand(program, context);
  return program;
}

/** `help foo`: commander would print the help of the program alone, as if nothing had been asked. */
function refuseUnknownHelp(program: Command, error: boolean): string {
  const [help, name] = program.args;
  if (!error || help !== 'help' || name === undefined) return '';
  return program.error(`error: unknown command '${oneLine(name)}'`, { code: 'commander.unknownCommand' });
}

const usageCodes: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['Usage', 'SettingsInvalid', 'AlreadyRunning']);

/** Says on stderr what went wrong, and resolves to the exit code for it. */
function explain(error: unknown, io: CliIo): number {
  // Commander has printed its help or its complaint.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
  if (error instanceof Interrupted) return error.exitCode;
  const reason: unknown = io.interrupt.reason;
  if (io.interrupt.aborted && reason instanceof Interrupted && isAbort(error, io.interrupt))
    return reason.exitCode;
  const head = coloursFor(io.stderr, io.env).red('error:');
  if (error instanceof PointsmanError) {
    // A message may list several problems, one a line.
    io.stderr.write(`${head} ${redact(error.message)}\n`);
    return usageCodes.has(error.code) ? exitCodes.usage : exitCodes.no;
  }
  io.stderr.write(`${head} ${describe(error)}\n`);
  return exitCodes.no;
}

/** What the system refuses, with its mend where there is one; a mistake of ours, with its stack. */
function describe(error: unknown): string {
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (!(error instanceof Error)) return messageOf(error);
  if (code === undefined || syscall === undefined) return redact(error.stack ?? error.message);
  return withMend(error);
}
