import type { ErrorObject } from 'ajv/dist/2020.js';
import type { JsonSchema } from '../schemas.js';
import type { FormatCheck } from './formats.js';
import { dotted, shown } from './problems.js';
import type { SourceDocument } from './source-document.js';
import { nearest } from './suggestion.js';

/** One thing that is wrong, and the error that ajv gave for it. */
export interface Finding {
  readonly kind: 'value' | 'name' | 'unknown' | 'missing' | 'needs' | 'choice';
  /** Of the value or key; of a missing part, where it would stand. */
  readonly segments: readonly string[];
  readonly error: ErrorObject;
}

/** A finding as one sentence: what is wrong, the value received, how to mend it. */
export function explain(
  schema: JsonSchema,
  formats: Readonly<Record<string, FormatCheck>>,
  document: SourceDocument,
  { kind, segments, error }: Finding,
): string {
  const name = dotted(segments);
  const parent = error.parentSchema as JsonSchema;
  switch (kind) {
    case 'unknown':
      return `${name} is not a known key: ${knownKeys(schema, segments, Object.keys(parent.properties ?? {}))}`;
    case 'missing':
      return missing(name, parent.properties?.[segments.at(-1) ?? '']);
    case 'needs': {
      const needed = String((error.params as Readonly<Record<string, unknown>>)['missingProperty']);
      return `${name} is only used together with ${dotted([...segments.slice(0, -1), needed])}: add that or remove this`;
    }
    case 'choice': {
      const both = (error.params as { readonly passingSchemas: unknown }).passingSchemas !== null;
      return both
        ? 'source and image are both given: keep source to build from a repository, or image to run an image'
        : 'source or image is missing: give source.repo to build from a repository, or image to run an image';
    }
    case 'name':
      return `${name} is not a valid name: expected ${describe(parent)}`;
    case 'value':
      return wrongValue(formats, document, segments, error);
    default:
      return kind satisfies never;
  }
}

function wrongValue(
  formats: Readonly<Record<string, FormatCheck>>,
  document: SourceDocument,
  segments: readonly string[],
  error: ErrorObject,
): string {
  const name = dotted(segments);
  const schema = error.parentSchema as JsonSchema;
  const params = error.params as Readonly<Record<string, unknown>>;
  switch (error.keyword) {
    case 'minItems':
      return `${name} is an empty list: add an item or remove the key`;
    case 'maxItems':
    case 'maxProperties':
      return `${name} has too many entries: at most ${String(params['limit'])} are allowed`;
    case 'maxLength':
      return `${name} is too long: at most ${String(params['limit'])} characters are allowed`;
    case 'uniqueItems': {
      const repeated = document.received([...segments, String(params['i'])]);
      return `${name} holds ${repeated} twice: keep one of them`;
    }
    case 'format': {
      const check = formats[String(params['format'])];
      const reason = typeof error.data === 'string' ? check?.(error.data) : null;
      return `${name} is ${document.received(segments)}: ${reason ?? `expected ${describe(schema)}`}`;
    }
    case 'type':
      return `${name} is ${document.received(segments)}: expected ${describe(schema)}${quotesHint(schema, error.data)}`;
    default:
      return `${name} is ${document.received(segments)}: expected ${describe(schema)}`;
  }
}

/**
 * Numbers and truth values become text by quotes, and are themselves without them; a key with nothing
 * after it is mostly a slip.
 */
function quotesHint(schema: JsonSchema, received: unknown): string {
  if (received === null) return ', or no such key at all';
  if (schema.type === 'integer' || schema.type === 'number')
    return typeof received === 'string' && /^-?\d+(\.\d+)?$/.test(received) ? '; remove the quotes' : '';
  if (schema.type === 'boolean')
    return received === 'true' || received === 'false' ? '; remove the quotes' : '';
  if (typeof received !== 'number' && typeof received !== 'boolean') return '';
  if (schema['x-duration'] !== undefined || schema['x-size'] !== undefined) return '; add the unit';
  const wantsText =
    schema.type === 'string' || (Array.isArray(schema.type) && schema.type.includes('string'));
  return wantsText ? '; put it in quotes' : '';
}

function missing(name: string, schema: JsonSchema | undefined): string {
  if (schema === undefined) return `${name} is missing: add it`;
  const example = schema.examples?.[0];
  const hint = typeof example === 'string' ? `, for example ${JSON.stringify(example)}` : '';
  return `${name} is missing: add it as ${describe(schema)}${hint}`;
}

/** What a value of `schema` looks like, to follow "expected". */
export function describe(schema: JsonSchema): string {
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined)
    return `one of ${schema.enum.map((value) => JSON.stringify(value)).join(', ')}`;
  const bounds = (schema['x-duration'] ?? schema['x-size']) as
    { readonly minimum: string; readonly maximum: string } | undefined;
  const expected = schema['x-expected'] as string | undefined;
  if (bounds !== undefined) {
    const units = schema['x-duration'] === undefined ? sizeUnits(schema) : 'ms, s, m or h';
    return `${expected ?? 'an amount'} from ${bounds.minimum} to ${bounds.maximum}, a whole number with ${units}`;
  }
  if (expected !== undefined) return expected;
  const kinds = typeof schema.type === 'string' ? [schema.type] : (schema.type ?? []);
  return kinds.map((kind) => describeType(kind, schema)).join(' or ') || 'another value';
}

function describeType(type: string, schema: JsonSchema): string {
  const range =
    schema['minimum'] === undefined
      ? ''
      : ` from ${String(schema['minimum'])} to ${String(schema['maximum'])}`;
  switch (type) {
    case 'integer':
      return `a whole number${range}`;
    case 'number':
      return `a number${range}`;
    case 'boolean':
      return 'true or false';
    case 'array':
      return 'a list';
    case 'object':
      return schema.properties === undefined
        ? 'a mapping'
        : `a mapping with ${Object.keys(schema.properties).slice(0, 12).join(', ')}`;
    default:
      return 'text';
  }
}

function sizeUnits(schema: JsonSchema): string {
  return String(schema['pattern']).includes('Ki') ? 'Ki, Mi or Gi' : 'k, m or g';
}

/** The key that was most likely meant: a similar one here, the same one elsewhere, or the list of all. */
function knownKeys(schema: JsonSchema, segments: readonly string[], here: readonly string[]): string {
  const key = segments.at(-1) ?? '';
  const parent = segments.slice(0, -1);
  const elsewhere = placesOf(schema, key);
  const similar = nearest(key, here);
  if (similar !== null) return `did you mean ${dotted([...parent, similar])}`;
  if (elsewhere.length > 0 && elsewhere.length <= 3) return `did you mean ${elsewhere.join(' or ')}`;
  return `remove it, or use one of ${shown(here.join(', '), 200)}`;
}

/** Where else in the schema a key of this name stands. */
function placesOf(schema: JsonSchema, key: string, parent: readonly string[] = []): readonly string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, inner]) => [
    ...(name === key ? [dotted([...parent, name])] : []),
    ...placesOf(inner, key, [...parent, name]),
  ]);
}
