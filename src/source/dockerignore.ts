import dockerignore from '@balena/dockerignore';
import { PointsmanError } from '../errors.js';

/** True when the path (relative, `/` between parts) is to stay out of the build context. */
export type Ignores = (path: string) => boolean;

/** The library remembers every path it was asked about; after this many it is made anew. */
const rememberedPaths = 4_096;

/**
 * The rules of a `.dockerignore` as BuildKit reads them: the last pattern that fits a path or one of its
 * parents counts, `!` takes back, case matters. `file` is for messages.
 * @throws PointsmanError BuildFailed for a pattern that cannot be understood
 */
export function parseDockerignore(file: string, text: string): Ignores {
  const lines = text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .map(escapePattern);
  const make = (patterns: readonly string[]): Ignores => {
    const rules = dockerignore.default({ ignorecase: false }).add([...patterns]);
    return (path) => rules.ignores(path);
  };
  for (const line of lines) {
    try {
      make([line])('x');
    } catch (error) {
      throw new PointsmanError(
        'BuildFailed',
        `${file} has the pattern ${JSON.stringify(line)}, which cannot be understood; mend it`,
        { cause: error },
      );
    }
  }
  let ignores = make(lines);
  let asked = 0;
  return (path) => {
    asked += 1;
    if (asked % rememberedPaths === 0) ignores = make(lines);
    return ignores(path);
  };
}

/** Characters that mean themselves in a pattern, but something else in the expression the library makes of it. */
function escapePattern(line: string): string {
  if (line.startsWith('#')) return '';
  let result = '';
  let inClass = false;
  for (let index = 0; index < line.length; index += 1) {
    const character = line.charAt(index);
    if (character === '\\') {
      result += character + line.charAt(index + 1);
      index += 1;
      continue;
    }
    if (character === '[') inClass = true;
    if (character === ']') inClass = false;
    result += !inClass && /[+(){}|^]/.test(character) ? `\\${character}` : character;
  }
  return result;
}
