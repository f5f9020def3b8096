/**
 * A continuous HTTP client that notices a single lost or wrong answer. Each round sends one request
 * of each kind: GET and POST, over a kept connection and over a fresh one. It never retries.
 *
 * The application answers 200 and JSON `{ "version": "v1", "digest": "<sha1 hex of the request body>" }`.
 */
import { createHash, randomBytes } from 'node:crypto';
import { Agent, request } from 'node:http';

export interface ClientOptions {
  /** Of 127.0.0.1. */
  readonly port: number;
  /** The `Host` header. */
  readonly host: string;
  /** What is right until `expect` or `allow` says otherwise. */
  readonly version: string;
  /** Default `/`. */
  readonly path?: string;
  /** Default 200. */
  readonly requestsPerSecond?: number;
  /** A slower answer is a lost one. Default 15 s. */
  readonly timeoutMs?: number;
}

export interface Counts {
  readonly sent: number;
  readonly ok: number;
  /** No whole answer with status 200. */
  readonly failed: number;
  /** An answer of a version that had no business to answer, or of another request's body. */
  readonly wrong: number;
  /** How often for each reason, of failed and wrong ones. */
  readonly reasons: Readonly<Record<string, number>>;
  /** Good answers of each version. */
  readonly versions: Readonly<Record<string, number>>;
  /** Rounds left out because too many requests were in flight. */
  readonly skippedRounds: number;
}

export interface Client {
  /**
   * From now on `from` or `to` may answer, requests in flight included; after the first answer of `to`,
   * requests started later must get `to`.
   */
  expect(change: { readonly from: string; readonly to: string }): void;
  /** From now on any of these may answer, in any order: for a bake that fails. */
  allow(...versions: readonly string[]): void;
  /** Every request started from now on must be answered by this version. */
  acknowledged(version: string): void;
  /** As of now; requests in flight are in `sent` alone. */
  counts(): Counts;
  /** Sends no more, waits for the requests in flight, and closes every connection. */
  stop(): Promise<Counts>;
}

const kinds = [
  { method: 'GET', fresh: false },
  { method: 'POST', fresh: false },
  { method: 'GET', fresh: true },
  { method: 'POST', fresh: true },
] as const;
type Kind = (typeof kinds)[number];

const mostInFlight = 256;
const keptConnections = 8;

export function startClient(options: ClientOptions): Client {
  return new ContinuousClient(options);
}

/** Which versions may answer the requests that are started while it counts. */
interface Rule {
  readonly versions: ReadonlySet<string>;
  /** The version after whose first answer only it may answer. */
  readonly final: string | null;
}

class ContinuousClient implements Client {
  readonly #options: Required<ClientOptions>;
  readonly #kept = new Agent({ keepAlive: true, maxSockets: keptConnections });
  readonly #fresh = new Agent({ keepAlive: false });
  readonly #inFlight = new Set<Promise<void>>();
  /** Of each request in flight: which versions may answer it. */
  readonly #allowed = new Set<Set<string>>();
  readonly #timer: NodeJS.Timeout;
  #rule: Rule;
  #sent = 0;
  #ok = 0;
  #failed = 0;
  #wrong = 0;
  #skippedRounds = 0;
  readonly #reasons = new Map<string, number>();
  readonly #versions = new Map<string, number>();

  constructor(options: ClientOptions) {
    this.#options = { path: '/', requestsPerSecond: 200, timeoutMs: 15_000, ...options };
    this.#rule = only(options.version);
    const betweenRoundsMs = (1000 * kinds.length) / this.#options.requestsPerSecond;
    this.#timer = setInterval(() => this.#round(), betweenRoundsMs);
  }

  expect({ from, to }: { readonly from: string; readonly to: string }): void {
    this.#change({ versions: new Set([from, to]), final: to });
  }

  allow(...versions: readonly string[]): void {
    this.#change({ versions: new Set(versions), final: null });
  }

  acknowledged(version: string): void {
    this.#rule = only(version);
  }

  counts(): Counts {
    return {
      sent: this.#sent,
      ok: this.#ok,
      failed: this.#failed,
      wrong: this.#wrong,
      reasons: Object.fromEntries(this.#reasons),
      versions: Object.fromEntries(this.#versions),
      skippedRounds: this.#skippedRounds,
    };
  }

  async stop(): Promise<Counts> {
    clearInterval(this.#timer);
    // Each of them ends within the timeout.
    await Promise.all(this.#inFlight);
    this.#kept.destroy();
    this.#fresh.destroy();
    return this.counts();
  }

  #change(rule: Rule): void {
    this.#rule = rule;
    for (const allowed of this.#allowed) for (const version of rule.versions) allowed.add(version);
  }

  #round(): void {
    if (this.#inFlight.size + kinds.length > mostInFlight) {
      this.#skippedRounds += 1;
      return;
    }
    for (const kind of kinds) {
      const one = this.#one(kind).finally(() => this.#inFlight.delete(one));
      this.#inFlight.add(one);
    }
  }

  async #one(kind: Kind): Promise<void> {
    const rule = this.#rule;
    const allowed = new Set(rule.versions);
    this.#allowed.add(allowed);
    const body = kind.method === 'POST' ? randomBytes(2048).toString('base64') : '';
    const label = `${kind.method} over a ${kind.fresh ? 'fresh' : 'kept'} connection`;
    this.#sent += 1;
    try {
      const answer = readAnswer(await this.#send(kind, body));
      const mistake = mistakeOf(answer, allowed, body);
      if (mistake !== null) {
        this.#wrong += 1;
        count(this.#reasons, `${label}: ${mistake}`);
        return;
      }
      this.#ok += 1;
      count(this.#versions, answer.version);
      // Requests that were started under the same rule before this answer may still see the old one.
      if (this.#rule === rule && rule.final === answer.version) this.#rule = only(rule.final);
    } catch (error) {
      this.#failed += 1;
      count(this.#reasons, `${label}: ${reasonOf(error)}`);
    } finally {
      this.#allowed.delete(allowed);
    }
  }

  /** The body of a whole answer with status 200. */
  #send(kind: Kind, body: string): Promise<string> {
    const { port, host, path, timeoutMs } = this.#options;
    return new Promise((resolve, reject) => {
      const sending = request({
        host: '127.0.0.1',
        port,
        path,
        method: kind.method,
        agent: kind.fresh ? this.#fresh : this.#kept,
        headers: { host, ...(kind.method === 'POST' && { 'content-length': Buffer.byteLength(body) }) },
        signal: AbortSignal.timeout(timeoutMs),
      });
      sending.once('error', reject);
      sending.once('response', (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (text += chunk));
        response.once('error', reject);
        response.once('end', () => {
          if (response.statusCode === 200) resolve(text);
          else reject(new Error(`status ${response.statusCode}`));
        });
      });
      sending.end(body);
    });
  }
}

function only(version: string): Rule {
  return { versions: new Set([version]), final: null };
}

interface Answer {
  readonly version: string;
  readonly digest: string;
}

function readAnswer(text: string): Answer {
  const answer = JSON.parse(text) as Partial<Answer> | null;
  if (typeof answer?.version !== 'string' || typeof answer.digest !== 'string') {
    throw new Error(`an answer without version and digest: ${text.slice(0, 80)}`);
  }
  return { version: answer.version, digest: answer.digest };
}

function mistakeOf(answer: Answer, allowed: ReadonlySet<string>, body: string): string | null {
  if (!allowed.has(answer.version)) {
    return `${answer.version} answered, not ${[...allowed].join(' or ')}`;
  }
  if (answer.digest !== digestOf(body)) return 'answered another body than was sent';
  return null;
}

/** What the application has to answer for this request body. */
export function digestOf(body: string | Uint8Array): string {
  return createHash('sha1').update(body).digest('hex');
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return typeof code === 'string' ? code : message;
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
