import { format } from 'prettier';
import type { JsonSchema } from '../schemas.js';
import { prettierOptions } from './prettier-options.js';

interface Row {
  readonly path: string;
  readonly schema: JsonSchema;
  readonly isRequired: boolean;
}

/** A markdown table with one row per key: path, default, allowed values, meaning. */
export async function renderSchemaTable(schema: JsonSchema): Promise<string> {
  const lines = rowsOf(schema, '').map(
    ({ path, schema: inner, isRequired }) =>
      `| ${[code(path), defaultOf(inner, isRequired), allowed(inner), meaning(inner)].map(cell).join(' | ')} |`,
  );
  const table = ['| key | default | values | meaning |', '| --- | --- | --- | --- |', ...lines].join('\n');
  return await format(table, await prettierOptions('markdown'));
}

function rowsOf(schema: JsonSchema, prefix: string): readonly Row[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, inner]) => {
    const path = `${prefix}${key}`;
    const row = { path, schema: inner, isRequired: schema.required?.includes(key) === true };
    if (inner.properties !== undefined) return [row, ...rowsOf(inner, `${path}.`)];
    return inner.items?.properties === undefined ? [row] : [row, ...rowsOf(inner.items, `${path}[].`)];
  });
}

function defaultOf(schema: JsonSchema, isRequired: boolean): string {
  if (isRequired) return 'required';
  return schema.default === undefined ? '–' : code(short(schema.default));
}

function allowed(schema: JsonSchema): string {
  if (schema.const !== undefined) return code(short(schema.const));
  if (schema.enum !== undefined) return schema.enum.map((value) => code(short(value))).join(', ');
  const bounds = (schema['x-duration'] ?? schema['x-size']) as
    { readonly minimum: string; readonly maximum: string } | undefined;
  if (bounds !== undefined) return `${code(bounds.minimum)} to ${code(bounds.maximum)}`;
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  switch (type) {
    case 'boolean':
      return '`true`, `false`';
    case 'integer':
    case 'number':
      return `${String(schema['minimum'])} to ${String(schema['maximum'])}`;
    case 'object':
      return schema.properties === undefined ? `mapping, such as ${example(schema)}` : 'mapping';
    case 'array':
      return schema.examples === undefined ? 'list' : `list, such as ${example(schema)}`;
    default:
      return schema.examples === undefined ? 'text' : `such as ${example(schema)}`;
  }
}

function example(schema: JsonSchema): string {
  return code(short(schema.examples?.[0]));
}

/** As one would write it in YAML, on one line. */
function short(value: unknown): string {
  if (typeof value === 'string') return value;
  return JSON.stringify(value)
    .replaceAll('":', '": ')
    .replaceAll(',"', ', "')
    .replaceAll('{"', '{ "')
    .replaceAll('}', ' }')
    .replace('{ }', '{}');
}

function meaning(schema: JsonSchema): string {
  return schema.description ?? '';
}

function code(text: string): string {
  return `\`${text}\``;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}
