import { fileURLToPath } from 'node:url';
import { type Options, resolveConfig } from 'prettier';

/** The repository's own formatting, for text of one kind. */
export async function prettierOptions(parser: 'typescript' | 'markdown'): Promise<Options> {
  const config = await resolveConfig(fileURLToPath(new URL('../../README.md', import.meta.url)));
  return { ...config, parser };
}
