import type { Problem } from './project.js';

/** Most problems that one file is reported with. */
export const mostProblems = 100;

/** Of what is wrong with a file or folder as a whole. */
export const noPlace = { line: 0, column: 0 };

/** JSON pointer of these segments; `` for none. */
export function pointer(segments: readonly string[]): string {
  return segments.map((segment) => `/${segment.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

export function segmentsOf(path: string): readonly string[] {
  return path
    .split('/')
    .slice(1)
    .map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** `run.env.PORT`, `route.domains[0]`: how messages name a part of the document. */
export function dotted(segments: readonly string[]): string {
  const text = segments
    .map((segment) => (/^[0-9]+$/.test(segment) ? `[${segment}]` : `.${segment}`))
    .join('')
    .replace(/^\./, '');
  return text === '' ? 'the document' : shown(text, 120);
}

/**
 * Text from outside as one short line: control and direction characters escaped, everything between
 * `://` and an `@` left out (it may be a password), at most `longest` characters.
 */
export function shown(text: string, longest = 80): string {
  const open = withoutCredentials(text);
  const letters = Array.from(open.slice(0, longest * 2).replace(unprintable, escape));
  const isCut = letters.length > longest || open.length > longest * 2;
  return isCut ? `${letters.slice(0, longest).join('')}…` : letters.join('');
}

const unprintable =
  /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|\p{Surrogate}/gu;

function escape(character: string): string {
  return `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`;
}

function withoutCredentials(text: string): string {
  const authority = text.indexOf('://') + 3;
  const at = text.lastIndexOf('@');
  return authority > 2 && at > authority ? `${text.slice(0, authority)}…${text.slice(at)}` : text;
}

/** By file and position; at most `most` of each file, with a last one that counts the others. */
export function boundProblems(problems: readonly Problem[], most = mostProblems): readonly Problem[] {
  const sorted = sortProblems(problems);
  if (sorted.length <= most) return sorted;
  const rest = sorted.slice(most);
  const { file, line, column } = rest[0] as Problem;
  const message = `${rest.length} more problems follow in this file: mend those before it first`;
  return [...sorted.slice(0, most), { file, line, column, path: '', message }];
}

export function sortProblems(problems: readonly Problem[]): readonly Problem[] {
  return [...problems].sort(
    (a, b) =>
      compareText(a.file, b.file) || a.line - b.line || a.column - b.column || compareText(a.path, b.path),
  );
}

export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/**
 * One line per problem: `file:line:column path message` for a terminal, or workflow commands that a
 * forge turns into annotations. The place is left out where there is none. Without a newline at the end.
 */
export function formatProblems(problems: readonly Problem[], style: 'text' | 'github' = 'text'): string {
  return problems.map(style === 'text' ? asText : asAnnotation).join('\n');
}

/** What a line about a problem begins with: `file:line:column`, or `file:` where there is no line. */
export function placeOf({ file, line, column }: Pick<Problem, 'file' | 'line' | 'column'>): string {
  return line === 0 ? `${file}:` : `${file}:${line}:${column}`;
}

function asText({ file, line, column, path, message }: Problem): string {
  const place = placeOf({ file: shown(file, 300), line, column });
  return [place, ...(path === '' ? [] : [shown(path, 200)]), message].join(' ');
}

function asAnnotation({ file, line, column, message }: Problem): string {
  const place = line === 0 ? '' : `,line=${line},col=${column}`;
  return `::error file=${escapeProperty(file)}${place}::${escapeData(message)}`;
}

function escapeData(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}
