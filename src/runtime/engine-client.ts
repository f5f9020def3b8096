import { Agent, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import type { Duplex, Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { inspect } from 'node:util';
import Docker from 'dockerode';
import PQueue from 'p-queue';
import type { Clock } from '../clock.js';
import { PointsmanError } from '../errors.js';
import { onAbort } from '../signals.js';
import { engineTimeout, toEngineError } from './engine-errors.js';

/** How long a call that is no stream may take: a create or start on a busy disk takes seconds, never this. */
const callLimitMs = 60_000;

/** Inspects that run side by side: enough to hide the latency, few enough not to crowd the engine out. */
const parallelCalls = 16;

/** Connections that wait for the next read. */
const keptConnections = 4;
/** A connection that ended before its answer began. */
const brokeOff = new Set(['ECONNRESET', 'EPIPE']);

/** One JSON message of the engine; a build's status message with its logs stays far below. */
const longestMessageBytes = 32 * 1024 * 1024;

/**
 * docker-modem prints the options of every request, its agent with all sockets to any depth, for a debug
 * log that nobody reads: 4 ms of each call, and more than half of a warm revert.
 */
class TerseAgent extends Agent {
  [inspect.custom](): string {
    return 'Agent';
  }
}

export interface StreamRequest {
  /** For error messages, after "could not": `build the image`. */
  readonly what: string;
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** Objects are sent as JSON, booleans as `true`. */
  readonly query?: Readonly<Record<string, unknown>>;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: Readable;
  readonly signal: AbortSignal;
}

/** The engine's HTTP API through dockerode: every call bounded, every error a PointsmanError. */
export class EngineClient {
  readonly #calls: Docker;
  readonly #reads: Docker;
  readonly #streams: Docker;
  readonly #queue = new PQueue({ concurrency: parallelCalls });

  constructor(
    /** Path of a unix socket, `unix://…` or `tcp://host:port`. */
    readonly socket: string,
    readonly clock: Clock,
  ) {
    // A connection of its own for each request: one kept from before the engine's restart would fail the next call.
    const options = { ...endpoint(socket), agent: new TerseAgent({ keepAlive: false }) };
    const kept = { ...options, agent: new TerseAgent({ keepAlive: true, maxFreeSockets: keptConnections }) };
    this.#calls = new Docker({ ...options, timeout: callLimitMs });
    this.#reads = new Docker({ ...kept, timeout: callLimitMs });
    this.#streams = new Docker(options);
  }

  /**
   * As `call`, of what changes nothing: over a connection that is kept, which takes 0.13 ms of the processor
   * where a new one takes 0.24, and again over a new one when the kept one broke: the engine was restarted.
   */
  async read<T>(what: string, run: (docker: Docker) => Promise<T>): Promise<T> {
    return this.#bounded(what, callLimitMs, async () => {
      try {
        return await run(this.#reads);
      } catch (error) {
        if (!brokeOff.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
        return run(this.#calls);
      }
    });
  }

  /** Runs one dockerode call. `what` completes "the docker engine could not …". */
  async call<T>(what: string, run: (docker: Docker) => Promise<T>): Promise<T> {
    return this.#bounded(what, callLimitMs, () => run(this.#calls));
  }

  /** As `call`, for calls that take as long as `limitMs` by their nature. `run` hands the signal on. */
  async longCall<T>(
    what: string,
    limitMs: number,
    run: (docker: Docker, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const abort = new AbortController();
    try {
      return await this.#bounded(what, limitMs, () => run(this.#streams, abort.signal));
    } finally {
      abort.abort();
    }
  }

  /** Calls `run` for each item, a bounded number at a time; results in order. */
  async each<A, B>(items: readonly A[], run: (item: A) => Promise<B>): Promise<B[]> {
    return Promise.all(items.map((item) => this.#queue.add(() => run(item))));
  }

  /** Opens a streaming answer. Rejects with the signal's reason when aborted; destroyed on a later abort. */
  async stream(request: StreamRequest): Promise<IncomingMessage> {
    return (await this.#dial(request, false)) as IncomingMessage;
  }

  /** Turns the connection into a two-way one (`Upgrade`). */
  async hijack(request: StreamRequest): Promise<Duplex> {
    return (await this.#dial(request, true)) as Duplex;
  }

  async #dial(request: StreamRequest, hijack: boolean): Promise<IncomingMessage | Duplex> {
    const { signal, body } = request;
    signal.throwIfAborted();
    const options = {
      path: `${request.path}?`,
      method: request.method,
      options: { _query: { ...request.query }, _body: {} },
      headers: { ...request.headers },
      ...(body === undefined ? {} : { file: body }),
      hijack,
      isStream: true,
      openStdin: false,
      abortSignal: signal,
      statusCodes: { 200: true, 101: true },
    };
    try {
      const stream = await new Promise<IncomingMessage | Duplex>((resolve, reject) => {
        this.#streams.modem.dial(options, (error, result) => {
          if (error === null || error === undefined) resolve(result as IncomingMessage | Duplex);
          else reject(error as Error);
        });
      });
      guard(stream, signal);
      return stream;
    } catch (error) {
      signal.throwIfAborted();
      throw this.toError(request.what, error);
    }
  }

  toError(what: string, error: unknown): PointsmanError {
    return toEngineError(what, this.socket, error);
  }

  /**
   * The JSON messages of a streaming answer, one per line. Ends with the stream; throws the signal's
   * reason when aborted, DockerUnavailable when the engine goes away.
   */
  async *messages(
    what: string,
    stream: Readable,
    signal: AbortSignal,
  ): AsyncGenerator<unknown, void, undefined> {
    const decoder = new StringDecoder('utf8');
    let rest = '';
    try {
      for await (const chunk of stream) {
        const lines = (rest + decoder.write(chunk as Buffer)).split('\n');
        rest = lines.pop() ?? '';
        if (rest.length > longestMessageBytes)
          throw new Error(`a message of more than ${longestMessageBytes} bytes`);
        for (const line of lines) if (line.trim() !== '') yield JSON.parse(line);
      }
    } catch (error) {
      signal.throwIfAborted();
      throw this.toError(what, error);
    }
    signal.throwIfAborted();
    if (rest.trim() !== '')
      throw this.toError(what, new Error('its answer ended in the middle of a message'));
  }

  /** docker-modem never answers when the connection breaks inside an answer, so the clock has the last word. */
  async #bounded<T>(what: string, limitMs: number, run: () => Promise<T>): Promise<T> {
    let cancel = (): void => undefined;
    const deadline = new Promise<never>((_, reject) => {
      cancel = this.clock.timer(limitMs, () => reject(engineTimeout(what, this.socket, limitMs)));
    });
    try {
      return await Promise.race([run(), deadline]);
    } catch (error) {
      throw this.toError(what, error);
    } finally {
      cancel();
    }
  }
}

function guard(stream: Readable, signal: AbortSignal): void {
  // Who reads the stream hears of the error as well; without a listener it would end the process.
  stream.on('error', () => undefined);
  stream.once(
    'close',
    onAbort(signal, () => void stream.destroy(signal.reason as Error)),
  );
}

/** Undefined values on purpose: they keep docker-modem from taking DOCKER_HOST instead. */
function endpoint(socket: string): Docker.DockerOptions {
  const tcp = /^(?:tcp|http):\/\/([^/:]+|\[[^\]]+\]):(\d+)\/?$/.exec(socket);
  if (tcp !== null) return { protocol: 'http', host: tcp[1] ?? '', port: Number(tcp[2]) };
  const unset = { host: undefined, port: undefined, ca: undefined, cert: undefined, key: undefined };
  return {
    ...unset,
    protocol: 'http',
    socketPath: socket.replace(/^unix:\/\//, ''),
  } as unknown as Docker.DockerOptions;
}
