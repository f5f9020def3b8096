/**
 * Reads hostile inputs in this one process and prints what came of it as one line of JSON. A crash of the
 * parser ends the process, which the test that started it sees. `argv[2]`: how often each input is parsed;
 * `argv[3]`: how often each field's value goes on to schema, normalisation and rendering; `argv[4]` and
 * `argv[5]`: which share of the inputs, of how many. Wants `--expose-gc`.
 */
import { PointsmanError } from '../../src/errors.js';
import { assembleDesired } from '../../src/manifest/assemble.js';
import { largestFileBytes } from '../../src/manifest/guard.js';
import { parseManifests } from '../../src/manifest/parse.js';
import { readDocuments } from '../../src/manifest/source-document.js';
import { parseSite, renderSite } from '../../src/router/render.js';
import { loadSchema } from '../../src/schemas.js';
import { parseSettings } from '../../src/settings/load.js';
import { hostileFiles, hostileTexts, hostileValues, written } from './corpus.js';
import { expectKnown, expectSite } from './directives.js';
import { documentWith, fieldsOf } from './fields.js';
import { filesOf, layout, plainFiles, plainSite, upstreams } from './rendering.js';

const [parseRounds = 0, fieldRounds = 0, share = 0, shares = 1] = process.argv.slice(2).map(Number);

const found: string[] = [];
const counts = { inputs: 0, parses: 0, readings: 0, refused: 0, harmless: 0, fields: 0 };
/** Bytes in use after a collection, every so many inputs. */
const memory: number[] = [];
const inputsPerLook = 250;
let offered = 0;
const manifestBase = {
  apiVersion: 'pointsman.dev/v1',
  kind: 'Project',
  name: 'shop',
  source: { repo: 'https://git.example.com/acme/shop.git' },
};
const settingsBase = { configRepo: { url: 'https://git.example.com/acme/deploy.git' } };

/** Problems of a reading, with what rendered nginx files say of an input that was taken. */
type Reading = (bytes: Uint8Array) => { readonly problems: number; readonly rendered: () => void };

const readManifest: Reading = (bytes) => {
  const { projects, problems } = parseManifests('projects/a.yaml', bytes);
  for (const { message } of problems) if (message.length === 0) throw new Error('a problem without words');
  return {
    problems: problems.length,
    rendered: () => {
      for (const { project } of projects) {
        if (project.route.domains.length === 0) continue;
        const text = renderSite({ project: project.name, route: project.route, upstreams }, layout, ['80']);
        expectSite(plainSite, text, project.route.domains);
        const back = parseSite(text);
        if (back === null) throw new Error('a rendered site cannot be read back');
      }
    },
  };
};

const readSettings: Reading = (bytes) => {
  const loaded = parseSettings('/etc/p.yaml', bytes, {});
  return {
    problems: 'problems' in loaded ? loaded.problems.length : 0,
    rendered: () => {
      if (!('settings' in loaded)) return;
      expectKnown(plainFiles, filesOf(loaded.settings));
    },
  };
};

function neighbour(name: string): string {
  return documentWith({ ...manifestBase, name }, ['suspend'], 'false');
}

/** Two projects in files of their own. */
const others = ['one', 'two'].map((name) =>
  parseManifests(`projects/${name}.yaml`, Buffer.from(neighbour(name))),
);
const above = Buffer.from(`${neighbour('three')}\n---\n`);
const live = { names: new Map<string, string>(), domains: new Map<string, string>() };

/** Whatever `bytes` declare: projects of other files are as they were, and of its own file those of sound documents. */
function expectAlone(what: string, bytes: Uint8Array, isJson: boolean): void {
  const file = isJson ? Buffer.concat([above, bytes]) : bytes;
  if (file.length > largestFileBytes) return;
  const files = [...others, parseManifests('projects/hostile.yaml', file)];
  const { projects, problems } = assembleDesired('c', files, { baseDomain: 'example.com', live });
  for (const name of isJson ? ['one', 'two', 'three'] : ['one', 'two'])
    if (!projects.has(name))
      found.push(`${what}: took ${name} with it: ${JSON.stringify(problems).slice(0, 300)}`);
}

function lookAtMemory(): void {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  memory.push(heapUsed + external);
}

/** False when it is for another process. */
function tryOne(what: string, read: Reading, bytes: Uint8Array, rounds: number): boolean {
  offered += 1;
  if (offered % shares !== share) return false;
  counts.inputs += 1;
  if (counts.inputs % inputsPerLook === 0) lookAtMemory();
  // The parser that manifests and settings share, for as many rounds as the whole way does not go.
  for (let round = rounds; round < parseRounds; round += 1) {
    readDocuments('projects/a.yaml', bytes);
    counts.parses += 1;
  }
  let first: number | null = null;
  for (let round = 0; round < rounds; round += 1) {
    counts.parses += 1;
    counts.readings += 1;
    try {
      const { problems, rendered } = read(bytes);
      first ??= problems;
      if (problems !== first) found.push(`${what}: ${first} problems, then ${problems}`);
      if (round > 0) continue;
      if (problems > 0) counts.refused += 1;
      else counts.harmless += 1;
      try {
        rendered();
      } catch (error) {
        if (!(error instanceof PointsmanError)) throw error;
      }
    } catch (error) {
      found.push(`${what}: ${String(error).slice(0, 300)}`);
      break;
    }
  }
  if (({} as Record<string, unknown>)['polluted'] !== undefined) {
    found.push(`${what}: the prototype of all objects was changed`);
    delete (Object.prototype as Record<string, unknown>)['polluted'];
  }
  return true;
}

for (const [name, read, schema, base] of [
  ['manifest', readManifest, loadSchema('project'), manifestBase],
  ['settings', readSettings, loadSchema('settings'), settingsBase],
] as const) {
  for (const [what, bytes] of hostileFiles) {
    const isOurs = tryOne(`${name} ${what}`, read, bytes, parseRounds);
    if (isOurs && name === 'manifest') expectAlone(what, bytes, false);
  }
  for (const field of fieldsOf(schema)) {
    counts.fields += 1;
    const values = [...hostileTexts.map(written), ...hostileValues];
    for (const value of values) {
      const bytes = Buffer.from(documentWith(base, field, value));
      const what = `${name} ${field.join('.')}: ${value.slice(0, 60)}`;
      const isOurs = tryOne(what, read, bytes, fieldRounds);
      if (isOurs && name === 'manifest') expectAlone(what, bytes, value.startsWith('"'));
    }
    if (!field.includes('*')) continue;
    for (const key of hostileTexts) {
      const bytes = Buffer.from(documentWith(base, field, '"x"', key));
      tryOne(`${name} ${field.join('.')} key ${key.slice(0, 60)}`, read, bytes, fieldRounds);
    }
  }
}
lookAtMemory();
process.stdout.write(
  `${JSON.stringify({ ...counts, memory, found: found.slice(0, 50), foundCount: found.length })}\n`,
);
