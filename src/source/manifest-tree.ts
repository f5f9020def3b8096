import { PointsmanError } from '../errors.js';
import { isManifestName, isSearched } from '../manifest/manifest-files.js';
import { noPlace } from '../manifest/problems.js';
import type { Problem } from '../manifest/project.js';
import { impossibleName, nameRefusal, printable } from './entry-name.js';
import { mostTreeEntries, type ObjectStore, type TreeEntry } from './object-store.js';

/** The longest manifest file that is read, bytes. */
export const longestManifest = 64 * 1024;
const deepest = 64;
/** Entries below the folder, all levels together: a tree can name one subtree many times over. */
const mostEntries = mostTreeEntries;

export interface ManifestTreeResult<P> {
  /** Parsed, in the tree's order. */
  readonly files: readonly P[];
  /** Of entries that cannot be read as a manifest, and of a folder that is missing or holds none. */
  readonly problems: readonly Problem[];
}

/** What one reading can hand to the next, so that only what changed is looked at. */
export interface ManifestTreeCache<P> {
  readonly folder: Folder<P> | null;
}

export function emptyManifestTree<P>(): ManifestTreeCache<P> {
  return { folder: null };
}

/** One folder of one commit, whole. */
interface Folder<P> {
  readonly oid: string;
  /** Entries in it and below. */
  readonly count: number;
  /** In the tree's order. */
  readonly items: readonly Item<P>[];
}

type Item<P> = FileItem<P> | FolderItem<P> | { readonly kind: 'problem'; readonly problem: Problem };

interface FolderItem<P> {
  readonly kind: 'folder';
  readonly name: string;
  readonly folder: Folder<P>;
}

interface FileItem<P> {
  readonly kind: 'file';
  readonly name: string;
  readonly file: string;
  readonly oid: string;
  /** Null until it is read. */
  outcome: { readonly parsed: P } | { readonly problem: Problem } | null;
}

/**
 * Reads the manifests below `folder` (`.` for the root) of a commit, hidden folders left out: trees and
 * blobs that are not in `cache`, and nothing else. The new cache holds what this commit needs, and no more.
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
  const walk = new TreeWalk<P>(objects);
  const found = await walk.start(commit, folder, cache.folder);
  if ('message' in found) return { files: [], problems: [found], cache: emptyManifestTree() };
  await readFiles(walk.unread, objects, parse);
  const files: P[] = [];
  const problems: Problem[] = [];
  for (const item of itemsOf(found)) {
    const outcome = item.kind === 'file' ? item.outcome : item;
    if (outcome === null) continue;
    if ('problem' in outcome) problems.push(outcome.problem);
    else files.push(outcome.parsed);
  }
  if (files.length === 0 && problems.length === 0) {
    problems.push(
      problem(
        folder,
        `the folder ${folder} holds no manifest at commit ${commit.slice(0, 12)}; add a .yaml file, or set configRepo.path`,
      ),
    );
  }
  return { files, problems, cache: { folder: found } };
}

function* itemsOf<P>(folder: Folder<P>): Iterable<Exclude<Item<P>, FolderItem<P>>> {
  for (const item of folder.items) {
    if (item.kind === 'folder') yield* itemsOf(item.folder);
    else yield item;
  }
}

/** Reads and parses each; what is too long is a problem instead. */
async function readFiles<P>(
  unread: readonly FileItem<P>[],
  objects: ObjectStore,
  parse: (file: string, bytes: Uint8Array) => P,
): Promise<void> {
  const byOid = new Map<string, FileItem<P>[]>();
  for (const item of unread) byOid.set(item.oid, [...(byOid.get(item.oid) ?? []), item]);
  const sizes = await objects.sizes([...byOid.keys()]);
  for (const [oid, size] of sizes) {
    if (size <= longestManifest) continue;
    for (const item of byOid.get(oid) ?? []) item.outcome = { problem: tooLong(item.file, size) };
  }
  const short = new Map([...sizes].filter(([, size]) => size <= longestManifest));
  for await (const [oid, bytes] of objects.blobs(short)) {
    for (const item of byOid.get(oid) ?? []) item.outcome = { parsed: parse(item.file, bytes) };
  }
}

/** Finds the manifest files of one commit; a folder that is as it was is taken over whole. */
class TreeWalk<P> {
  readonly unread: FileItem<P>[] = [];
  /** One tree may stand at many places. */
  readonly #trees = new Map<string, readonly TreeEntry[]>();
  #entries = 0;

  constructor(private readonly objects: ObjectStore) {}

  /** The folder, or what is wrong with it. */
  async start(commit: string, folder: string, known: Folder<P> | null): Promise<Folder<P> | Problem> {
    let oid = await this.objects.rootTree(commit);
    const segments = folder.split('/').filter((segment) => segment !== '' && segment !== '.');
    for (const segment of segments) {
      const entry = (await this.#read(oid)).find(({ name }) => name === segment);
      if (entry?.mode !== '040000') {
        const what = entry === undefined ? 'is missing' : 'is not a folder';
        return problem(
          folder,
          `the folder ${folder} ${what} at commit ${commit.slice(0, 12)}; add it, or set configRepo.path`,
        );
      }
      oid = entry.oid;
    }
    return this.#descend(oid, segments.map(printable).join('/'), 0, known);
  }

  /** `known` is what stood at this path. */
  async #descend(oid: string, path: string, depth: number, known: Folder<P> | null): Promise<Folder<P>> {
    if (known?.oid === oid) {
      this.#count(known.count, depth);
      return known;
    }
    const above = this.#entries;
    const entries = await this.#read(oid);
    this.#count(entries.length, depth);
    const old = new Map(known?.items.flatMap((item) => (item.kind === 'problem' ? [] : [[item.name, item]])));
    const items: Item<P>[] = [];
    const seen = countNames(entries);
    for (const { mode, name, oid: child } of entries) {
      const isFolder = mode === '040000';
      if (!isFolder && !isManifestName(name)) continue;
      const file = path === '' ? printable(name) : `${path}/${printable(name)}`;
      const folder = path === '' ? '.' : path;
      const impossible = impossibleName(name, folder);
      const refusal = nameRefusal(name, seen.get(name) ?? 0);
      const was = old.get(name);
      if (impossible !== null) items.push({ kind: 'problem', problem: problem(folder, impossible) });
      else if (refusal !== null) items.push({ kind: 'problem', problem: problem(file, refusal) });
      else if (!isFolder)
        items.push(was?.kind === 'file' && was.oid === child ? was : this.#file(mode, name, file, child));
      else if (isSearched(name)) {
        const before = was?.kind === 'folder' ? was.folder : null;
        const inside = await this.#descend(child, file, depth + 1, before);
        items.push({ kind: 'folder', name, folder: inside });
      }
    }
    return { oid, count: this.#entries - above, items };
  }

  #count(entries: number, depth: number): void {
    this.#entries += entries;
    if (depth > deepest || this.#entries > mostEntries) throw tooMuch();
  }

  #file(mode: string, name: string, file: string, oid: string): Item<P> {
    if (mode === '100644' || mode === '100755') {
      const item: FileItem<P> = { kind: 'file', name, file, oid, outcome: null };
      this.unread.push(item);
      return item;
    }
    const what =
      mode === '120000' ? 'a symbolic link' : mode === '160000' ? 'a submodule' : `an entry of mode ${mode}`;
    const message = `this is ${what}, which is never followed; commit a regular file`;
    return { kind: 'problem', problem: problem(file, message) };
  }

  async #read(oid: string): Promise<readonly TreeEntry[]> {
    const entries = this.#trees.get(oid) ?? (await this.objects.tree(oid));
    // Not all of it was read: what is looked for may be in the rest.
    if (entries.length > mostTreeEntries) throw tooMuch();
    this.#trees.set(oid, entries);
    return entries;
  }
}

function tooMuch(): PointsmanError {
  return new PointsmanError(
    'UnsupportedRepository',
    `the config repository has more than ${mostEntries} files or ${deepest} levels below its folder; set configRepo.path to a smaller one`,
  );
}

function countNames(entries: readonly TreeEntry[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { name } of entries) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

function tooLong(file: string, bytes: number): Problem {
  return problem(file, `the file has ${bytes} bytes, a manifest at most ${longestManifest}; split it`);
}

function problem(file: string, message: string): Problem {
  return { file, ...noPlace, path: '', message };
}
