import type { Command } from 'commander';
import { PointsmanError } from '../errors.js';
import { askController } from './ask-controller.js';
import { examples } from './context.js';
import type { CliContext } from './context.js';

const namePattern = /^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/;

export function addRetryCommand(program: Command, context: CliContext): void {
  program
    .command('retry')
    .summary('try a failed revision again')
    .description(
      "Tells the running controller to forget why the project's revision failed and to try it again. " +
        'For what failed because of something outside the repositories: a registry, a full disk, a database.',
    )
    .argument('<project>', 'name of the project')
    .option('--json', 'print the answer as JSON')
    .addHelpText('after', examples('pointsman retry shop'))
    .action(async (project: string, options: { json?: boolean }, command: Command) => {
      if (!namePattern.test(project)) {
        throw new PointsmanError(
          'Usage',
          `"${project}" is not the name of a project; "pointsman status" lists them`,
        );
      }
      context.exitCode = await askController(context, command, { kind: 'retry', project }, options);
    });
}
