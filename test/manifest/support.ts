import { type ParsedFile, parseManifests } from '../../src/manifest/parse.js';
import type { Problem, Project } from '../../src/manifest/project.js';

const encoder = new TextEncoder();

export function bytesOf(text: string): Uint8Array {
  return encoder.encode(text);
}

export function parse(text: string, file = 'projects/a.yaml'): ParsedFile {
  return parseManifests(file, bytesOf(text));
}

/** The one project of a valid manifest. */
export function projectOf(text: string): Project {
  const { projects, problems } = parse(text);
  const [candidate] = projects;
  if (candidate === undefined || problems.length > 0) throw new Error(JSON.stringify(problems));
  return candidate.project;
}

/** `line:column path message` of each problem. */
export function lines(problems: readonly Problem[]): readonly string[] {
  return problems.map(({ line, column, path, message }) => `${line}:${column} ${path} ${message}`);
}

/** A valid manifest with `rest` after its source. */
export function manifest(rest = '', name = 'shop'): string {
  return `apiVersion: pointsman.dev/v1\nkind: Project\nname: ${name}\nsource: { repo: https://git.example.com/acme/shop.git }\n${rest}`;
}

/** What is wrong with `field: value` in a manifest; empty when nothing is. */
export function problemsWith(rest: string): readonly string[] {
  return parse(manifest(rest)).problems.map(({ message }) => message);
}
