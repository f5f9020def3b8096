import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import type { JsonSchema } from '../schemas.js';
import type { FormatCheck } from './formats.js';
import { pointer, segmentsOf } from './problems.js';
import type { Problem } from './project.js';
import { parseDuration, parseSize } from './quantities.js';
import { explain, type Finding } from './schema-sentences.js';
import type { SourceDocument } from './source-document.js';

/** Checks a document; resolves nothing, fills in nothing. No problems: the value has the schema's shape. */
export type SchemaCheck = (document: SourceDocument) => readonly Problem[];

/** Most errors that are turned into sentences: a 64 KiB file can hold thousands of wrong keys. */
const mostErrors = 1_000;

/** Compiles `schema`; `formats` are the ones that it names. */
export function schemaCheck(schema: JsonSchema, formats: Readonly<Record<string, FormatCheck>>): SchemaCheck {
  const ajv = new Ajv2020({
    allErrors: true,
    strict: true,
    strictRequired: false,
    allowUnionTypes: true,
    verbose: true,
    messages: false,
  });
  for (const [name, check] of Object.entries(formats)) {
    ajv.addFormat(name, { type: 'string', validate: (value: string) => check(value) === null });
  }
  ajv.addKeyword({ keyword: 'x-expected', schemaType: 'string' });
  ajv.addKeyword(boundsKeyword('x-duration', parseDuration));
  ajv.addKeyword(boundsKeyword('x-size', parseSize));
  const validate = ajv.compile(schema);
  return (document) => {
    if (validate(document.value)) return [];
    const errors = (validate.errors ?? []).slice(0, mostErrors);
    return findingsOf(errors)
      .filter(({ segments }) => !isBelowUnusable(document, segments))
      .map((finding) => problemOf(schema, formats, document, finding));
  };
}

export interface Bounds {
  readonly minimum: string;
  readonly maximum: string;
}

/** A value that does not parse is left to `pattern`. */
function boundsKeyword(keyword: string, parse: (text: string) => number | null) {
  return {
    keyword,
    schemaType: 'object' as const,
    validate: ({ minimum, maximum }: Bounds, value: unknown): boolean => {
      const amount = typeof value === 'string' ? parse(value) : null;
      return amount === null || (amount >= (parse(minimum) ?? 0) && amount <= (parse(maximum) ?? Infinity));
    },
    errors: false,
  };
}

/** Of several errors about one value, the first of these tells most. */
const ranks = ['type', 'const', 'enum', 'format', 'pattern', 'x-duration', 'x-size'];

/** One finding per value, key or missing part. */
function findingsOf(errors: readonly ErrorObject[]): readonly Finding[] {
  const byPlace = new Map<string, Finding>();
  for (const error of errors) {
    const finding = findingOf(error);
    if (finding === null) continue;
    const place = `${finding.kind} ${pointer(finding.segments)}`;
    const known = byPlace.get(place);
    if (known === undefined || rank(finding.error) < rank(known.error)) byPlace.set(place, finding);
  }
  // What is no mapping at all has no key too many or too few.
  if (byPlace.get('value ')?.error.keyword === 'type') byPlace.delete('choice ');
  return [...byPlace.values()];
}

function rank(error: ErrorObject): number {
  const index = ranks.indexOf(error.keyword);
  return index === -1 ? ranks.length : index;
}

function findingOf(error: ErrorObject): Finding | null {
  const segments = segmentsOf(error.instancePath);
  const params = error.params as Readonly<Record<string, unknown>>;
  // The parts of `oneOf` and the summary of `propertyNames` only repeat what another error says.
  if (error.schemaPath.startsWith('#/oneOf/') || error.keyword === 'propertyNames') return null;
  if (error.propertyName !== undefined) {
    return { kind: 'name', segments: [...segments, error.propertyName], error };
  }
  switch (error.keyword) {
    case 'additionalProperties':
      return { kind: 'unknown', segments: [...segments, String(params['additionalProperty'])], error };
    case 'required':
      return { kind: 'missing', segments: [...segments, String(params['missingProperty'])], error };
    case 'dependentRequired':
      return { kind: 'needs', segments: [...segments, String(params['property'])], error };
    case 'oneOf':
      return { kind: 'choice', segments, error };
    default:
      return { kind: 'value', segments, error };
  }
}

function problemOf(
  schema: JsonSchema,
  formats: Readonly<Record<string, FormatCheck>>,
  document: SourceDocument,
  finding: Finding,
): Problem {
  const { kind, segments } = finding;
  const isAtKey = kind === 'unknown' || kind === 'name' || kind === 'needs' || kind === 'missing';
  return {
    file: document.file,
    // What is missing stands nowhere: the lookup gives the part around it.
    ...document.place(segments, isAtKey ? 'key' : 'value'),
    path: pointer(segments),
    message: explain(schema, formats, document, finding),
  };
}

/** An alias has a problem of its own; that its value is missing is no second one. */
function isBelowUnusable(document: SourceDocument, segments: readonly string[]): boolean {
  const path = pointer(segments);
  return document.problems.some(
    (problem) => problem.path !== '' && (path === problem.path || path.startsWith(`${problem.path}/`)),
  );
}
