import { PointsmanError } from '../errors.js';
import { normaliseRelativePath } from '../manifest/paths.js';
import type { BuildPolicy } from '../manifest/policy.js';
import { printable } from './entry-name.js';
import { lastLine } from './git-errors.js';
import type { Mirror } from './mirror.js';

export interface ContextRequest {
  readonly mirror: Mirror;
  /** Object id of the context's root. */
  readonly tree: string;
  /** Relative to it. */
  readonly dockerfile: string;
  /** Build arguments: one of them can name another reader of the Dockerfile as well. */
  readonly args: Readonly<Record<string, string>>;
  readonly policy: BuildPolicy;
  readonly onLeftOut: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Of a Dockerfile, bytes. */
const longestText = 1024 * 1024;
/** A tree can name one subtree many times over, so that a small repository lists without end. */
const mostEntries = 1_000_000;
/** Of one entry's path, bytes; the kernel takes no longer one (PATH_MAX). */
const longestPath = 4_096;
const mostCandidates = 5;
const mostSubmodules = 20;

interface Blob {
  readonly oid: string;
  /** Bytes. */
  readonly size: number;
}

interface Survey {
  readonly candidates: readonly string[];
  readonly submodules: readonly string[];
  /** Whether the Dockerfile itself is a file, not a link to one. */
  readonly isPlain: boolean;
}

/**
 * Reads every tree of the context, so that a damaged one is found before anything is sent, and one that
 * could mean two things.
 * @throws PointsmanError UnsupportedRepository, SourceCorrupt
 */
export async function surveyTree(request: ContextRequest): Promise<Survey> {
  const { mirror, tree, signal } = request;
  const listing = await mirror.stream(['ls-tree', '-r', '-z', '--full-tree', tree], signal);
  const surveyor = new Surveyor(request);
  let rest = '';
  // One character per byte: git orders names by their bytes.
  listing.stdout.setEncoding('latin1');
  try {
    for await (const chunk of listing.stdout) {
      const records = (rest + (chunk as string)).split('\0');
      rest = records.pop() ?? '';
      for (const record of records) surveyor.take(record);
      // A record begins with mode, type and id.
      if (rest.length > 2 * longestPath) throw surveyor.tooLong();
    }
  } catch (error) {
    listing.kill();
    throw error;
  }
  const { code, stderr } = await listing.ended;
  signal.throwIfAborted();
  if (code !== 0) throw mirror.damage(lastLine(stderr));
  return surveyor;
}

/** Reads `<mode> <type> <oid>\t<path>` records in git's order. */
class Surveyor implements Survey {
  readonly candidates: string[] = [];
  readonly submodules: string[] = [];
  isPlain = false;
  readonly #request: ContextRequest;
  readonly #dockerfile: string;
  #count = 0;
  #last = '';
  /** Entries that the path at hand begins with, none of which may be the folder it stands in. */
  #open: string[] = [];

  constructor(request: ContextRequest) {
    this.#request = request;
    this.#dockerfile = Buffer.from(request.dockerfile).toString('latin1');
  }

  take(record: string): void {
    const path = record.slice(record.indexOf('\t') + 1);
    this.#count += 1;
    if (this.#count > mostEntries) throw this.#unsupported(`more than ${mostEntries} files`);
    if (path.length > longestPath) throw this.tooLong();
    this.#requireOneMeaning(path);
    if (record.startsWith('100') && path === this.#dockerfile) this.isPlain = true;
    if (record.startsWith('160000 ')) {
      if (this.submodules.length < mostSubmodules) this.submodules.push(nameOf(path));
    } else if (this.candidates.length < mostCandidates && isDockerfile(path)) {
      this.candidates.push(nameOf(path));
    }
  }

  /**
   * What stands twice, or as a file and a folder, git and the builder each read in their own way: the
   * Dockerfile that was judged would not be the one that is built. Trees that git writes are in order.
   */
  #requireOneMeaning(path: string): void {
    this.#open = this.#open.filter((entry) => path.startsWith(entry));
    if (path <= this.#last || this.#open.some((entry) => path.charAt(entry.length) === '/')) {
      throw this.#unsupported(
        `the entry "${nameOf(path)}" twice or out of order, as git writes no tree (see git fsck)`,
      );
    }
    this.#open.push(path);
    this.#last = path;
  }

  tooLong(): PointsmanError {
    return this.#unsupported(`a path of more than ${longestPath} bytes`);
  }

  #unsupported(what: string): PointsmanError {
    const { display } = this.#request.mirror.location;
    return new PointsmanError(
      'UnsupportedRepository',
      `${display} has ${what} in the build context; mend the commit, or set source.path to another folder`,
    );
  }
}

/** Of a path with one character per byte. */
function nameOf(path: string): string {
  return printable(Buffer.from(path, 'latin1').toString('utf8'));
}

/** Names that a Dockerfile has, for a hint. */
function isDockerfile(path: string): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1);
  return /^(?:[^/]*\.)?(?:docker|container)file(?:\.[^/]*)?$/i.test(name) && !path.endsWith('.dockerignore');
}

/** Id and size of the file at `path`, following links inside the tree; null when there is none. */
export async function blobAt({ mirror, tree, signal }: ContextRequest, path: string): Promise<Blob | null> {
  // The schema refuses it: git would read other things than a path below the tree.
  if (normaliseRelativePath(path) !== path) return null;
  const result = await mirror.run(
    ['cat-file', '--batch-check', '--follow-symlinks'],
    signal,
    `${tree}:${path}\n`,
  );
  if (result.code !== 0) throw mirror.damage(lastLine(result.stderr));
  const [, oid, size] = /^([0-9a-f]{40}) blob (\d+)\n$/.exec(result.stdout.toString('utf8')) ?? [];
  return oid === undefined ? null : { oid, size: Number(size) };
}

/** @throws PointsmanError BuildFailed when it is longer than `longest` bytes (1 MiB), SourceCorrupt */
export async function textOf(
  request: ContextRequest,
  path: string,
  blob: Blob,
  longest = longestText,
): Promise<string> {
  if (blob.size > longest) {
    throw new PointsmanError(
      'BuildFailed',
      `${path} has ${blob.size} bytes, at most ${longest} are read; shorten it`,
    );
  }
  const { mirror, signal } = request;
  const result = await mirror.run(['cat-file', 'blob', blob.oid], signal);
  if (result.code !== 0) throw mirror.damage(lastLine(result.stderr));
  return result.stdout.toString('utf8');
}
