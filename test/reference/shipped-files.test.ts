/** The files of deploy/ and examples/ that are in a format of ours are what this version reads. */
import { copyFile, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, it } from 'vitest';
import { historyLine } from '../../src/cli/history-lines.js';
import { parseManifests } from '../../src/manifest/parse.js';
import { readJournal } from '../../src/record/journal.js';
import type { JournalRecord } from '../../src/record/port.js';
import { readStatus } from '../../src/record/status-file.js';
import { loadSchema } from '../../src/schemas.js';
import { parseSettings } from '../../src/settings/load.js';
import { temporaryFolder } from '../record/fixtures.js';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Every file below deploy/ and examples/ whose text says that it is `kind`, by its path from the root. */
async function filesOf(kind: 'Settings' | 'Project'): Promise<ReadonlyMap<string, Buffer>> {
  const found = new Map<string, Buffer>();
  for (const folder of ['deploy', 'examples']) {
    for (const name of await readdir(join(root, folder), { recursive: true })) {
      if (!/\.ya?ml$/.test(name)) continue;
      const bytes = await readFile(join(root, folder, name));
      if (new RegExp(`^kind: ${kind}$`, 'm').test(bytes.toString())) found.set(join(folder, name), bytes);
    }
  }
  return found;
}

it('reads every settings file, and the one that explains each field says the defaults', async () => {
  const files = await filesOf('Settings');
  expect([...files.keys()]).toEqual(['deploy/pointsman.example.yaml']);
  const file = '/etc/pointsman/pointsman.yaml';
  const smallest = 'configRepo: { url: https://git.example.com/acme/deploy.git }\n';
  const defaults = parseSettings(file, new TextEncoder().encode(smallest), {});
  for (const [path, bytes] of files) expect(parseSettings(file, bytes, {}), path).toEqual(defaults);
  expect(defaults).toHaveProperty('settings');
});

it('reads every manifest', async () => {
  const files = await filesOf('Project');
  expect([...files.keys()].sort()).toEqual(
    ['full', 'minimal', 'several'].map((name) => `examples/config/projects/${name}.yaml`),
  );
  for (const [path, bytes] of files) {
    const { projects, problems } = parseManifests(path, bytes);
    expect(problems).toEqual([]);
    expect(projects.length).toBeGreaterThan(0);
  }
});

it('reads the status, and its schema describes it', async () => {
  const text = await readFile(join(root, 'examples/state/status.json'), 'utf8');
  const validate = new Ajv2020({ allowUnionTypes: true }).compile(loadSchema('status'));
  expect(validate(JSON.parse(text)), JSON.stringify(validate.errors)).toBe(true);
  const reading = await readStatus(join(root, 'examples/state'));
  expect(reading).toMatchObject({ kind: 'status', status: { projects: { shop: { state: 'failed' } } } });
});

it('reads the journal without damage, and its schema describes each line', async () => {
  const stateDir = await temporaryFolder();
  await copyFile(join(root, 'examples/state/journal.jsonl'), join(stateDir, 'journal.jsonl'));
  const records: JournalRecord[] = [];
  for await (const record of readJournal(stateDir)) records.push(record);
  const lines = (await readFile(join(stateDir, 'journal.jsonl'), 'utf8')).trimEnd().split('\n');
  expect(records).toHaveLength(lines.length);
  expect(records.map(({ seq }) => seq)).toEqual(lines.map((_, index) => index + 1));
  const validate = new Ajv2020({ allowUnionTypes: true }).compile(loadSchema('journal'));
  for (const line of lines)
    expect(validate(JSON.parse(line)), `${line}: ${JSON.stringify(validate.errors)}`).toBe(true);
  expect(records.flatMap((record) => historyLine(record)?.what ?? [])).toContain(
    'traffic from blue to green (deploy)',
  );
});
