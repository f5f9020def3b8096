import type { Command } from 'commander';
import { askController } from './ask-controller.js';
import { examples } from './context.js';
import type { CliContext } from './context.js';

export function addSyncCommand(program: Command, context: CliContext): void {
  program
    .command('sync')
    .summary('have the running controller look at the repositories now')
    .description(
      'Tells the running controller to look at the config repository and at the application sources now instead of ' +
        'at the next interval. It answers at once; "pointsman status --watch" shows what comes of it.',
    )
    .option('--json', 'print the answer as JSON')
    .addHelpText('after', examples('pointsman sync', 'pointsman sync && pointsman status --watch'))
    .action(async (options: { json?: boolean }, command: Command) => {
      context.exitCode = await askController(context, command, { kind: 'sync' }, options);
    });
}
