import type { CST } from 'yaml';

/** A bracket, brace or quote that nothing closes. */
export interface Opening {
  readonly offset: number;
  readonly character: '[' | '{' | '"' | "'";
}

export const closingOf = { '[': ']', '{': '}', '"': '"', "'": "'" } as const;

/**
 * The first one of each document, and of several in each other the innermost: closing that is the mend,
 * and everything after it was read wrongly.
 */
export function unclosedOpenings(tokens: readonly CST.Token[]): readonly Opening[] {
  return tokens
    .map((token) => (token.type === 'document' ? unclosedIn(token.value) : null))
    .filter((opening) => opening !== null);
}

/** Calls itself for each level of nesting, which `guard` bounds. */
function unclosedIn(token: CST.Token | null | undefined): Opening | null {
  switch (token?.type) {
    case 'single-quoted-scalar':
      return /^'(?:[^']|'')*'$/.test(token.source) ? null : { offset: token.offset, character: "'" };
    case 'double-quoted-scalar':
      return /^"(?:[^"\\]|\\[^])*"$/.test(token.source) ? null : { offset: token.offset, character: '"' };
    case 'flow-collection': {
      const character = token.start.type === 'flow-map-start' ? '{' : '[';
      const isClosed = token.end.some(
        ({ type }) => type === (character === '{' ? 'flow-map-end' : 'flow-seq-end'),
      );
      return unclosedAmong(token.items) ?? (isClosed ? null : { offset: token.offset, character });
    }
    case 'block-map':
    case 'block-seq':
      return unclosedAmong(token.items);
    default:
      return null;
  }
}

function unclosedAmong(
  items: readonly { readonly key?: CST.Token | null | undefined; readonly value?: CST.Token | undefined }[],
): Opening | null {
  for (const { key, value } of items) {
    const found = unclosedIn(key) ?? unclosedIn(value);
    if (found !== null) return found;
  }
  return null;
}
