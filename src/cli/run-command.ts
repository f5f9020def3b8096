import type { Command } from 'commander';
import { createLogger } from '../log.js';
import { examples, settingsFor } from './context.js';
import type { CliContext } from './context.js';
import { prettyLog } from './pretty-log.js';
import { createProgress } from './progress.js';
import { coloursFor, hasColours } from './terminal.js';

interface RunCommandOptions {
  readonly once?: boolean;
  readonly pretty?: boolean;
}

export function addRunCommand(program: Command, context: CliContext): void {
  program
    .command('run')
    .summary('the controller, in the foreground')
    .description(
      'Brings what runs to what the config repository says, and keeps it so until SIGTERM or SIGINT: then it leaves the ' +
        'action in hand safely and ends with 0; a second signal ends it at once (143, 130). Traffic goes on without it.\n\n' +
        'With --once: one sync that brings every project to where it should be, bake included. It ends with 0 when all ' +
        'are live or suspended, else with 1.\n\n' +
        'The log goes to stdout as JSON lines, with --pretty as lines for people. Phases and elapsed times of --once, and ' +
        'on a terminal those of --pretty with the steps of builds, go to stderr.',
    )
    .option('--once', 'one sync, then end; lines for people when stdout is a terminal')
    .option('--pretty', 'log lines for people instead of JSON')
    .addHelpText(
      'after',
      examples('pointsman run', 'pointsman run --once', 'pointsman run --pretty --config ./pointsman.yaml'),
    )
    .action(async (options: RunCommandOptions, command: Command) => {
      context.exitCode = await run(context, command, options);
    });
}

async function run(context: CliContext, command: Command, options: RunCommandOptions): Promise<number> {
  const { io } = context;
  const settings = await settingsFor(context, command);
  const once = options.once === true;
  const pretty = options.pretty === true || (once && io.stdout.isTTY === true);
  // Beside lines for people a terminal gets what they do not tell: how long it takes, and the build's steps.
  const showsProgress = pretty ? io.stderr.isTTY === true : once;
  const progress = createProgress({
    output: io.stderr,
    clock: io.clock,
    colours: coloursFor(io.stderr, io.env),
    tellsEnds: !pretty,
  });
  const output = showsProgress ? progress.above(io.stdout) : io.stdout;
  const log = createLogger({
    level: settings.log.level,
    output: pretty ? prettyLog(output, { colour: hasColours(io.stdout, io.env) }) : output,
  });
  const backend = await context.deps.backend();
  try {
    const code = await backend.run(settings, {
      once,
      log,
      onProgress: (event) => {
        if (showsProgress) progress.onProgress(event);
      },
      signal: io.interrupt,
      version: context.version,
    });
    // Without --once a signal is how it is asked to end; with it, the sync was cut short.
    if (once && io.interrupt.aborted) throw io.interrupt.reason;
    return code;
  } finally {
    progress.close();
  }
}
