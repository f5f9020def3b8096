/**
 * Every image that a Dockerfile may have BuildKit run in place of its own reader of Dockerfiles: what
 * `# syntax=`, `// syntax=` or `{ "syntax": … }` at its beginning names. Versions of BuildKit differ in
 * which of several counts, which lines they pass over and where they stop looking, so all are given.
 */
export function frontendsOf(dockerfile: string): readonly string[] {
  const text = dockerfile.replace(/^\uFEFF/, '');
  return [...directives(text), ...jsonDirective(text.replace(/^#![^\n]*\n/, ''))];
}

/** Of the lines at the top that have the form of a directive. A line ends with a line feed and nothing else. */
function directives(text: string): readonly string[] {
  const found: string[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('#!')) continue;
    // No two parts of it that can share blanks: a line may be a megabyte of them.
    const match = /^(?:#|\/\/)[\s\u0085]*([a-z][a-z0-9]*)\s*=(.+)$/is.exec(line);
    if (match === null) break;
    const [, name = '', value = ''] = match;
    if (name.toLowerCase() === 'syntax') found.push(value.trim().split(' ', 1)[0] ?? '');
  }
  return found;
}

function jsonDirective(text: string): readonly string[] {
  if (!text.trimStart().startsWith('{')) return [];
  try {
    const { syntax } = JSON.parse(text) as { readonly syntax?: unknown };
    return typeof syntax === 'string' ? [syntax] : [];
  } catch {
    return [];
  }
}
