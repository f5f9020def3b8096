/**
 * Reads hostile inputs in this one process and prints what came of it as one line of JSON. A crash of the
 * parser ends the process, which the test that started it sees. `argv[2]`: how often each input is parsed;
 * `argv[3]`: how often each field's value goes on to schema, normalisation and rendering; `argv[4]` and
 * `argv[5]`: which share of the inputs, of how many. Wants `--expose-gc`.
 */
import { PointsmanError } from '../../src/errors.js';
import { parseManifests } from '../../src/manifest/parse.js';
import { readDocuments } from '../../src/manifest/source-document.js';
import { layoutOf } from '../../src/router/layout.js';
import { parseSite, renderMain, renderShared, renderSite } from '../../src/router/render.js';
import { loadSchema } from '../../src/schemas.js';
import { parseSettings } from '../../src/settings/load.js';
import type { Settings } from '../../src/settings/settings.js';
import { hostileFiles, hostileTexts, hostileValues } from './corpus.js';
import { directivesOf } from './directives.js';
import { documentWith, fieldsOf } from './fields.js';

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
const upstreams = { blue: '10.213.0.2:3000', green: '10.213.0.3:3000' };
const plain = parseSettings('/etc/p.yaml', Buffer.from(JSON.stringify(settingsBase)), {});
if (!('settings' in plain)) throw new Error('the plain settings are refused');
const { settings: plainSettings } = plain;

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
        const text = renderSite(
          { project: project.name, route: project.route, upstreams },
          layoutOf(plainSettings),
          ['80'],
        );
        expectSame(siteDirectives, directivesOf(text));
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
      expectKnown(sharedDirectives(plainSettings), sharedDirectives(loaded.settings));
    },
  };
};

const siteDirectives = directivesOf(
  renderSite(
    {
      project: 'shop',
      route: { domains: ['shop.example.com'], maxBodyBytes: 1, readTimeoutMs: 1 },
      upstreams,
    },
    layoutOf(plainSettings),
    ['80'],
  ),
);

function sharedDirectives(settings: Settings): readonly string[] {
  const at = layoutOf(settings);
  const main = {
    user: 'www-data',
    shared: at.shared,
    names: 1,
    keepaliveMinTimeout: false,
    listen: settings.nginx.listen,
    pid: at.pid,
  };
  return [
    ...directivesOf(renderShared(settings.nginx, at, { generation: 'ab', sites: null })),
    ...directivesOf(renderMain(at, main)),
  ];
}

function expectSame(wanted: readonly string[], got: readonly string[]): void {
  if (JSON.stringify(wanted) !== JSON.stringify(got)) throw new Error(`other directives: ${got.join(' ')}`);
}

/** `listen` and the like may stand more or less often; none of another name may appear. */
function expectKnown(wanted: readonly string[], got: readonly string[]): void {
  const known = new Set(wanted);
  const strange = got.filter((name) => !known.has(name) && !/^[0-9a-fA-F.:]+(\/[0-9]+)?$/.test(name));
  if (strange.length > 0) throw new Error(`directives of another name: ${strange.join(' ')}`);
}

function lookAtMemory(): void {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  memory.push(heapUsed + external);
}

function tryOne(what: string, read: Reading, bytes: Uint8Array, rounds: number): void {
  offered += 1;
  if (offered % shares !== share) return;
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
}

for (const [name, read, schema, base] of [
  ['manifest', readManifest, loadSchema('project'), manifestBase],
  ['settings', readSettings, loadSchema('settings'), settingsBase],
] as const) {
  for (const [what, bytes] of hostileFiles) tryOne(`${name} ${what}`, read, bytes, parseRounds);
  for (const field of fieldsOf(schema)) {
    counts.fields += 1;
    const values = [...hostileTexts.map((text) => JSON.stringify(text)), ...hostileValues];
    for (const value of values) {
      const bytes = Buffer.from(documentWith(base, field, value));
      tryOne(`${name} ${field.join('.')}: ${value.slice(0, 60)}`, read, bytes, fieldRounds);
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
