import type { Command } from 'commander';
import type { Settings } from '../settings/settings.js';
import type { CommandBackend } from './backend.js';
import type { CliIo } from './io.js';

/** What commands are made of; tests hand in their own. */
export interface CliDeps {
  /**
   * Reads and checks the settings: `file` when given, else `$POINTSMAN_CONFIG`, else /etc/pointsman/pointsman.yaml.
   * @throws PointsmanError SettingsInvalid, with every problem in its message
   */
  loadSettings(file: string | undefined, env: CliIo['env']): Promise<Settings>;
  /** Loaded by the commands that need it alone: it brings Docker and Git clients along. */
  backend(): Promise<CommandBackend>;
}

export interface CliContext {
  readonly io: CliIo;
  readonly deps: CliDeps;
  /** Of Pointsman. */
  readonly version: string;
  /** What the command that ran ended with. */
  exitCode: number;
}

/** Settings as `--config`, before or after the command's name, says. */
export function settingsFor(context: CliContext, command: Command): Promise<Settings> {
  const { config } = command.optsWithGlobals<{ config?: string }>();
  return context.deps.loadSettings(config, context.io.env);
}

/** The text under a command's help. */
export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}\n`).join('')}`;
}
