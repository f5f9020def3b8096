import { resolve } from 'node:path';
import { PointsmanError, messageOf } from '../errors.js';
import { readBounded } from '../files.js';
import { largestFileBytes } from '../manifest/guard.js';
import { boundProblems, noPlace, shown } from '../manifest/problems.js';
import type { Problem } from '../manifest/project.js';
import { type SchemaCheck, schemaCheck } from '../manifest/schema-check.js';
import { readDocuments } from '../manifest/source-document.js';
import { loadSchema } from '../schemas.js';
import { findContradictions } from './contradictions.js';
import { settingsFormats } from './formats.js';
import { normaliseSettings } from './normalise.js';
import type { Settings } from './settings.js';
import type { WrittenSettings } from './written.generated.js';

export const defaultSettingsFile = '/etc/pointsman/pointsman.yaml';

export type LoadedSettings =
  /** `file` is the absolute path that was read. */
  { readonly settings: Settings; readonly file: string } | { readonly problems: readonly Problem[] };

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads the settings from `path`, else `$POINTSMAN_CONFIG`, else `/etc/pointsman/pointsman.yaml`. A file
 * that cannot be read is a problem like every other.
 */
export async function loadSettings(path: string | undefined, env: Environment): Promise<LoadedSettings> {
  const file = path ?? (env['POINTSMAN_CONFIG'] || defaultSettingsFile);
  let bytes: Uint8Array;
  try {
    bytes = await readBounded(file, largestFileBytes + 1, { followLinks: true });
  } catch (error) {
    return { problems: [{ file, ...noPlace, path: '', message: unreadable(error) }] };
  }
  return parseSettings(file, bytes, env);
}

/** The settings in `bytes`; `file` is where they stand. Reads nothing. */
export function parseSettings(file: string, bytes: Uint8Array, env: Environment): LoadedSettings {
  const { documents, problems: fileProblems } = readDocuments(file, bytes);
  const [document, second] = documents;
  const whole = (line: number, message: string): Problem => ({ file, line, column: 1, path: '', message });
  if (document === undefined) {
    const empty = whole(1, 'the settings are empty: at least configRepo.url has to be set');
    return { problems: fileProblems.length > 0 ? fileProblems : [empty] };
  }
  const problems: Problem[] = [...fileProblems, ...document.problems];
  if (second !== undefined)
    problems.push(whole(second.line, 'the settings are one document: remove the others'));
  if (document.isComplete) problems.push(...checkSettings(document));
  if (!document.isComplete || problems.length > 0) return { problems: boundProblems(problems) };
  const written = document.value as WrittenSettings;
  const absolute = resolve(file);
  const settings = normaliseSettings(written, { file: absolute, dockerHostSocket: dockerHostSocket(env) });
  const contradictions = findContradictions(document, written, settings);
  return contradictions.length > 0
    ? { problems: boundProblems(contradictions) }
    : { settings, file: absolute };
}

let compiled: SchemaCheck | undefined;
function checkSettings(document: Parameters<SchemaCheck>[0]): readonly Problem[] {
  compiled ??= schemaCheck(loadSchema('settings'), settingsFormats);
  return compiled(document);
}

/**
 * The path that `$DOCKER_HOST` names, null without one. What it names beside a unix socket is handed on as it
 * is, without credentials: commands that ask no engine work all the same.
 */
export function dockerHostSocket(env: Environment): string | null {
  const host = env['DOCKER_HOST'];
  if (host === undefined || host === '') return null;
  return /^unix:\/\/(\/.+)$/s.exec(host)?.[1] ?? shown(host);
}

/**
 * Only a unix socket gives the paths, networks and speed that the controller is built on. The settings file
 * names no other, so that what else stands in the settings is from `$DOCKER_HOST`.
 * @throws PointsmanError SettingsInvalid
 */
export function checkSocket(socket: string): void {
  if (socket.startsWith('/')) return;
  throw new PointsmanError(
    'SettingsInvalid',
    `$DOCKER_HOST is ${JSON.stringify(socket)}: only unix:///path is used; unset it or set docker.socket`,
  );
}

function unreadable(error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return 'there are no settings here: write them, or name another file with --config or $POINTSMAN_CONFIG';
    case 'EACCES':
      return 'the settings may not be read: run as the user that owns them, or change their permissions';
    default:
      return `the settings cannot be read: ${messageOf(error)}`;
  }
}
