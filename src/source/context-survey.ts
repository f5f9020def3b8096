import { PointsmanError } from '../errors.js';
import { normaliseRelativePath } from '../manifest/paths.js';
import type { BuildPolicy } from '../manifest/policy.js';
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

/** Of a Dockerfile or an ignore file, bytes. */
const longestText = 1024 * 1024;
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
}

/** Reads every tree of the context, so that a damaged one is found before anything is sent. */
export async function surveyTree({ mirror, tree, signal }: ContextRequest): Promise<Survey> {
  const listing = await mirror.stream(['ls-tree', '-r', '-z', '--full-tree', tree], signal);
  const candidates: string[] = [];
  const submodules: string[] = [];
  let rest = '';
  listing.stdout.setEncoding('utf8');
  for await (const chunk of listing.stdout) {
    const records = (rest + (chunk as string)).split('\0');
    rest = records.pop() ?? '';
    for (const record of records) {
      const path = record.slice(record.indexOf('\t') + 1);
      if (record.startsWith('160000 ')) {
        if (submodules.length < mostSubmodules) submodules.push(path);
      } else if (
        candidates.length < mostCandidates &&
        /(?:^|\/)(?:[^/]*\.)?(?:docker|container)file(?:\.[^/]*)?$/i.test(path)
      ) {
        if (!path.endsWith('.dockerignore')) candidates.push(path);
      }
    }
  }
  const { code, stderr } = await listing.ended;
  signal.throwIfAborted();
  if (code !== 0) throw mirror.damage(lastLine(stderr));
  return { candidates, submodules };
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

/** @throws PointsmanError BuildFailed when it is too long, SourceCorrupt */
export async function textOf(request: ContextRequest, path: string, blob: Blob): Promise<string> {
  if (blob.size > longestText) {
    throw new PointsmanError(
      'BuildFailed',
      `${path} has ${blob.size} bytes, at most ${longestText} are read; shorten it`,
    );
  }
  const { mirror, signal } = request;
  const result = await mirror.run(['cat-file', 'blob', blob.oid], signal);
  if (result.code !== 0) throw mirror.damage(lastLine(result.stderr));
  return result.stdout.toString('utf8');
}
