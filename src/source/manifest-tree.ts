import { PointsmanError } from '../errors.js';
import type { Problem } from '../manifest/project.js';
import type { ObjectStore, TreeEntry } from './object-store.js';

/** The longest manifest file that is read, bytes. */
export const longestManifest = 64 * 1024;
const deepest = 64;
/** Entries below the folder, all levels together: a tree can name one subtree many times over. */
const mostEntries = 200_000;

export interface ManifestTreeResult<P> {
  /** Parsed, in the tree's order. */
  readonly files: readonly P[];
  /** Of entries that cannot be read as a manifest, and of a folder that is missing or holds none. */
  readonly problems: readonly Problem[];
}

/** What one reading can hand to the next, so that only what changed is read. */
export interface ManifestTreeCache<P> {
  readonly trees: ReadonlyMap<string, readonly TreeEntry[]>;
  /** By path and blob id. */
  readonly parsed: ReadonlyMap<string, P>;
}

export function emptyManifestTree<P>(): ManifestTreeCache<P> {
  return { trees: new Map(), parsed: new Map() };
}

interface FoundFile {
  readonly file: string;
  readonly oid: string;
}

/**
 * Reads the manifests below `folder` (`.` for the root) of a commit: trees and blobs that are not in
 * `cache`, and nothing else. The new cache holds what this commit needs, and no more.
 * @throws PointsmanError SourceCorrupt when an object cannot be read, UnsupportedRepository when there is too much
 */
export async function readManifestTree<P>(
  commit: string,
  folder: string,
  deps: {
    readonly objects: ObjectStore;
    readonly parse: (file: string, bytes: Uint8Array) => P;
    readonly cache: ManifestTreeCache<P>;
  },
): Promise<ManifestTreeResult<P> & { readonly cache: ManifestTreeCache<P> }> {
  const { objects, parse, cache } = deps;
  const walk = new TreeWalk(objects, cache.trees);
  await walk.start(commit, folder);
  const unread = walk.files.filter(({ file, oid }) => !cache.parsed.has(cacheKey(file, oid)));
  const sizes = await objects.sizes([...new Set(unread.map(({ oid }) => oid))]);
  const parsed = await parseUnread(unread, sizes, objects, parse);
  const files: P[] = [];
  const problems = [...walk.problems];
  for (const { file, oid } of walk.files) {
    const key = cacheKey(file, oid);
    const value = cache.parsed.get(key) ?? parsed.get(key);
    if (value === undefined) {
      problems.push(
        problem(
          file,
          `the file has ${sizes.get(oid) ?? 0} bytes, a manifest at most ${longestManifest}; split it`,
        ),
      );
      continue;
    }
    parsed.set(key, value);
    files.push(value);
  }
  if (walk.files.length === 0 && problems.length === 0) {
    problems.push(
      problem(
        folder,
        `the folder ${folder} holds no manifest at commit ${commit.slice(0, 12)}; add a .yaml file, or set configRepo.path`,
      ),
    );
  }
  return { files, problems, cache: { trees: walk.trees, parsed } };
}

/** By path and blob id; what is too long stays unread. */
async function parseUnread<P>(
  unread: readonly FoundFile[],
  sizes: ReadonlyMap<string, number>,
  objects: ObjectStore,
  parse: (file: string, bytes: Uint8Array) => P,
): Promise<Map<string, P>> {
  const files = new Map<string, string[]>();
  for (const { file, oid } of unread) files.set(oid, [...(files.get(oid) ?? []), file]);
  const parsed = new Map<string, P>();
  const short = new Map([...sizes].filter(([, size]) => size <= longestManifest));
  for await (const [oid, bytes] of objects.blobs(short)) {
    for (const file of files.get(oid) ?? []) parsed.set(cacheKey(file, oid), parse(file, bytes));
  }
  return parsed;
}

/** Collects manifest files and problems of one commit. */
class TreeWalk {
  readonly files: FoundFile[] = [];
  readonly problems: Problem[] = [];
  readonly trees = new Map<string, readonly TreeEntry[]>();
  #entries = 0;

  constructor(
    private readonly objects: ObjectStore,
    private readonly known: ReadonlyMap<string, readonly TreeEntry[]>,
  ) {}

  async start(commit: string, folder: string): Promise<void> {
    let oid = await this.objects.rootTree(commit);
    const segments = folder.split('/').filter((segment) => segment !== '' && segment !== '.');
    for (const segment of segments) {
      const entry = (await this.#read(oid)).find(({ name }) => name === segment);
      if (entry?.mode !== '040000') {
        const what = entry === undefined ? 'is missing' : 'is not a folder';
        this.problems.push(
          problem(
            folder,
            `the folder ${folder} ${what} at commit ${commit.slice(0, 12)}; add it, or set configRepo.path`,
          ),
        );
        return;
      }
      oid = entry.oid;
    }
    await this.#descend(oid, segments.map(printable).join('/'), 0);
  }

  async #descend(oid: string, path: string, depth: number): Promise<void> {
    const entries = await this.#read(oid);
    this.#entries += entries.length;
    if (depth > deepest || this.#entries > mostEntries) {
      throw new PointsmanError(
        'UnsupportedRepository',
        `the config repository has more than ${mostEntries} files or ${deepest} levels below its folder; set configRepo.path to a smaller one`,
      );
    }
    for (const { mode, name, oid: child } of entries) {
      const file = path === '' ? printable(name) : `${path}/${printable(name)}`;
      if (mode === '040000') await this.#descend(child, file, depth + 1);
      else if (/\.ya?ml$/.test(name)) this.#addFile(mode, file, child);
    }
  }

  #addFile(mode: string, file: string, oid: string): void {
    if (mode === '100644' || mode === '100755') {
      this.files.push({ file, oid });
      return;
    }
    const what =
      mode === '120000' ? 'a symbolic link' : mode === '160000' ? 'a submodule' : `an entry of mode ${mode}`;
    this.problems.push(problem(file, `this is ${what}, which is never followed; commit a regular file`));
  }

  async #read(oid: string): Promise<readonly TreeEntry[]> {
    const entries = this.trees.get(oid) ?? this.known.get(oid) ?? (await this.objects.tree(oid));
    this.trees.set(oid, entries);
    return entries;
  }
}

/** A file name for messages, logs and terminals: control characters as `\xNN`. */
function printable(name: string): string {
  return name.replace(
    /[\u0000-\u001f\u007f-\u009f]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}

function cacheKey(file: string, oid: string): string {
  return `${oid} ${file}`;
}

function problem(file: string, message: string): Problem {
  return { file, line: 1, column: 1, path: '', message };
}
