import { loadSchema } from '../schemas.js';
import { findContradictions } from './contradictions.js';
import { manifestFormats } from './formats.js';
import { normaliseProject } from './normalise.js';
import type { Place } from './positions.js';
import { boundProblems, noPlace } from './problems.js';
import type { DeclaredProject, Problem } from './project.js';
import { type SchemaCheck, schemaCheck } from './schema-check.js';
import { readDocuments, type SourceDocument } from './source-document.js';
import type { WrittenProject } from './written.generated.js';

/** A manifest that is valid by itself; `route.domains` is empty when it names none. */
export interface Candidate extends DeclaredProject {
  readonly namePlace: Place;
  /** One for each of `route.domains`. */
  readonly domainPlaces: readonly Place[];
}

/** A document that cannot be used, under the name it gives itself. */
export interface InvalidDocument extends Place {
  readonly name: string;
  readonly problems: readonly Problem[];
}

/**
 * What one file says, whatever the other files say. Depends on nothing but the file's path and bytes, so
 * that it can be kept by path and blob id.
 */
export interface ParsedFile {
  readonly file: string;
  readonly projects: readonly Candidate[];
  readonly invalid: readonly InvalidDocument[];
  /** Every problem of the file, those of `invalid` included; bounded. */
  readonly problems: readonly Problem[];
  /** Documents without a name that could be read: what they declare is unknown. */
  readonly namelessDocuments: number;
}

const namePattern = new RegExp(loadSchema('project').properties?.['name']?.['pattern'] as string);

let compiled: SchemaCheck | undefined;
function checkProject(document: SourceDocument): readonly Problem[] {
  compiled ??= schemaCheck(loadSchema('project'), manifestFormats);
  return compiled(document);
}

/** Reads every manifest of a file. `file` is its path in the repository. Never throws, whatever the bytes. */
export function parseManifests(file: string, bytes: Uint8Array): ParsedFile {
  const { documents, problems: fileProblems, hiddenDocuments } = readDocuments(file, bytes);
  const projects: Candidate[] = [];
  const invalid: InvalidDocument[] = [];
  const problems: Problem[] = [...fileProblems];
  let namelessDocuments = hiddenDocuments;
  for (const document of documents) {
    const names = namesOf(document);
    const found = problemsOf(document).map((problem) => withProject(problem, names));
    problems.push(...found);
    if (names.length === 0) namelessDocuments += 1;
    if (found.length === 0 && fileProblems.length === 0) {
      projects.push(candidateOf(document));
      continue;
    }
    const own = boundProblems(found.length === 0 ? fileProblems : found);
    for (const name of names) invalid.push({ name, ...document.place(['name'], 'value'), problems: own });
  }
  return { file, projects, invalid, problems: boundProblems(problems), namelessDocuments };
}

/**
 * A file that stands where a manifest could and cannot be read as one (a symbolic link, a submodule, an
 * unreadable blob). What it declares is unknown, so that removals are held back.
 */
export function unreadableFile(file: string, message: string): ParsedFile {
  const problem: Problem = { file, ...noPlace, path: '', message };
  return { file, projects: [], invalid: [], problems: [problem], namelessDocuments: 1 };
}

/** After a syntax error the value is a guess, and what the schema says about a guess only misleads. */
function problemsOf(document: SourceDocument): readonly Problem[] {
  if (!document.isComplete) return document.problems;
  const shape = checkProject(document);
  const isShaped = shape.length === 0 && document.problems.length === 0;
  const contradictions = isShaped ? findContradictions(document, document.value as WrittenProject) : [];
  return [...document.problems, ...shape, ...contradictions];
}

/** With a duplicated `name` a document claims both: neither project may be taken for removed. */
function namesOf(document: SourceDocument): readonly string[] {
  return [...new Set(document.texts('name').filter((name) => namePattern.test(name)))];
}

function withProject(problem: Problem, names: readonly string[]): Problem {
  return names[0] === undefined ? problem : { ...problem, project: names[0] };
}

function candidateOf(document: SourceDocument): Candidate {
  const project = normaliseProject(document.value as WrittenProject);
  return {
    project,
    file: document.file,
    line: document.line,
    namePlace: document.place(['name'], 'value'),
    domainPlaces: project.route.domains.map((_, index) =>
      document.place(['route', 'domains', String(index)], 'value'),
    ),
  };
}
