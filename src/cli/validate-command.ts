import { Option } from 'commander';
import type { Command } from 'commander';
import { formatProblems } from '../manifest/problems.js';
import { examples } from './context.js';
import type { CliContext } from './context.js';
import { exitCodes, print, printJson } from './io.js';
import { coloursFor } from './terminal.js';
import { validatePaths } from './validate.js';
import type { Validation } from './validate.js';

interface ValidateOptions {
  readonly format: 'text' | 'json' | 'github';
  readonly json?: boolean;
}

export function addValidateCommand(program: Command, context: CliContext): void {
  program
    .command('validate')
    .summary('check manifests, on any machine')
    .description(
      'Checks manifests as the controller would and reports every problem with file, line, column, path, the value received ' +
        'and the mend. Needs no server, Docker, nginx or settings. Exit code 1 when something is wrong.',
    )
    .argument(
      '[paths...]',
      'manifests, or folders of them, hidden folders and node_modules in them left out (default: projects/ when it is there, else this folder)',
    )
    .addOption(
      new Option('--format <format>', 'how problems are printed; github: as annotations')
        .choices(['text', 'json', 'github'])
        .default('text'),
    )
    .addOption(new Option('--json', 'same as --format json').conflicts('format'))
    .addHelpText(
      'after',
      examples(
        'pointsman validate',
        'pointsman validate projects/shop.yaml',
        'pointsman validate --format github projects',
      ),
    )
    .action(async (paths: readonly string[], options: ValidateOptions) => {
      const validation = await validatePaths(paths);
      await report(context, validation, options.json === true ? 'json' : options.format);
      context.exitCode = validation.problems.length > 0 ? exitCodes.no : exitCodes.done;
    });
}

async function report(
  { io }: CliContext,
  validation: Validation,
  format: ValidateOptions['format'],
): Promise<void> {
  const { problems, projects } = validation;
  if (format === 'json') return printJson(io, { valid: problems.length === 0, projects, problems });
  if (problems.length > 0) await print(io, `${formatProblems(problems, format)}\n`);
  if (format === 'github') return;
  const colours = coloursFor(io.stdout, io.env);
  const valid = `${projects} valid ${projects === 1 ? 'project' : 'projects'}`;
  const wrong = `${problems.length} ${problems.length === 1 ? 'problem' : 'problems'}`;
  await print(io, problems.length > 0 ? `${colours.red(wrong)}, ${valid}\n` : `${colours.green(valid)}\n`);
}
