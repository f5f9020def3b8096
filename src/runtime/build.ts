import type { Readable } from 'node:stream';
import { PointsmanError } from '../errors.js';
import { joinSignals } from '../signals.js';
import { explainBuildFailure } from './build-failure.js';
import { BuildTranscript } from './build-progress.js';
import { openSession } from './build-session.js';
import type { EngineClient } from './engine-client.js';
import { EngineRefusal } from './engine-errors.js';
import type { BuildProgress, BuildRequest } from './port.js';
import { dockerConfigFolder } from './registry-auth.js';

/**
 * Builds with BuildKit, the context as the request's body. The engine ends the build when its request
 * is aborted, so an abort and the build's own timeout stop it there too.
 * @throws PointsmanError BuildFailed, BuildTimedOut, DockerfileMissing; ImagePullFailed when the
 *   registry of a FROM cannot be reached; what the context stream failed with
 */
export async function buildImage(
  client: EngineClient,
  request: BuildRequest,
  onProgress: (line: BuildProgress) => void,
  signal: AbortSignal,
): Promise<string> {
  const { context, build } = request;
  const timeout = new PointsmanError(
    'BuildTimedOut',
    `the build of ${request.project} took longer than ${build.timeoutMs / 1000} s; raise build.timeout, or make it faster`,
  );
  const stop = new AbortController();
  const cancel = client.clock.timer(build.timeoutMs, () => stop.abort(timeout));
  const either = joinSignals(signal, stop.signal);
  const broken = watchContext(context, stop);
  const transcript = new BuildTranscript(onProgress);
  try {
    return await runBuild(client, request, transcript, either.signal);
  } catch (error) {
    signal.throwIfAborted();
    const fault = broken();
    if (fault !== null) throw fault;
    if (error === timeout) throw withTail(timeout, transcript);
    throw error;
  } finally {
    cancel();
    stop.abort();
    either.release();
    context.destroy();
  }
}

async function runBuild(
  client: EngineClient,
  request: BuildRequest,
  transcript: BuildTranscript,
  signal: AbortSignal,
): Promise<string> {
  const what = `build the image of ${request.project}`;
  const session = await openSession(client, signal);
  try {
    const stream = await client.stream({
      what,
      method: 'POST',
      path: '/build',
      query: { ...buildQuery(request), session: session.id },
      headers: { 'Content-Type': 'application/x-tar' },
      body: request.context,
      signal,
    });
    for await (const message of client.messages(what, stream, signal)) transcript.accept(message);
  } catch (error) {
    if (error instanceof EngineRefusal && error.status < 500)
      throw buildFailed(request, transcript, error.reason, error);
    // The engine may answer 500 to what the Dockerfile says, before the first message.
    if (error instanceof EngineRefusal && /dockerfile|buildkit/i.test(error.reason)) {
      throw buildFailed(request, transcript, error.reason, error);
    }
    throw error;
  } finally {
    session.close();
  }
  if (transcript.failure !== null) throw buildFailed(request, transcript, transcript.failure);
  if (transcript.image === null) throw client.toError(what, new Error('its answer ended without an image'));
  return transcript.image;
}

function buildQuery({ tag, labels, build }: BuildRequest): Record<string, unknown> {
  return {
    version: '2',
    t: tag,
    dockerfile: build.dockerfile,
    ...(build.target === null ? {} : { target: build.target }),
    buildargs: build.args,
    labels,
    rm: true,
    forcerm: true,
    networkmode: 'default',
  };
}

/**
 * Aborts the build when its context breaks off: the engine would wait for the rest of it. The returned
 * function tells what it broke with. An end by our own hand, after the build, is no fault.
 */
function watchContext(context: Readable, stop: AbortController): () => Error | null {
  let fault: Error | null = null;
  const breakOff = (error: Error): void => {
    if (stop.signal.aborted) return;
    fault = error;
    stop.abort(error);
  };
  const cut = new Error('the build context ended too early');
  if (context.destroyed) breakOff(context.errored ?? cut);
  context.on('error', breakOff);
  let ended = false;
  context.once('end', () => (ended = true));
  context.once('close', () => {
    if (!ended) breakOff(cut);
  });
  return () => fault;
}

function buildFailed(
  request: BuildRequest,
  transcript: BuildTranscript,
  said: string,
  cause?: unknown,
): PointsmanError {
  const folder = dockerConfigFolder();
  const { code, text } = explainBuildFailure(said, transcript.failedStep, request.build.dockerfile, folder);
  return withTail(
    new PointsmanError(code, `the build of ${request.project} failed${text}`, { cause }),
    transcript,
  );
}

function withTail(error: PointsmanError, transcript: BuildTranscript): PointsmanError {
  const tail = [...transcript.tail];
  return new PointsmanError(error.code, error.message, {
    cause: error.cause,
    detail: { ...error.detail, tail },
  });
}
