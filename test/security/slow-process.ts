/**
 * Text of a stranger that takes code for ever which tries one way after the other; each input is as long as
 * it can come. Prints its name before each: the last one is what hangs. A single process does everything in
 * the controller, so what holds it up holds up every project.
 */
import { messageOf, redact, shortened } from '../../src/errors.js';
import { shown } from '../../src/manifest/problems.js';
import { parseManifests } from '../../src/manifest/parse.js';
import { explainBuildFailure } from '../../src/runtime/build-failure.js';
import { BuildTranscript } from '../../src/runtime/build-progress.js';
import { cleanLine } from '../../src/runtime/logs.js';
import { pullLine } from '../../src/runtime/pull-progress.js';
import { frontendsOf } from '../../src/source/dockerfile-frontend.js';
import { parseDockerignore } from '../../src/source/dockerignore.js';
import { explainRemote } from '../../src/source/git-errors.js';
import { parseLocation } from '../../src/source/location.js';

const million = 1_000_000;
const long = (text: string): string => text.repeat(Math.ceil(million / text.length));
/** Of a file of the config repository. */
const manifest = (text: string): Buffer => Buffer.from(text.repeat(Math.floor(65_000 / text.length)));
const location = parseLocation('https://git.example.com/a.git');

const works: readonly (readonly [string, () => unknown])[] = [
  ['carriage returns before a letter', () => cleanLine(`${long('\r')}x`)],
  ['a line of escapes', () => cleanLine(long('\u001b[0'))],
  ['a title that never ends', () => cleanLine(long('\u001b]'))],
  ['a directive of blanks', () => frontendsOf(`# syntax=a${long(' ')}x`)],
  ['blanks before the equals sign', () => frontendsOf(`# syntax${long(' ')}x`)],
  ['a comment of blanks', () => frontendsOf(`#${long(' ')};`)],
  ['brackets for JSON', () => frontendsOf(`{"a":${long('[')}`)],
  ['a long word beside an address', () => redact(`x://y ${long('a')}`)],
  ['many beginnings of addresses', () => redact(long('a://'))],
  ['a long error', () => messageOf(new Error(`x://y ${long('a+')}`))],
  ['blanks in an error', () => messageOf(new Error(`${long(' ')}x`))],
  ['a long word to be cut', () => shortened(long('a'))],
  ['text in a problem', () => shown(long('://@'))],
  ['stars in an ignore file', () => parseDockerignore('f', '*a'.repeat(500))('a'.repeat(1_000))],
  ['double stars in an ignore file', () => parseDockerignore('f', '**/a'.repeat(500))('a/'.repeat(1_000))],
  ['a failed build that names one thing often', () => failure(long('buildkit '))],
  ['a failed build of one word', () => failure(`x://${long('a')}`)],
  ['a failed build of causes', () => failure(long('failed to solve: '))],
  ['a failed step with a long name', () => explainBuildFailure('no', `[1/2] RUN ${long('[')}`, 'D', '/r')],
  ['a pull that failed with a long text', () => pullLine({ error: `x://${long('a')}` }, new Map())],
  ['what git says of a remote', () => remote('expected ')],
  ['what git says of its own files', () => remote('file ')],
  ['quotes in a manifest', () => parseManifests('a.yaml', manifest('"'))],
  ['colons in a manifest', () => parseManifests('a.yaml', manifest(': '))],
  ['keys in a manifest', () => parseManifests('a.yaml', manifest('a:\n'))],
  ['dots in every name', () => parseManifests('a.yaml', named('a.'))],
  ['hyphens in every name', () => parseManifests('a.yaml', named('a-'))],
  ['slashes in every name', () => parseManifests('a.yaml', named('a/'))],
];

/** What the engine says comes to it through the transcript. */
function failure(said: string): unknown {
  const transcript = new BuildTranscript(() => undefined);
  transcript.accept({ errorDetail: { message: said } });
  return explainBuildFailure(transcript.failure ?? '', null, 'Dockerfile', '/root/.docker');
}

/** As much of it as is kept. */
function remote(text: string): unknown {
  return explainRemote(long(text).slice(0, 16 * 1024), { location, credential: null });
}

function named(text: string): Buffer {
  const value = JSON.stringify(`${text.repeat(5_000)}!`);
  const head = `apiVersion: pointsman.dev/v1\nkind: Project\nname: ${value}\n`;
  return Buffer.from(`${head}image: ${value}\nsource: { repo: ${value} }\nroute: { domains: [${value}] }\n`);
}

for (const [name, work] of works) {
  process.stdout.write(`${name}\n`);
  try {
    work();
  } catch (error) {
    // A refusal is an answer.
    if (!(error instanceof Error) || error.name !== 'PointsmanError') throw error;
  }
}
process.stdout.write('all is read\n');
