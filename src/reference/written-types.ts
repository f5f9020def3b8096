import { compile, type JSONSchema } from 'json-schema-to-typescript';
import { format } from 'prettier';
import type { JsonSchema } from '../schemas.js';
import { prettierOptions } from './prettier-options.js';

/** TypeScript of what `schema` describes, with `type` as the name of the whole. */
export async function renderTypes(schema: JsonSchema, type: string): Promise<string> {
  // `oneOf` and `dependentRequired` beside `properties` say which keys go together; as types they would double the whole.
  const left = schema.properties === undefined ? ['$id'] : ['$id', 'oneOf', 'dependentRequired'];
  const shape = Object.fromEntries(Object.entries(schema).filter(([keyword]) => !left.includes(keyword)));
  const source = { ...shape, title: type } as JSONSchema;
  const text = await compile(source, type, {
    bannerComment: '// Generated from the schema by `npm run generate`: change the schema instead.',
    ignoreMinAndMaxItems: true,
    format: false,
  });
  return await format(text, await prettierOptions('typescript'));
}
