import { Composer, type CST, type Document, isScalar, type YAMLError } from 'yaml';
import { guard } from './guard.js';
import { type Place, positionsIn } from './positions.js';
import { pointer, shown } from './problems.js';
import type { Problem } from './project.js';
import { closingOf, type Opening, unclosedOpenings } from './unclosed.js';
import { lookupIn, receivedText, topLevelTexts } from './yaml-lookup.js';
import { type Found, plain } from './yaml-values.js';

/** One YAML document as plain data that remembers where each part of it stands. */
export interface SourceDocument {
  readonly file: string;
  /** First line of its content. */
  readonly line: number;
  /** Plain data; whatever could not be taken over is missing. */
  readonly value: unknown;
  /** Syntax, duplicate keys, aliases, anchors, tags. */
  readonly problems: readonly Problem[];
  /** False after a syntax error: `value` is then a guess. */
  readonly isComplete: boolean;
  /** Values of every top-level key `key` that are text; more than one when the key is duplicated. */
  texts(key: string): readonly string[];
  /** Where the part at `segments` stands, or the nearest part around it. */
  place(segments: readonly string[], at: 'key' | 'value'): Place;
  /** The value at `segments` as one short line for a message. */
  received(segments: readonly string[]): string;
}

export interface DocumentFile {
  readonly documents: readonly SourceDocument[];
  /** Of the file as a whole. */
  readonly problems: readonly Problem[];
  /** Documents that must be there but could not be told apart, because of a syntax error before them. */
  readonly hiddenDocuments: number;
}

/** Later ones mostly follow from the first. */
const mostSyntaxErrors = 10;

const composerOptions = {
  version: '1.2',
  schema: 'core',
  strict: true,
  stringKeys: true,
  merge: false,
  resolveKnownTags: false,
  // Looked for below, with both places and without comparing each key with each other.
  uniqueKeys: false,
  prettyErrors: false,
  logLevel: 'silent',
} as const;

/** Reads all documents of a file; those that hold nothing but comments are left out. Never throws. */
export function readDocuments(file: string, bytes: Uint8Array): DocumentFile {
  const guarded = guard(bytes);
  if (!guarded.ok) {
    const { line, column, message } = guarded;
    return { documents: [], problems: [{ file, line, column, path: '', message }], hiddenDocuments: 1 };
  }
  const { text, tokens } = guarded;
  const source: Source = { file, text, placeAt: positionsIn(text) };
  const composer = new Composer(composerOptions);
  const parsed = Array.from(composer.compose(tokens));
  // Errors that belong to no document stay with the stream.
  const stray = composer
    .streamInfo()
    .errors.slice(0, mostSyntaxErrors)
    .map((error) => syntaxProblem(source, error));
  stray.push(...directiveProblems(source, tokens));
  const openings = parsed.some(({ errors }) => errors.length > 0) ? unclosedOpenings(tokens) : [];
  const documents = parsed
    .filter((document) => !isEmpty(document))
    .map((each) => documentOf(source, each, openings));
  const isBroken = stray.length > 0 || documents.some(({ isComplete }) => !isComplete);
  const hidden = isBroken ? countMarkers(text) - countMarkerTokens(tokens) : 0;
  const lost = stray.length > 0 && documents.length === 0 ? 1 : 0;
  return { documents, problems: stray, hiddenDocuments: Math.max(hidden, lost) };
}

/** A file on the way to its documents. */
interface Source {
  readonly file: string;
  readonly text: string;
  readonly placeAt: (offset: number) => Place;
}

function documentOf(source: Source, document: Document.Parsed, openings: readonly Opening[]): SourceDocument {
  const { file, text, placeAt } = source;
  const { contents } = document;
  const found: Found[] = [];
  const value = plain(contents, [], found);
  const syntax = syntaxProblems(source, document, openings);
  const unusable = found.map(({ segments, offset, message }) => ({
    file,
    ...placeAt(offset),
    path: pointer(segments),
    message,
  }));
  const start = contents?.range[0] ?? document.range[0];
  const lookup = lookupIn(contents);
  return {
    file,
    line: placeAt(start).line,
    value,
    problems: [...syntax, ...unusable],
    isComplete: document.errors.length === 0,
    texts: (key) => topLevelTexts(contents, key),
    place: (segments, at) => placeAt(lookup.offset(segments, at) ?? start),
    received: (segments) => receivedText(text, lookup.node(segments)),
  };
}

function isEmpty(document: Document.Parsed): boolean {
  const { contents, errors } = document;
  if (errors.length > 0) return false;
  if (contents === null) return true;
  return (
    isScalar(contents) &&
    contents.value === null &&
    contents.source === '' &&
    contents.tag === undefined &&
    contents.anchor === undefined
  );
}

const mends: Readonly<Partial<Record<YAMLError['code'], string>>> = {
  BAD_INDENT: 'indent the lines of one level equally',
  BAD_DQ_ESCAPE: 'use single quotes, or double the backslash',
  BAD_SCALAR_START: 'put the value in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'put the value in quotes, or start a new line',
  MULTILINE_IMPLICIT_KEY: 'check quotes and colons of the line before',
  NON_STRING_KEY: 'use plain text as the key',
  TAB_AS_INDENT: 'indent with spaces',
  TAG_RESOLVE_FAILED: 'remove the tag',
};

/** Whatever follows something unclosed is only read wrongly because of it. */
function syntaxProblems(
  source: Source,
  { errors, range }: Document.Parsed,
  openings: readonly Opening[],
): readonly Problem[] {
  const opening = openings.find(({ offset }) => offset >= range[0] && offset <= range[2]);
  const own = errors.filter(({ pos }) => opening === undefined || pos[0] < opening.offset);
  const problems = own.slice(0, mostSyntaxErrors).map((error) => syntaxProblem(source, error));
  const isUnclosed = opening !== undefined && own.length < errors.length;
  return isUnclosed ? [...problems, unclosedProblem(source, opening)] : problems;
}

function unclosedProblem({ file, text, placeAt }: Source, { offset, character }: Opening): Problem {
  const closing = closingOf[character];
  const rest = text.slice(offset);
  // One that comes too late stands on a line that is not indented.
  const isLate =
    closing !== character && rest.split(closing).length >= rest.split(character).length
      ? ', or indent the lines up to its end'
      : '';
  const message = `this is not valid yaml: this ${character} is never closed; close it with ${closing}${isLate}`;
  return { file, ...placeAt(offset), path: '', message };
}

function syntaxProblem({ file, placeAt }: Source, error: YAMLError): Problem {
  const what = shown(error.message.charAt(0).toLowerCase() + error.message.slice(1), 160);
  const mend = mends[error.code] ?? 'check indentation, quotes and brackets here';
  return { file, ...placeAt(error.pos[0]), path: '', message: `this is not valid yaml: ${what}; ${mend}` };
}

/** `%YAML 1.1` would give other meanings to plain words; nothing needs a directive. */
function directiveProblems({ file, placeAt }: Source, tokens: readonly CST.Token[]): readonly Problem[] {
  return tokens
    .filter((token) => token.type === 'directive')
    .slice(0, mostSyntaxErrors)
    .map(({ offset, source }) => ({
      file,
      ...placeAt(offset),
      path: '',
      message: `the directive ${shown(source)} is not used: remove the line`,
    }));
}

function countMarkers(text: string): number {
  return text.match(/^(?:---|\.\.\.)(?=\s|$)/gm)?.length ?? 0;
}

function countMarkerTokens(tokens: readonly CST.Token[]): number {
  return tokens.reduce((sum, token) => {
    if (token.type === 'doc-end') return sum + 1;
    if (token.type !== 'document') return sum;
    return sum + token.start.filter(({ type }) => type === 'doc-start').length;
  }, 0);
}
