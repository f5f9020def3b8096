import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { CliContext } from '../cli/context.js';
import { systemClock } from '../clock.js';
import { loadSchema, type SchemaName } from '../schemas.js';
import { renderCommands } from './command-reference.js';
import { renderSchemaTable } from './schema-reference.js';
import { splice } from './splice.js';
import { renderTypes } from './written-types.js';

export const repositoryRoot = fileURLToPath(new URL('../..', import.meta.url));

export interface GeneratedFile {
  /** Absolute. */
  readonly path: string;
  readonly content: string;
}

const typeFiles: readonly { readonly schema: SchemaName; readonly type: string; readonly path: string }[] = [
  { schema: 'project', type: 'WrittenProject', path: 'src/manifest/written.generated.ts' },
  { schema: 'settings', type: 'WrittenSettings', path: 'src/settings/written.generated.ts' },
  { schema: 'status', type: 'Status', path: 'src/record/status.generated.ts' },
  { schema: 'journal', type: 'JournalLine', path: 'src/record/journal.generated.ts' },
];

/** Every generated file below `root` that does not hold what it should. */
export async function staleFiles(root: string): Promise<readonly GeneratedFile[]> {
  const stale: GeneratedFile[] = [];
  for (const file of [...(await generateTypes(root)), ...(await generateReadme(root))]) {
    const isCurrent = existsSync(file.path) && (await readFile(file.path, 'utf8')) === file.content;
    if (!isCurrent) stale.push(file);
  }
  return stale;
}

async function generateTypes(root: string): Promise<readonly GeneratedFile[]> {
  return await Promise.all(
    typeFiles.map(async ({ schema, type, path }) => ({
      path: join(root, path),
      content: await renderTypes(loadSchema(schema), type),
    })),
  );
}

/** Empty when there is no README.md. */
async function generateReadme(root: string): Promise<readonly GeneratedFile[]> {
  const path = join(root, 'README.md');
  if (!existsSync(path)) return [];
  const parts = {
    manifest: await renderSchemaTable(loadSchema('project')),
    settings: await renderSchemaTable(loadSchema('settings')),
    ...(await generateCommands()),
  };
  const readme = await readFile(path, 'utf8');
  return [
    { path, content: Object.entries(parts).reduce((text, [name, part]) => splice(text, name, part), readme) },
  ];
}

async function generateCommands(): Promise<Readonly<Record<string, string>>> {
  const program = join(repositoryRoot, 'src/cli/program.ts');
  if (!existsSync(program)) return {};
  const { createProgram } = (await import(pathToFileURL(program).href)) as typeof import('../cli/program.js');
  return { cli: await renderCommands(createProgram(idleContext)) };
}

/** Help texts need no settings and no controller. */
const idleContext: CliContext = {
  io: {
    stdout: process.stdout,
    stderr: process.stderr,
    env: {},
    cwd: repositoryRoot,
    clock: systemClock,
    interrupt: new AbortController().signal,
    outputClosed: new AbortController().signal,
  },
  deps: { loadSettings: neverCalled, backend: neverCalled },
  version: '',
  exitCode: 0,
};

function neverCalled(): never {
  throw new Error('a help text must not run the command');
}
