import { settleDomains } from './domains.js';
import type { Candidate, ParsedFile } from './parse.js';
import { sortProblems } from './problems.js';
import type { DeclaredProject, DesiredState, Problem } from './project.js';

/** What runs now: decides who keeps a name or domain that two manifests claim. */
export interface LiveClaims {
  /** Projects that run, and the file of their manifest; null when it is not known. */
  readonly names: ReadonlyMap<string, string | null>;
  /** Each domain that is served, in lower case, and its project. */
  readonly domains: ReadonlyMap<string, string>;
}

export interface AssembleContext {
  /** `nginx.baseDomain` of the settings. */
  readonly baseDomain: string;
  readonly live: LiveClaims;
}

/** One document's claim on a project name. */
interface NameClaim {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/**
 * Puts the files of one commit together: fills in default domains and settles names and domains. What is
 * live matters only where something is invalid: whoever claims names and domains that nobody else claims
 * gets them.
 */
export function assembleDesired(
  commit: string,
  files: readonly ParsedFile[],
  { baseDomain, live }: AssembleContext,
): DesiredState {
  const invalid = new Map<string, Problem[]>();
  const problems: Problem[] = [];
  for (const file of files) {
    problems.push(...file.problems);
    for (const { name, problems: own } of file.invalid) addTo(invalid, name, own);
  }
  for (const problem of findRepeatedNames(files, live)) {
    problems.push(problem);
    addTo(invalid, problem.project ?? '', [problem]);
  }
  const candidates: Candidate[] = [];
  for (const file of files) {
    for (const candidate of file.projects)
      if (!invalid.has(candidate.project.name)) candidates.push(withDefaultDomain(candidate, baseDomain));
  }
  for (const problem of settleDomains(candidates, new Set(invalid.keys()), live.domains)) {
    problems.push(problem);
    addTo(invalid, problem.project ?? '', [problem]);
  }
  const projects = new Map<string, DeclaredProject>();
  for (const { project, file, line } of candidates) {
    if (!invalid.has(project.name)) projects.set(project.name, { project, file, line });
  }
  return {
    commit,
    projects,
    invalid,
    problems: sortProblems(problems),
    removalsHeldBecause: whyRemovalsAreHeld(files),
  };
}

/** One commit's files and what they were assembled to. */
export interface Assembled {
  readonly files: readonly ParsedFile[];
  readonly desired: DesiredState;
}

/**
 * What `assembleDesired` makes of `files`, by the commit before: quicker where a few manifests changed, and
 * none takes a name or a domain, which is what most commits do. Null where something has to be settled.
 */
export function assembleChanges(
  before: Assembled,
  commit: string,
  files: readonly ParsedFile[],
  baseDomain: string,
): DesiredState | null {
  const { problems, invalid, removalsHeldBecause } = before.desired;
  const wasSettled = problems.length === 0 && invalid.size === 0 && removalsHeldBecause === null;
  if (!wasSettled || files.length !== before.files.length) return null;
  const projects = new Map(before.desired.projects);
  const changed: string[] = [];
  for (let index = 0; index < files.length; index += 1) {
    const was = before.files[index];
    const now = files[index];
    if (was === now) continue;
    if (was === undefined || now === undefined || isUnsettled(now)) return null;
    if (was.projects.length !== now.projects.length) return null;
    for (const [place, candidate] of now.projects.entries()) {
      const { project, file, line } = withDefaultDomain(candidate, baseDomain);
      const { name, route } = project;
      if (was.projects[place]?.project.name !== name) return null;
      const domains = projects.get(name)?.project.route.domains ?? [];
      if (!route.domains.every((domain) => domains.includes(domain))) return null;
      projects.set(name, { project, file, line });
      changed.push(name);
    }
  }
  return {
    ...before.desired,
    commit,
    projects,
    changes: { since: before.desired.commit, projects: changed },
  };
}

function isUnsettled({ problems, invalid, namelessDocuments }: ParsedFile): boolean {
  return problems.length > 0 || invalid.length > 0 || namelessDocuments > 0;
}

/**
 * Which document a running project came from cannot be told by its name, so that none of them counts and
 * it runs on as it was. One problem for each document, with all places.
 */
function findRepeatedNames(files: readonly ParsedFile[], live: LiveClaims): readonly Problem[] {
  const repeated = repeatedNames(files);
  if (repeated.size === 0) return [];
  const claims = new Map<string, NameClaim[]>();
  for (const { file, projects, invalid } of files) {
    for (const { project, namePlace } of projects) addTo(claims, project.name, [{ file, ...namePlace }]);
    for (const { name, line, column } of invalid) addTo(claims, name, [{ file, line, column }]);
  }
  return [...repeated].flatMap((name) => {
    const places = claims.get(name) ?? [];
    const outcome = live.names.has(name) ? `${name} runs on as it was` : 'none of them is used';
    const all = places.map(({ file, line }) => `${file}:${line}`).join(', ');
    const message = `the name ${name} is claimed by ${places.length} documents (${all}), ${outcome}: rename or remove all but one`;
    return places.map((place) => ({ ...place, path: '/name', message, project: name }));
  });
}

function repeatedNames(files: readonly ParsedFile[]): ReadonlySet<string> {
  const seen = new Set<string>();
  const repeated = new Set<string>();
  const add = (name: string): void => {
    if (seen.has(name)) repeated.add(name);
    else seen.add(name);
  };
  for (const { projects, invalid } of files) {
    for (const { project } of projects) add(project.name);
    for (const { name } of invalid) add(name);
  }
  return repeated;
}

/** The same object for the same candidate, so that who compares two commits sees that nothing changed. */
function withDefaultDomain(candidate: Candidate, baseDomain: string): Candidate {
  const { project } = candidate;
  if (project.route.domains.length > 0) return candidate;
  const domain = `${project.name}.${baseDomain}`.toLowerCase();
  const known = routed.get(candidate);
  if (known?.project.route.domains[0] === domain) return known;
  const withDomain = {
    ...candidate,
    project: { ...project, route: { ...project.route, domains: [domain] } },
  };
  routed.set(candidate, withDomain);
  return withDomain;
}

const routed = new WeakMap<Candidate, Candidate>();

function whyRemovalsAreHeld(files: readonly ParsedFile[]): string | null {
  const declares = files.some(({ projects, invalid }) => projects.length + invalid.length > 0);
  const manifests = files.filter(({ file }) => /\.ya?ml$/.test(file));
  if (!declares && manifests.length === 0)
    return 'no manifests were found: an empty folder removes nothing by itself';
  const nameless = files.filter(({ namelessDocuments }) => namelessDocuments > 0).map(({ file }) => file);
  if (nameless.length > 0) {
    const more = nameless.length > 1 ? ` (and ${nameless.length - 1} more files)` : '';
    return `${nameless[0] ?? ''}${more} holds a document whose project cannot be told: mend it`;
  }
  return declares ? null : 'no manifests were found: an empty folder removes nothing by itself';
}

function addTo<T>(lists: Map<string, T[]>, key: string, values: readonly T[]): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [...values]);
  else list.push(...values);
}
