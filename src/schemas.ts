import { readFileSync } from 'node:fs';

export type SchemaName = 'project' | 'settings' | 'status' | 'journal';

/** A JSON Schema (draft 2020-12), as far as this code looks into one. */
export interface JsonSchema {
  readonly title?: string;
  readonly description?: string;
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly [keyword: string]: unknown;
}

const loaded = new Map<SchemaName, JsonSchema>();

/** The shipped schema `schemas/<name>.schema.json`, read once. Throws when the installation lacks it. */
export function loadSchema(name: SchemaName): JsonSchema {
  const known = loaded.get(name);
  if (known !== undefined) return known;
  // `src/` and `dist/` are equally deep, so that this holds for both.
  const location = new URL(`../schemas/${name}.schema.json`, import.meta.url);
  const schema = JSON.parse(readFileSync(location, 'utf8')) as JsonSchema;
  loaded.set(name, schema);
  return schema;
}
