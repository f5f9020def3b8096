import type { Command } from 'commander';
import { format } from 'prettier';
import { prettierOptions } from './prettier-options.js';

/** Columns of a help text in the reference. */
const helpWidth = 100;

/** What `--help` prints for the program and for each of its commands, as markdown. */
export async function renderCommands(program: Command): Promise<string> {
  const parts = [program, ...commandsBelow(program)].map(
    (command) => `### \`${fullName(command)}\`\n\n\`\`\`text\n${helpOf(command).trim()}\n\`\`\``,
  );
  return await format(parts.join('\n\n'), await prettierOptions('markdown'));
}

function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({
    writeOut: (part) => void (text += part),
    getOutHelpWidth: () => helpWidth,
    getOutHasColors: () => false,
  });
  command.outputHelp();
  return text;
}

function commandsBelow(command: Command): readonly Command[] {
  return command
    .createHelp()
    .visibleCommands(command)
    .filter((inner) => inner.name() !== 'help')
    .flatMap((inner) => [inner, ...commandsBelow(inner)]);
}

function fullName(command: Command): string {
  return command.parent === null ? command.name() : `${fullName(command.parent)} ${command.name()}`;
}
