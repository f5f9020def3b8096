import { PointsmanError } from '../errors.js';
import { formatProblems } from '../manifest/problems.js';
import { loadSettings } from '../settings/load.js';
import type { CliDeps } from './context.js';

/** @throws PointsmanError SettingsInvalid: one problem a line, each with its place */
export const loadSettingsOrThrow: CliDeps['loadSettings'] = async (file, env) => {
  const loaded = await loadSettings(file, env);
  if ('settings' in loaded) return loaded.settings;
  throw new PointsmanError('SettingsInvalid', formatProblems(loaded.problems), {
    detail: { problems: loaded.problems },
  });
};
