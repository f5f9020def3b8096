import { type CST, Lexer, Parser } from 'yaml';
import { positionsIn } from './positions.js';
import { noPlace } from './problems.js';

/** Largest file that is read, in bytes. */
export const largestFileBytes = 64 * 1024;
/** Deepest nesting of lists and mappings. */
export const deepestNesting = 64;

export type Guarded =
  | { readonly ok: true; readonly text: string; readonly tokens: readonly CST.Token[] }
  /** Line and column 0: of the file as a whole. */
  | { readonly ok: false; readonly line: number; readonly column: number; readonly message: string };

/**
 * Stands before the parser of YAML: what passes cannot exhaust it. Composing a value calls itself for
 * each level of nesting, and 1,000 levels kill the process on Node 20 (`RegExpCompiler Allocation
 * failed`, nothing to catch). The tokenizer does not call itself, and its stack is the exact nesting,
 * so that brackets in strings and comments count for nothing.
 */
export function guard(bytes: Uint8Array): Guarded {
  if (bytes.byteLength > largestFileBytes) {
    // Whoever reads stops one byte behind the limit, so that the size is not known.
    const message = `the file has more than ${largestFileBytes} bytes, ${largestFileBytes} are allowed: split it into several files`;
    return { ok: false, ...noPlace, message };
  }
  const decoded = decode(bytes);
  if (typeof decoded !== 'string') return decoded;
  // Tab, line feed and carriage return are the only control characters of a YAML file; U+0085 is a line end.
  const control = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u0084\u0086-\u009f]/.exec(decoded);
  if (control !== null) {
    const code = (control[0].codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
    return refused(decoded, control.index, `the file holds the control character U+${code}: remove it`);
  }
  return tokenize(decoded);
}

function decode(bytes: Uint8Array): string | Guarded {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  try {
    return decoder.decode(bytes);
  } catch {
    return { ok: false, line: firstInvalidLine(bytes), column: 1, message: notUtf8 };
  }
}

const notUtf8 = 'the file is not UTF-8 text: save it as UTF-8';

/** A line feed is never part of a longer character, so lines can be decoded one by one. */
function firstInvalidLine(bytes: Uint8Array): number {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let line = 1;
  for (let start = 0; start < bytes.byteLength; line += 1) {
    const found = bytes.indexOf(0x0a, start);
    const end = found === -1 ? bytes.byteLength : found + 1;
    try {
      decoder.decode(bytes.subarray(start, end));
    } catch {
      return line;
    }
    start = end;
  }
  return line;
}

function tokenize(text: string): Guarded {
  const parser = new Parser();
  const tokens: CST.Token[] = [];
  for (const lexeme of new Lexer().lex(text)) {
    for (const token of parser.next(lexeme)) tokens.push(token);
    if (parser.stack.length > deepestNesting && nesting(parser.stack) > deepestNesting) {
      const message = `lists and mappings are nested deeper than ${deepestNesting}: flatten them`;
      return refused(text, parser.offset - lexeme.length, message);
    }
  }
  for (const token of parser.end()) tokens.push(token);
  return { ok: true, text, tokens };
}

function nesting(stack: readonly CST.Token[]): number {
  return stack.filter(
    ({ type }) => type === 'block-map' || type === 'block-seq' || type === 'flow-collection',
  ).length;
}

function refused(text: string, offset: number, message: string): Guarded {
  return { ok: false, ...positionsIn(text)(offset), message };
}
