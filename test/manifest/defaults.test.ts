import { expect, it } from 'vitest';
import { defaults } from '../../src/manifest/defaults.js';
import { type JsonSchema, loadSchema } from '../../src/schemas.js';
import { manifest, projectOf } from './support.js';

/** The defaults of a schema in written form: an object with the keys that have one. */
function writtenDefaults(schema: JsonSchema): unknown {
  if (schema.properties === undefined) return schema.default;
  const entries = Object.entries(schema.properties).map(
    ([key, inner]) => [key, writtenDefaults(inner)] as const,
  );
  const present = entries.filter(([, value]) => value !== undefined);
  return present.length === 0 ? undefined : (Object.fromEntries(present) as unknown);
}

it('the schema states the defaults that the table has', () => {
  const { suspend, source, build, run, health, route, rollout } = writtenDefaults(
    loadSchema('project'),
  ) as Record<string, unknown>;
  const sections = { suspend, build, run, health, route, rollout };
  const rest = Object.entries(sections).map(([key, value]) => `${key}: ${JSON.stringify(value)}\n`);
  const written = `apiVersion: pointsman.dev/v1\nkind: Project\nname: shop\nsource: ${JSON.stringify({
    repo: 'https://git.example.com/acme/shop.git',
    ...(source as object),
  })}\n${rest.join('')}`;
  expect(projectOf(written)).toEqual(projectOf(manifest()));
});

it('the release timeout of the schema is the one of the table', () => {
  const written = writtenDefaults(loadSchema('project')) as Record<string, { timeout: string }>;
  const spelledOut = projectOf(
    manifest(`release: { command: [a], timeout: ${written['release']?.timeout ?? ''} }\n`),
  );
  expect(spelledOut.release?.timeoutMs).toBe(defaults.release.timeoutMs);
  expect(projectOf(manifest('release: { command: [a] }\n'))).toEqual(spelledOut);
});

it('every default of the table that is a value stands in the schema', () => {
  const names: Readonly<Record<string, string>> = {
    memoryBytes: 'memory',
    maxBodyBytes: 'maxBody',
    keepPreviousMs: 'keepPrevious',
  };
  const schema = loadSchema('project');
  const lacking = Object.entries(defaults).flatMap(([section, values]) =>
    typeof values !== 'object'
      ? []
      : Object.entries(values)
          .filter(([, value]) => value !== null)
          .map(([field]) => names[field] ?? field.replace(/Ms$/, ''))
          .filter((field) => schema.properties?.[section]?.properties?.[field]?.default === undefined)
          .map((field) => `${section}.${field}`),
  );
  expect(lacking).toEqual([]);
});
