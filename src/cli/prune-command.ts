import type { Command } from 'commander';
import { PointsmanError } from '../errors.js';
import { askController } from './ask-controller.js';
import { examples } from './context.js';
import type { CliContext } from './context.js';

const commitPattern = /^[0-9a-f]{7,64}$/;

export function addPruneCommand(program: Command, context: CliContext): void {
  program
    .command('prune')
    .summary('release removals that are held back')
    .description(
      'Removals are held back when too many projects would go at once, when the folder is empty or missing, or when ' +
        'a document has no valid name; "pointsman status" names the commit. This releases the removals of exactly that ' +
        'commit. Named volumes are never deleted.',
    )
    .requiredOption('--confirm <commit>', 'the commit of the config repository whose removals are right')
    .option('--json', 'print the answer as JSON')
    .addHelpText('after', examples('pointsman prune --confirm 4f5e6d7c8b9a0f1e2d3c4b5a69788776655443ff'))
    .action(async (options: { confirm: string; json?: boolean }, command: Command) => {
      const commit = options.confirm.toLowerCase();
      if (!commitPattern.test(commit)) {
        throw new PointsmanError(
          'Usage',
          `"${options.confirm}" is not a commit: 7 to 64 hex digits, as "pointsman status" names it`,
        );
      }
      context.exitCode = await askController(context, command, { kind: 'prune', commit }, options);
    });
}
