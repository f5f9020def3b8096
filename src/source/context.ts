import { Readable } from 'node:stream';
import { extract, pack, type Header, type Pack } from 'tar-stream';
import { PointsmanError } from '../errors.js';
import { ContextFilter, type ContextHeader } from './context-filter.js';
import { frontendRefusal } from '../manifest/policy.js';
import { onAbort } from '../signals.js';
import { blobAt, surveyTree, textOf, type ContextRequest } from './context-survey.js';
import { frontendsOf } from './dockerfile-frontend.js';
import { longestIgnoreFile, parseDockerignore, type Ignores } from './dockerignore.js';
import { lastLine } from './git-errors.js';
import type { Mirror } from './mirror.js';

/** What the tree says before anything of it is sent. */
export interface ContextPlan {
  readonly ignores: Ignores;
  /** Sent whatever `ignores` says: the builder needs them. */
  readonly always: ReadonlySet<string>;
}

const lfsPointer = 'version https://git-lfs.github.com/spec/v1\n';
const longestPointer = 1024;

/**
 * Looks through the tree: is the Dockerfile there, what is ignored.
 * @throws PointsmanError DockerfileMissing, PolicyRefused for a Dockerfile that brings a reader of its own,
 *   BuildFailed for a `.dockerignore` that cannot be understood, SourceCorrupt
 */
export async function planContext(request: ContextRequest): Promise<ContextPlan> {
  const { dockerfile, onLeftOut } = request;
  const own = `${dockerfile}.dockerignore`;
  const [survey, found, ownIgnore, ignore] = await Promise.all([
    surveyTree(request),
    ...[dockerfile, own, '.dockerignore'].map((path) => blobAt(request, path)),
  ]);
  if (!found) throw missingDockerfile(dockerfile, survey.candidates);
  refuseFrontends(request, dockerfile, request.args['BUILDKIT_SYNTAX'] ?? []);
  refuseFrontends(request, dockerfile, frontendsOf(await textOf(request, dockerfile, found)));
  if (!survey.isPlain) await judgeFallback(request);
  for (const path of survey.submodules) {
    onLeftOut(
      `${JSON.stringify(path)} is a submodule, which is not fetched: its folder is empty in the build context`,
    );
  }
  const always = new Set([dockerfile, own, '.dockerignore']);
  const file = ownIgnore ? own : '.dockerignore';
  const blob = ownIgnore ?? ignore;
  if (!blob) return { ignores: () => false, always };
  return { ignores: parseDockerignore(file, await textOf(request, file, blob, longestIgnoreFile)), always };
}

/** @throws PointsmanError PolicyRefused */
function refuseFrontends(request: ContextRequest, path: string, frontends: string | readonly string[]): void {
  for (const frontend of [frontends].flat()) {
    const refusal = frontendRefusal(request.policy, path, frontend);
    if (refusal !== null) throw new PointsmanError('PolicyRefused', refusal);
  }
}

/** Where a link named `Dockerfile` leads to nothing that is sent, BuildKit reads `dockerfile` beside it. */
async function judgeFallback(request: ContextRequest): Promise<void> {
  const other = request.dockerfile.replace(/(^|\/)Dockerfile$/, '$1dockerfile');
  const found = other === request.dockerfile ? null : await blobAt(request, other);
  if (found !== null) refuseFrontends(request, other, frontendsOf(await textOf(request, other, found)));
}

function missingDockerfile(dockerfile: string, candidates: readonly string[]): PointsmanError {
  const seen = candidates.includes(dockerfile)
    ? 'what is there is a symbolic link that leads to no file in it'
    : candidates.length === 0
      ? 'there is none in this folder'
      : `there is ${candidates.join(', ')}`;
  return new PointsmanError(
    'DockerfileMissing',
    `no Dockerfile at ${JSON.stringify(dockerfile)} in the source's folder: ${seen}; add one, or set build.dockerfile or source.path`,
  );
}

/**
 * The context as a tar stream, written while `git archive` runs: nothing is checked out and no file is
 * held in memory. Destroying it, or aborting, ends git. It fails with SourceCorrupt, after `onDamage`,
 * when the mirror cannot give every file.
 */
export async function streamContext(
  request: ContextRequest,
  plan: ContextPlan,
  onDamage: () => void,
): Promise<Readable> {
  const { mirror, tree, onLeftOut, signal } = request;
  const archive = await mirror.stream(['archive', '--format=tar', tree], signal);
  const reader = extract();
  const writer = pack();
  const context = Readable.from(writer, { objectMode: false, highWaterMark: 64 * 1024 });
  // Whoever reads the stream hears of its failure; before that nobody needs to.
  context.on('error', () => undefined);
  const stopListening = onAbort(signal, () => {
    context.destroy(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
  });
  context.once('close', () => {
    stopListening();
    archive.kill();
    const closed = new Error('the build context was closed');
    reader.destroy(closed);
    writer.destroy(closed);
  });
  reader.on('error', () => undefined);
  writer.on('error', () => undefined);
  archive.stdout.on('error', (error) => reader.destroy(error));
  archive.stdout.pipe(reader);
  const filter = new ContextFilter(plan.ignores, plan.always, onLeftOut);
  const copied = (async () => {
    const onPointer = once(onLeftOut);
    for await (const entry of reader) await copyEntry(entry, filter, writer, onPointer);
  })();
  void copied
    .catch((error: unknown) => {
      archive.kill();
      return error instanceof Error ? error : new Error(String(error));
    })
    .then(async (error) => {
      const { code, stderr } = await archive.ended;
      if (code === 0 && error === undefined) {
        writer.finalize();
        return;
      }
      if (error instanceof PointsmanError) {
        writer.destroy(error);
        return;
      }
      const name = /^error: invalid path '(.*)'$/m.exec(stderr)?.[1];
      if (name !== undefined) {
        writer.destroy(unusableName(mirror, name));
        return;
      }
      if (!signal.aborted && !context.destroyed) onDamage();
      writer.destroy(
        mirror.damage(
          stderr === '' ? (error?.message ?? `git archive ended with ${code}`) : lastLine(stderr),
        ),
      );
    });
  return context;
}

/** A commit made by hand: git checks out no such name, and fetching it again gives the same. */
function unusableName(mirror: Mirror, name: string): PointsmanError {
  return new PointsmanError(
    'UnsupportedRepository',
    `${mirror.location.display} has an entry ${JSON.stringify(name.slice(0, 200))}, a name that git does not take; take it out of the commit`,
  );
}

/** Git LFS gets one line for the whole context. */
function once(onLeftOut: (line: string) => void): (line: string) => void {
  let isSaid = false;
  return (line) => {
    if (!isSaid) onLeftOut(line);
    isSaid = true;
  };
}

/** One entry of the archive; its body has to be read or let go before the next. */
type ArchiveEntry = AsyncIterable<unknown> & { readonly header: Header; resume(): unknown };

async function copyEntry(
  entry: ArchiveEntry,
  filter: ContextFilter,
  writer: Pack,
  onPointer: (line: string) => void,
): Promise<void> {
  const headers = filter.take(entry.header);
  const own = headers.at(-1);
  if (own === undefined || own.type !== 'file') {
    entry.resume();
    for (const header of headers) await writeEntry(writer, header, null);
    return;
  }
  for (const header of headers.slice(0, -1)) await writeEntry(writer, header, null);
  if (own.size > longestPointer) {
    await copyBody(entry, own, writer);
    return;
  }
  const chunks: Buffer[] = [];
  for await (const chunk of entry) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  if (body.toString('latin1', 0, lfsPointer.length) === lfsPointer) {
    onPointer(
      `${JSON.stringify(own.name)} is a Git LFS pointer, not the file itself: Git LFS is not fetched`,
    );
  }
  await writeEntry(writer, own, body);
}

async function writeEntry(writer: Pack, header: ContextHeader, body: Buffer | null): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const done = (error?: Error | null): void => (error ? reject(error) : resolve());
    const sink = body === null ? writer.entry(header, done) : writer.entry(header, body, done);
    sink.on('error', reject);
  });
}

async function copyBody(entry: ArchiveEntry, header: ContextHeader, writer: Pack): Promise<void> {
  const sink = writer.entry(header);
  let failure: Error | null = null;
  let wake: (() => void) | null = null;
  const woken = (error?: Error): void => {
    if (error !== undefined) failure ??= error;
    wake?.();
  };
  let isFinished = false;
  sink.on('error', woken);
  sink.on('close', () => woken(isFinished ? undefined : new Error('the build context was closed')));
  sink.on('finish', () => {
    isFinished = true;
    woken();
  });
  sink.on('drain', () => woken());
  const pause = async (): Promise<void> => {
    if (failure === null && !isFinished) await new Promise<void>((resolve) => (wake = resolve));
    if (failure !== null) throw failure as Error;
  };
  for await (const chunk of entry) {
    if (!sink.write(chunk)) await pause();
  }
  sink.end(null);
  while (!isFinished) await pause();
}
