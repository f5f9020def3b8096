import type { Readable } from 'node:stream';
import { isAbort } from '../errors.js';
import { joinSignals } from '../signals.js';
import type { EngineClient } from './engine-client.js';
import { isRefusal } from './engine-errors.js';
import type { LogChunk } from './port.js';

/** The engine's frames are at most 16 KiB of one line; more than this is no frame. */
const longestFrameBytes = 16 * 1024 * 1024;

/** A frame of this size is part of a longer line. */
const wholeFrameBytes = 16 * 1024;

/** In journal, status and messages a line serves to recognise a fault, not to hold a dump. */
const longestLine = 2000;

/** How long the last lines of a container may take; its log driver reads files. */
const tailLimitMs = 20_000;

/**
 * Splits the engine's multiplexed stream: frames of one byte stream number (1 stdout, 2 stderr), three
 * zero bytes, four bytes of length (big endian), and the data.
 */
export async function* demultiplex(stream: AsyncIterable<Buffer>): AsyncGenerator<LogChunk, void, undefined> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of stream) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length >= 8) {
      const length = rest.readUInt32BE(4);
      if ((rest[0] ?? 255) > 2 || length > longestFrameBytes)
        throw new Error('the log stream is not multiplexed');
      if (rest.length < 8 + length) break;
      yield { stream: rest[0] === 2 ? 'stderr' : 'stdout', data: rest.subarray(8, 8 + length) };
      rest = rest.subarray(8 + length);
    }
  }
}

/** Follows or reads a container's output. Ends without an error when aborted, or when the container is gone. */
export async function* readLogs(
  client: EngineClient,
  id: string,
  options: { readonly follow: boolean; readonly tail: number | null },
  signal: AbortSignal,
): AsyncGenerator<LogChunk, void, undefined> {
  const what = `read the log of container ${id.slice(0, 12)}`;
  const query = {
    stdout: true,
    stderr: true,
    follow: options.follow,
    tail: options.tail === null ? 'all' : String(options.tail),
  };
  // A reader that stops early (`break`) leaves the generator: the connection must not stay open for it.
  const done = new AbortController();
  const both = joinSignals(signal, done.signal);
  try {
    const path = `/containers/${encodeURIComponent(id)}/logs`;
    const stream: Readable = await client.stream({ what, method: 'GET', path, query, signal: both.signal });
    yield* demultiplex(stream as AsyncIterable<Buffer>);
  } catch (error) {
    if (signal.aborted || isAbort(error, signal) || isRefusal(error, 404, 409)) return;
    throw client.toError(what, error);
  } finally {
    done.abort();
    both.release();
  }
}

/** The last `lines` lines of stdout and stderr in order, each cut to 2,000 characters; empty when it is gone. */
export async function tailOf(client: EngineClient, id: string, lines: number): Promise<readonly string[]> {
  const kept: string[] = [];
  // A line that came in several frames is put together per stream.
  const open = { stdout: '', stderr: '' };
  const keep = (line: string): void => {
    kept.push(cleanLine(line));
    if (kept.length > lines) kept.shift();
  };
  const signal = AbortSignal.timeout(tailLimitMs);
  for await (const { stream, data } of readLogs(client, id, { follow: false, tail: lines }, signal)) {
    const parts = (open[stream] + data.toString('utf8')).split('\n');
    const rest = parts.pop() ?? '';
    // The `local` driver forgets the line end of a line that came in several frames.
    if (rest !== '' && data.length < wholeFrameBytes) parts.push(rest);
    open[stream] = data.length < wholeFrameBytes ? '' : rest.slice(0, longestLine * 2);
    parts.forEach(keep);
  }
  for (const line of [open.stdout, open.stderr]) if (line !== '') keep(line);
  return kept;
}

/**
 * One line of somebody's output as people may see it: what a terminal would show after the last
 * carriage return, without control sequences, at most 2,000 characters.
 */
export function cleanLine(line: string): string {
  let end = line.length;
  while (line.charAt(end - 1) === '\r') end -= 1;
  const shown = line.slice(line.lastIndexOf('\r', end - 1) + 1, end).replaceAll('\n', ' ');
  const plain = shown.replace(
    /\u001b\[[0-9;?]*[ -/]*[@-~]|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/g,
    '',
  );
  return plain.length > longestLine ? `${plain.slice(0, longestLine)}…` : plain;
}
