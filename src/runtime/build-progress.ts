import protobuf from 'protobufjs/light.js';
import { redact, shortened } from '../errors.js';
import { cleanLine } from './logs.js';
import type { BuildProgress } from './port.js';

/** How many of the last lines an error carries. */
const tailLines = 50;

/** BuildKit's status message, as much of it as is shown. Times are seconds and nanoseconds since the epoch. */
const status = protobuf.Root.fromJSON({
  nested: {
    Time: { fields: { seconds: { type: 'int64', id: 1 }, nanos: { type: 'int32', id: 2 } } },
    Vertex: {
      fields: {
        digest: { type: 'string', id: 1 },
        name: { type: 'string', id: 3 },
        cached: { type: 'bool', id: 4 },
        started: { type: 'Time', id: 5 },
        completed: { type: 'Time', id: 6 },
        error: { type: 'string', id: 7 },
      },
    },
    Log: {
      fields: {
        vertex: { type: 'string', id: 1 },
        stream: { type: 'int64', id: 3 },
        msg: { type: 'bytes', id: 4 },
      },
    },
    Warning: { fields: { vertex: { type: 'string', id: 1 }, short: { type: 'bytes', id: 3 } } },
    Status: {
      fields: {
        vertexes: { rule: 'repeated', type: 'Vertex', id: 1 },
        logs: { rule: 'repeated', type: 'Log', id: 3 },
        warnings: { rule: 'repeated', type: 'Warning', id: 4 },
      },
    },
  },
}).lookupType('Status');

interface Time {
  readonly seconds: number;
  readonly nanos: number;
}

interface StatusMessage {
  readonly vertexes: readonly {
    readonly digest: string;
    readonly name: string;
    readonly cached: boolean;
    readonly started?: Time;
    readonly completed?: Time;
    readonly error: string;
  }[];
  readonly logs: readonly { readonly vertex: string; readonly stream: number; readonly msg: Uint8Array }[];
  readonly warnings: readonly { readonly vertex: string; readonly short: Uint8Array }[];
}

interface Step {
  readonly number: number;
  readonly name: string;
  ended: boolean;
  /** Output without a line end yet. */
  rest: Buffer;
}

/** Turns the messages of one build into lines, and keeps what its error needs. */
export class BuildTranscript {
  readonly #onProgress: (progress: BuildProgress) => void;
  readonly #steps = new Map<string, Step>();
  readonly #tail: string[] = [];
  #image: string | null = null;
  #failure: string | null = null;
  #failedStep: string | null = null;

  constructor(onProgress: (progress: BuildProgress) => void) {
    this.#onProgress = onProgress;
  }

  /** The image's id, once the engine has named it. */
  get image(): string | null {
    return this.#image;
  }

  /** Why the build failed, as the engine says it; null while it did not. */
  get failure(): string | null {
    return this.#failure;
  }

  /** `[2/5] RUN npm ci`, when a step failed. */
  get failedStep(): string | null {
    return this.#failedStep;
  }

  /** The last 50 lines. */
  get tail(): readonly string[] {
    return this.#tail;
  }

  /** Takes one JSON message of the build's answer. */
  accept(message: unknown): void {
    const { id, aux, stream, error, errorDetail } = (message ?? {}) as Readonly<Record<string, unknown>>;
    if (id === 'moby.buildkit.trace' && typeof aux === 'string') this.#acceptStatus(aux);
    else if (typeof (aux as { ID?: unknown } | undefined)?.ID === 'string')
      this.#image = (aux as { ID: string }).ID;
    // What an engine says that builds without BuildKit.
    if (typeof stream === 'string')
      for (const line of stream.split('\n')) if (line !== '') this.#emit(null, line);
    const failure = (errorDetail as { message?: unknown } | undefined)?.message ?? error;
    if (failure !== undefined) {
      for (const step of this.#steps.values()) this.#flush(step);
      this.#failure = shortened(redact(String(failure)));
    }
  }

  #acceptStatus(base64: string): void {
    const decoded = status.decode(Buffer.from(base64, 'base64'));
    const { vertexes, logs, warnings } = status.toObject(decoded, {
      longs: Number,
      defaults: true,
      arrays: true,
    }) as StatusMessage;
    // In the order in which they happened: a step begins, says something, ends.
    for (const vertex of vertexes) {
      if (vertex.started) this.#begin(vertex.digest, vertex.name);
      if (!vertex.completed) continue;
      for (const log of logs) if (log.vertex === vertex.digest) this.#output(log.vertex, log.msg);
      this.#end(vertex);
    }
    for (const log of logs)
      if (this.#steps.get(log.vertex)?.ended === false) this.#output(log.vertex, log.msg);
    for (const warning of warnings) {
      const step = this.#steps.get(warning.vertex);
      if (step !== undefined)
        this.#emit(null, `#${step.number} WARNING: ${Buffer.from(warning.short).toString('utf8')}`);
    }
  }

  #begin(digest: string, name: string): void {
    if (this.#steps.has(digest)) return;
    // A RUN may be as long as its Dockerfile.
    const short = shortened(redact(name));
    const step = { number: this.#steps.size + 1, name: short, ended: false, rest: Buffer.alloc(0) };
    this.#steps.set(digest, step);
    const shown = cleanLine(short);
    this.#emit(/^\[(?!internal\])|^exporting/.test(shown) ? shown : null, `#${step.number} ${shown}`);
  }

  #output(digest: string, bytes: Uint8Array): void {
    const step = this.#steps.get(digest);
    if (step === undefined) return;
    let rest = Buffer.concat([step.rest, bytes]);
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      this.#emit(null, `#${step.number} ${cleanLine(rest.subarray(0, end).toString('utf8'))}`);
      rest = rest.subarray(end + 1);
    }
    // A progress bar never ends its line; what it showed before is of no use.
    step.rest = rest.length > 65_536 ? rest.subarray(-4096) : rest;
  }

  #end(vertex: StatusMessage['vertexes'][number]): void {
    const step = this.#steps.get(vertex.digest);
    if (step === undefined || step.ended) return;
    // BuildKit completes some steps twice; the second time counts nothing more.
    step.ended = true;
    this.#flush(step);
    if (vertex.error !== '') {
      if (!/canceled|cancelled/.test(vertex.error)) this.#failedStep ??= step.name;
      this.#emit(null, `#${step.number} ERROR: ${vertex.error}`);
    } else if (vertex.cached) this.#emit(null, `#${step.number} CACHED`);
    else this.#emit(null, `#${step.number} DONE ${seconds(vertex.started, vertex.completed)}s`);
  }

  #flush(step: Step): void {
    if (step.rest.length > 0) this.#emit(null, `#${step.number} ${cleanLine(step.rest.toString('utf8'))}`);
    step.rest = Buffer.alloc(0);
  }

  #emit(step: string | null, text: string): void {
    const line = cleanLine(text);
    this.#tail.push(line);
    if (this.#tail.length > tailLines) this.#tail.shift();
    this.#onProgress({ step, line });
  }
}

function seconds(started: Time | undefined, completed: Time | undefined): string {
  if (started === undefined || completed === undefined) return '0.0';
  return (completed.seconds - started.seconds + (completed.nanos - started.nanos) / 1e9).toFixed(1);
}
