import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { manifestFormats } from './formats.js';
import type { Project } from './project.js';

/** Of milliseconds and counts: what a timer takes, 2^31 - 1. */
const amount = { type: 'integer', minimum: 0, maximum: 2_147_483_647 };
const count = { type: 'integer', minimum: 1, maximum: 2_147_483_647 };
const bytes = { type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER };
const text = { type: 'string' };
const nullableText = { type: ['string', 'null'] };
const program = { type: 'array', items: text, minItems: 1 };
const table = { type: 'object', additionalProperties: text };
const statusCode = { type: 'integer', minimum: 100, maximum: 599 };

/** An object of which every property has to be there; others do no harm. */
function complete(properties: Readonly<Record<string, object>>) {
  return { type: 'object', required: Object.keys(properties), properties };
}

const gitSource = complete({
  kind: { const: 'git' },
  repo: { type: 'string', format: 'git-repository' },
  ref: nullableText,
  commit: nullableText,
  path: { type: 'string', format: 'relative-path' },
  build: complete({
    dockerfile: { type: 'string', format: 'relative-file' },
    target: nullableText,
    args: table,
    timeoutMs: amount,
  }),
});

const imageSource = complete({
  kind: { const: 'image' },
  image: { type: 'string', format: 'image-reference' },
});

const run = complete({
  port: { type: 'integer', minimum: 1, maximum: 65535 },
  command: { anyOf: [{ type: 'null' }, program] },
  env: table,
  secrets: { type: 'array', items: text },
  volumes: {
    type: 'array',
    items: complete({ name: text, path: { type: 'string', format: 'container-path' } }),
  },
  memoryBytes: { anyOf: [{ type: 'null' }, bytes] },
  cpus: { type: ['number', 'null'], exclusiveMinimum: 0 },
  pids: count,
  user: nullableText,
  readOnly: { type: 'boolean' },
  stopTimeoutMs: amount,
});

const health = complete({
  path: nullableText,
  status: complete({ from: statusCode, to: statusCode }),
  intervalMs: { anyOf: [{ type: 'null' }, amount] },
  timeoutMs: amount,
  successes: count,
  withinMs: amount,
  bakeMs: amount,
  failures: count,
});

const project = complete({
  name: { type: 'string', pattern: '^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$' },
  suspend: { type: 'boolean' },
  source: { type: 'object', oneOf: [gitSource, imageSource] },
  run,
  release: { anyOf: [{ type: 'null' }, complete({ command: program, timeoutMs: amount })] },
  health,
  route: complete({
    domains: { type: 'array', minItems: 1, items: { type: 'string', format: 'domain' } },
    maxBodyBytes: bytes,
    readTimeoutMs: amount,
  }),
  rollout: complete({ drainMs: amount, keepPreviousMs: amount }),
});

let compiled: ValidateFunction<Project> | undefined;

/** Whether `value` is a normalised manifest: every field there, and of its type. */
export function isProject(value: unknown): value is Project {
  compiled ??= compile();
  return compiled(value);
}

function compile(): ValidateFunction<Project> {
  const ajv = new Ajv2020({ strict: true, strictRequired: false, allowUnionTypes: true });
  for (const [name, check] of Object.entries(manifestFormats)) {
    ajv.addFormat(name, { type: 'string', validate: (value: string) => check(value) === null });
  }
  return ajv.compile<Project>(project);
}
