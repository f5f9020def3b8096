/**
 * Patterns of a `.dockerignore` as moby's patternmatcher reads them: `*` and `?` stay in one part of the
 * path, `**` crosses parts, `[a-z]` and `[^a]` are one character, `\` takes the next one as it is. All ways
 * to match are followed side by side, so that no pattern takes more than its length times the path's: a
 * regular expression of JavaScript goes through them one after the other, for ever where a stranger wants.
 */
type Token =
  | { readonly kind: 'character'; readonly character: string }
  /** `?` */
  | { readonly kind: 'any' }
  /** `*` */
  | { readonly kind: 'run' }
  /** `**` at the end */
  | { readonly kind: 'rest' }
  /** `**` before something: whole parts of the path, or none */
  | { readonly kind: 'parts' }
  | { readonly kind: 'class'; readonly isNegated: boolean; readonly ranges: readonly Range[] };

type Range = readonly [from: string, to: string];

/** How many steps may still be taken; below 0 when it was not enough. */
export interface Work {
  left: number;
}

export class PathPattern {
  readonly #tokens: readonly Token[];
  /** Per place in the pattern, the step in which it was reached last. */
  readonly #reachedIn: Uint32Array;
  #step = 0;
  #places: number[] = [];
  #next: number[] = [];

  private constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
    this.#reachedIn = new Uint32Array(tokens.length * 2 + 1);
  }

  /** Null for a text that cannot be understood. */
  static parse(text: string): PathPattern | null {
    const tokens = tokensOf(Array.from(text));
    return tokens === null ? null : new PathPattern(tokens);
  }

  /**
   * Whether the path of these characters, or a folder that it stands in, matches. Follows every place in
   * the pattern where what was read so far can end: place `2i` is before token `i`, `2i + 1` inside of it.
   * False when `work` is used up.
   */
  fits(path: readonly string[], work: Work): boolean {
    const end = this.#tokens.length * 2;
    this.#begin();
    this.#enter(0);
    for (const character of path) {
      [this.#places, this.#next] = [this.#next, this.#places];
      if (character === '/' && this.#reachedIn[end] === this.#step) return true;
      work.left -= this.#places.length;
      if (work.left < 0) return false;
      this.#begin();
      for (const place of this.#places) this.#read(place, character);
      if (this.#next.length === 0) return false;
    }
    return this.#reachedIn[end] === this.#step;
  }

  #begin(): void {
    this.#next.length = 0;
    this.#step += 1;
    if (this.#step < 2 ** 32) return;
    this.#reachedIn.fill(0);
    this.#step = 1;
  }

  #reach(place: number): void {
    if (this.#reachedIn[place] === this.#step) return;
    this.#reachedIn[place] = this.#step;
    this.#next.push(place);
  }

  /** The place before token `first`, and those that are reached from it without a character. */
  #enter(first: number): void {
    for (let index = first; this.#reachedIn[index * 2] !== this.#step; index += 1) {
      this.#reach(index * 2);
      const kind = this.#tokens[index]?.kind;
      if (kind === 'parts') this.#reach(index * 2 + 1);
      else if (kind !== 'run' && kind !== 'rest') return;
    }
  }

  #read(place: number, character: string): void {
    const index = place >> 1;
    const token = this.#tokens[index];
    if (token === undefined) return;
    switch (token.kind) {
      case 'character':
        if (token.character === character) this.#enter(index + 1);
        return;
      case 'any':
        if (character !== '/') this.#enter(index + 1);
        return;
      case 'run':
        if (character !== '/') this.#enter(index);
        return;
      case 'rest':
        this.#enter(index);
        return;
      case 'parts':
        // From the place before it the way goes on inside of it, or past it.
        if (place % 2 === 0) return;
        this.#reach(place);
        if (character === '/') this.#enter(index + 1);
        return;
      case 'class':
        if (isOneOf(character, token.ranges) !== token.isNegated) this.#enter(index + 1);
    }
  }
}

function tokensOf(text: readonly string[]): readonly Token[] | null {
  const tokens: Token[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at] ?? '';
    if (character === '*' && text[at + 1] === '*') {
      at += text[at + 2] === '/' ? 2 : 1;
      tokens.push({ kind: at + 1 === text.length ? 'rest' : 'parts' });
    } else if (character === '*') tokens.push({ kind: 'run' });
    else if (character === '?') tokens.push({ kind: 'any' });
    else if (character === '[') {
      const found = classAt(text, at);
      if (found === null) return null;
      tokens.push(found.token);
      at = found.end;
    } else if (character === '\\') {
      at += 1;
      const escaped = text[at];
      if (escaped === undefined) return null;
      tokens.push({ kind: 'character', character: escaped });
    } else tokens.push({ kind: 'character', character });
  }
  return tokens;
}

/** The class that opens at `start`; null when it is empty, never closes, or has a range backwards. */
function classAt(
  text: readonly string[],
  start: number,
): { readonly token: Token; readonly end: number } | null {
  const isNegated = text[start + 1] === '^';
  const ranges: Range[] = [];
  let at = start + (isNegated ? 2 : 1);
  const take = (): string | undefined => {
    if (text[at] === '\\') at += 1;
    at += 1;
    return text[at - 1];
  };
  while (text[at] !== ']') {
    const from = take();
    let to = from;
    if (text[at] === '-' && text[at + 1] !== ']') {
      at += 1;
      to = take();
    }
    if (from === undefined || to === undefined || compare(from, to) > 0) return null;
    ranges.push([from, to]);
  }
  return ranges.length === 0 ? null : { token: { kind: 'class', isNegated, ranges }, end: at };
}

function isOneOf(character: string, ranges: readonly Range[]): boolean {
  return ranges.some(([from, to]) => compare(from, character) <= 0 && compare(character, to) <= 0);
}

function compare(a: string, b: string): number {
  return (a.codePointAt(0) ?? 0) - (b.codePointAt(0) ?? 0);
}
