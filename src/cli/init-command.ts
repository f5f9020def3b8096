import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { PointsmanError } from '../errors.js';
import { NoFolder, makeFolder } from '../files.js';
import { examples } from './context.js';
import type { CliContext } from './context.js';
import { exitCodes, print, printJson } from './io.js';

export function addInitCommand(program: Command, context: CliContext): void {
  program
    .command('init')
    .summary('a config repository to begin with')
    .description(
      'Writes an example manifest, the schema that editors check it with, a check for CI, and a short guide. ' +
        'Refuses when one of these files is there; needs no settings and no server.',
    )
    .argument('[dir]', 'folder of the config repository, made when it is not there', '.')
    .option('--json', 'print the files written as JSON')
    .addHelpText(
      'after',
      examples(
        'pointsman init deploy',
        'pointsman init && git init -b main && git add . && git commit -m "First project"',
      ),
    )
    .action(async (dir: string, options: { json?: boolean }) => {
      context.exitCode = await init(context, dir, options);
    });
}

async function init({ io }: CliContext, dir: string, options: { json?: boolean }): Promise<number> {
  const folder = resolve(io.cwd, dir);
  const schema = await readFile(new URL('../../schemas/project.schema.json', import.meta.url), 'utf8');
  const files: Readonly<Record<string, string>> = {
    'projects/hello.yaml': manifest,
    '.pointsman/project.schema.json': schema,
    '.github/workflows/validate.yaml': ciCheck,
    'projects/README.md': readme,
  };
  const taken = Object.keys(files).filter((name) => existsSync(join(folder, name)));
  if (taken.length > 0) {
    throw new PointsmanError(
      'ManifestInvalid',
      `${folder} has ${taken.join(', ')} already; nothing was written: name another folder, or move them away`,
    );
  }
  for (const name of Object.keys(files)) await makeFolderOf(join(folder, name));
  for (const [name, text] of Object.entries(files)) {
    // `wx`: a file that came meanwhile is not overwritten either.
    await writeFile(join(folder, name), text, { flag: 'wx' });
  }
  if (options.json === true) await printJson(io, { folder, files: Object.keys(files) });
  else await print(io, report(dir, Object.keys(files)));
  return exitCodes.done;
}

/** @throws PointsmanError Usage when the name is wrong */
async function makeFolderOf(file: string): Promise<void> {
  try {
    await makeFolder(dirname(file));
  } catch (error) {
    if (!(error instanceof NoFolder) || !['EEXIST', 'ENOENT', 'ENOTDIR'].includes(error.code)) throw error;
    const mend = error.code === 'ENOENT' ? 'name another one' : 'name another one, or move it away';
    throw new PointsmanError('Usage', `${error.message}; ${mend}`, { cause: error });
  }
}

function report(folder: string, names: readonly string[]): string {
  const written = names.map((name) => `wrote ${join(folder, name)}\n`).join('');
  const enter = folder === '.' ? '' : `cd ${JSON.stringify(folder)} && `;
  return `${written}
Next:
  ${enter}pointsman validate projects
  ${enter}git init -b main && git add . && git commit -m "First project"
  and name this repository in the settings: configRepo.url
On GitHub, for the check of each push: set the variable POINTSMAN_REPOSITORY of the repository's Actions to the
owner/name of the repository of Pointsman; elsewhere delete .github
`;
}

const manifest = `# yaml-language-server: $schema=../.pointsman/project.schema.json
apiVersion: pointsman.dev/v1
kind: Project
name: hello
image: traefik/whoami:v1.11
run:
  port: 80
health:
  path: /health
# Your own application, built from its Dockerfile:
# source: { repo: https://git.example.com/acme/hello.git }
# Where it answers; hello.<nginx.baseDomain> when left out:
# route: { domains: [hello.example.com] }
`;

const ciCheck = `name: validate
on: [push, pull_request]
jobs:
  validate:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      # Pointsman is installed as on the server: from a checkout of its repository, which this variable names.
      - if: vars.POINTSMAN_REPOSITORY == ''
        run: |
          echo '::error::set the variable POINTSMAN_REPOSITORY (Settings, Secrets and variables, Actions, Variables) to the owner/name of the repository of Pointsman, or delete this check'
          exit 1
      - uses: actions/checkout@v4
        with:
          repository: \${{ vars.POINTSMAN_REPOSITORY }}
          path: .pointsman/checkout
      - uses: actions/setup-node@v4
        with: { node-version: 22 }
      - run: npm ci && npm run build && npm link
        working-directory: .pointsman/checkout
      - run: pointsman validate --format github projects
`;

const readme = `# Config repository

What stands in this folder on the branch \`main\` runs. Pointsman reads it at each commit.

- A new project: a new file here, like \`hello.yaml\`. Its \`name\` is unique.
- A change: commit it. Check it before with \`pointsman validate projects\`; \`pointsman plan --dir projects\` on the
  server tells what it would do.
- A rollback: \`git revert\` the commit and push.
- A removal: delete the file. Volumes are kept.
- Secrets are not here but on the server: \`/etc/pointsman/secrets/<project>/<NAME>\`, and \`run.secrets: [NAME]\`.

\`.pointsman/project.schema.json\` lets editors complete and check manifests. \`pointsman status\` on the server tells what is
live.
`;
