import { posix } from 'node:path';
import { PointsmanError } from '../errors.js';
import { shown } from '../manifest/problems.js';
import { PathPattern } from './path-pattern.js';

/** True when the path (relative, `/` between parts) is to stay out of the build context. */
export type Ignores = (path: string) => boolean;

/** Longest ignore file that is read, bytes: every path of the context is held against all of it. */
export const longestIgnoreFile = 64 * 1024;
/** Steps for one path, some 30 ms: nothing else of the controller goes on meanwhile. Usual files take a few hundred. */
const mostSteps = 2_000_000;

interface Rule {
  readonly takesBack: boolean;
  readonly pattern: PathPattern;
}

/**
 * The rules of a `.dockerignore` as BuildKit reads them (moby's patternmatcher, `MatchesOrParentMatches`):
 * the last pattern that fits a path or one of its parents counts, `!` takes back, case matters. `file` is
 * for messages.
 * @throws PointsmanError BuildFailed for a pattern that cannot be understood; the result throws it for a
 *   path that takes too long
 */
export function parseDockerignore(file: string, text: string): Ignores {
  const rules = text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .flatMap((line) => ruleOf(file, line));
  return (path) => {
    const characters = Array.from(path);
    const work = { left: mostSteps };
    let isIgnored = false;
    for (const { takesBack, pattern } of rules) {
      // The others would leave it as it is.
      if (takesBack === isIgnored && pattern.fits(characters, work)) isIgnored = !takesBack;
    }
    if (work.left < 0) throw tooMuchWork(file, path);
    return isIgnored;
  };
}

/** None for an empty line or a comment. */
function ruleOf(file: string, line: string): readonly Rule[] {
  if (line.startsWith('#')) return [];
  const written = line.trim();
  const takesBack = written.startsWith('!');
  const text = takesBack ? written.slice(1).trim() : written;
  if (text === '') return [];
  const cleaned = posix.normalize(text).replace(/(?<=.)\/$/, '');
  const pattern = PathPattern.parse(cleaned.length > 1 ? cleaned.replace(/^\//, '') : cleaned);
  if (pattern !== null) return [{ takesBack, pattern }];
  throw new PointsmanError(
    'BuildFailed',
    `${file} has the pattern ${JSON.stringify(shown(line))}, which cannot be understood; mend it`,
  );
}

function tooMuchWork(file: string, path: string): PointsmanError {
  return new PointsmanError(
    'BuildFailed',
    `the patterns of ${file} take too long to be held against ${JSON.stringify(shown(path))}; write fewer of them, with less * and **`,
  );
}
