import type { Stats } from 'node:fs';
import { lstat, readdir, stat } from 'node:fs/promises';
import { basename, join, normalize, resolve } from 'node:path';
import { messageOf } from '../errors.js';
import { readBounded } from '../files.js';
import { assembleDesired } from '../manifest/assemble.js';
import { largestFileBytes } from '../manifest/guard.js';
import { isManifestName, isSearched } from '../manifest/manifest-files.js';
import { type ParsedFile, parseManifests, unreadableFile } from '../manifest/parse.js';
import { compareText, noPlace, sortProblems } from '../manifest/problems.js';
import type { Problem } from '../manifest/project.js';
import { settingsDefaults } from '../settings/defaults.js';

export interface Validation {
  readonly problems: readonly Problem[];
  /** Valid projects. */
  readonly projects: number;
}

/** Most files of one run; a folder with more is not a config repository. */
const mostFiles = 100_000;

/**
 * Checks manifests on disk as the controller would: files, and `.yaml` and `.yml` below folders, but for
 * hidden ones in them. Without paths, those of `projects/` when it is there, else of the current folder. Domains of projects without
 * `route.domains` are those of the default `nginx.baseDomain`. Relative paths start at `cwd`; problems
 * name files as they were given.
 */
export async function validatePaths(paths: readonly string[], cwd = process.cwd()): Promise<Validation> {
  const starts = paths.length > 0 ? paths : [await defaultPath(cwd)];
  const files = new Map<string, ParsedFile>();
  for (const start of starts) {
    for await (const parsed of parsedBelow(cwd, normalize(start), true)) {
      files.set(resolve(cwd, parsed.file), parsed);
      if (files.size > mostFiles) return { problems: [tooMany(start)], projects: 0 };
    }
  }
  const { projects, problems } = assembleDesired('', [...files.values()], {
    baseDomain: settingsDefaults.nginx.baseDomain,
    live: { names: new Map(), domains: new Map() },
  });
  const found = [...problems];
  if (projects.size === 0 && problems.length === 0) found.push(noManifests(starts, files.values()));
  return { problems: sortProblems(found), projects: projects.size };
}

/** The manifests below a folder as they stand on disk, for a plan of what is not committed yet. */
export async function readManifestFolder(folder: string): Promise<readonly ParsedFile[]> {
  const files: ParsedFile[] = [];
  for await (const parsed of parsedBelow(folder, '.', true)) files.push(parsed);
  return files;
}

async function defaultPath(cwd: string): Promise<string> {
  const stats = await lstat(join(cwd, 'projects')).catch(() => null);
  return stats?.isDirectory() === true ? 'projects' : '.';
}

/** `isNamed`: the user gave this path, so that it counts whatever its name, and through a link. */
async function* parsedBelow(cwd: string, path: string, isNamed: boolean): AsyncGenerator<ParsedFile> {
  const place = resolve(cwd, path);
  let stats: Stats;
  try {
    stats = await (isNamed ? stat(place) : lstat(place));
    if (stats.isDirectory()) {
      if (!isNamed && !isSearched(basename(place))) return;
      const names = (await readdir(place)).sort(compareText);
      for (const name of names) yield* parsedBelow(cwd, join(path, name), false);
      return;
    }
  } catch (error) {
    yield unreadableFile(path, unreadable(error));
    return;
  }
  if (!isNamed && !isManifestName(path)) return;
  yield await parsedFile(path, place, stats, isNamed);
}

async function parsedFile(path: string, place: string, stats: Stats, isNamed: boolean): Promise<ParsedFile> {
  if (stats.isSymbolicLink()) {
    return unreadableFile(path, 'this is a symbolic link, which is not followed: put the file itself here');
  }
  if (!stats.isFile()) return unreadableFile(path, 'this is not a regular file: remove it');
  try {
    return parseManifests(path, await readBounded(place, largestFileBytes + 1, { followLinks: isNamed }));
  } catch (error) {
    return unreadableFile(path, unreadable(error));
  }
}

function unreadable(error: unknown): string {
  return (error as NodeJS.ErrnoException).code === 'ENOENT'
    ? 'there is no such file or folder: check the path'
    : `this cannot be read: ${messageOf(error)}`;
}

/** `files` hold nothing, not even a problem. */
function noManifests(starts: readonly string[], files: Iterable<ParsedFile>): Problem {
  const [empty] = files;
  if (empty !== undefined) {
    const message = 'the file is empty, or holds nothing but comments: write a manifest into it';
    return { file: empty.file, ...noPlace, path: '', message };
  }
  const message = 'no manifest (.yaml or .yml) was found here: check the path';
  return { file: starts[0] ?? '.', ...noPlace, path: '', message };
}

function tooMany(start: string): Problem {
  const message = `more than ${mostFiles} manifests were found here: name the folder of the config repository`;
  return { file: start, ...noPlace, path: '', message };
}
