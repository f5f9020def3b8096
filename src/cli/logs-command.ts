import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { StringDecoder } from 'node:string_decoder';
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import { PointsmanError, isAbort } from '../errors.js';
import type { Slot } from '../manifest/project.js';
import type { Settings } from '../settings/settings.js';
import { readBuildLog } from './build-log.js';
import { examples, settingsFor } from './context.js';
import type { CliContext } from './context.js';
import { exitCodes, print } from './io.js';
import type { CliIo } from './io.js';
import { unknownProject } from './known-project.js';

interface LogsOptions {
  readonly follow?: boolean;
  readonly build?: boolean;
  readonly slot?: Slot;
  readonly tail?: number;
  readonly json?: boolean;
}

const namePattern = /^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/;

export function addLogsCommand(program: Command, context: CliContext): void {
  program
    .command('logs')
    .summary("output of a project's container, or of its newest build")
    .description(
      'Prints what the live container writes: its stdout to stdout, its stderr to stderr. With --build, what the newest ' +
        "deployment's build, release command and start wrote.",
    )
    .argument('<project>', 'name of the project', projectName)
    .option('-f, --follow', 'go on with what is written from now on, until interrupted')
    .option('--build', "the newest deployment's log instead of the container's")
    .addOption(
      new Option('--slot <slot>', 'the container in this slot instead of the live one')
        .choices(['blue', 'green'])
        .conflicts('build'),
    )
    .addOption(
      new Option('-n, --tail <lines>', 'this many of the last lines (default: all)')
        .argParser(lineCount)
        .conflicts('build'),
    )
    .option('--json', 'print each line as {"stream":"stdout","line":"…"}')
    .addHelpText(
      'after',
      examples(
        'pointsman logs shop',
        'pointsman logs shop -f --tail 50',
        'pointsman logs shop --build',
        'pointsman logs shop --slot green',
      ),
    )
    .action(async (project: string, options: LogsOptions, command: Command) => {
      const settings = await settingsFor(context, command);
      context.exitCode = await showLogs(context, settings, project, options);
    });
}

function projectName(text: string): string {
  if (!namePattern.test(text)) throw new InvalidArgumentError('"pointsman status" lists the projects.');
  return text;
}

function lineCount(text: string): number {
  const value = Number(text);
  if (text === '' || !Number.isSafeInteger(value) || value < 0)
    throw new InvalidArgumentError('a whole number from 0 is needed.');
  return value;
}

async function showLogs(
  context: CliContext,
  settings: Settings,
  project: string,
  options: LogsOptions,
): Promise<number> {
  const { io } = context;
  const signal = AbortSignal.any([io.interrupt, io.outputClosed]);
  const writer = new LogWriter(io, options.json === true);
  try {
    if (options.build === true) await writeBuildLog(io, settings, project, options, writer, signal);
    else await writeContainerLog(context, settings, project, options, writer, signal);
  } catch (error) {
    if (!io.outputClosed.aborted || !isAbort(error, signal)) throw error;
  }
  await writer.end();
  if (io.interrupt.aborted) throw io.interrupt.reason;
  return exitCodes.done;
}

async function writeContainerLog(
  context: CliContext,
  settings: Settings,
  project: string,
  options: LogsOptions,
  writer: LogWriter,
  signal: AbortSignal,
): Promise<void> {
  const backend = await context.deps.backend();
  const { slot = null, follow = false, tail = null } = options;
  try {
    for await (const { stream, data } of backend.logs(settings, { project, slot, follow, tail, signal })) {
      await writer.write(stream, data);
      if (signal.aborted) return;
    }
  } catch (error) {
    if (!(error instanceof PointsmanError) || error.code !== 'NotRunning') throw error;
    throw (await unknownProject(settings.stateDir, project, context.io.clock)) ?? error;
  }
}

async function writeBuildLog(
  io: CliIo,
  settings: Settings,
  project: string,
  options: LogsOptions,
  writer: LogWriter,
  signal: AbortSignal,
): Promise<void> {
  const { follow = false } = options;
  const folder = join(settings.stateDir, 'logs', project);
  if (!existsSync(folder)) {
    const unknown = await unknownProject(settings.stateDir, project, io.clock);
    if (unknown !== null) throw unknown;
  }
  let isEmpty = true;
  for await (const { deployment, data } of readBuildLog(folder, { follow, clock: io.clock, signal })) {
    if (deployment !== null) io.stderr.write(`deployment ${deployment}\n`);
    isEmpty = false;
    await writer.write('stdout', data);
  }
  if (isEmpty && !signal.aborted) {
    throw new PointsmanError(
      'NotRunning',
      `${project} has no deployment log in ${folder}; "pointsman status ${project}" says what keeps it from one`,
    );
  }
}

/** Bytes as they are, or a JSON object per line. */
class LogWriter {
  readonly #open = {
    stdout: { decoder: new StringDecoder('utf8'), text: '' },
    stderr: { decoder: new StringDecoder('utf8'), text: '' },
  };

  constructor(
    private readonly io: CliIo,
    private readonly json: boolean,
  ) {}

  async write(stream: 'stdout' | 'stderr', data: Buffer): Promise<void> {
    if (!this.json) return print(this.io, data, this.io[stream]);
    const open = this.#open[stream];
    const lines = (open.text + open.decoder.write(data)).split('\n');
    open.text = lines.pop() ?? '';
    for (const line of lines) await this.#line(stream, line);
    // A line that never ends is given out in pieces.
    if (open.text.length > 1024 * 1024) {
      await this.#line(stream, open.text);
      open.text = '';
    }
  }

  /** Gives out what stands without a line end. */
  async end(): Promise<void> {
    for (const stream of ['stdout', 'stderr'] as const) {
      const { decoder, text } = this.#open[stream];
      const rest = text + decoder.end();
      if (rest !== '') await this.#line(stream, rest);
    }
  }

  #line(stream: 'stdout' | 'stderr', line: string): Promise<void> {
    return print(this.io, `${JSON.stringify({ stream, line: line.replace(/\r$/, '') })}\n`);
  }
}
