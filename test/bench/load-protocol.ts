/** What the swap benchmark and its load, a process of its own, tell each other. */

export const kinds = [
  'keep-alive',
  'fresh',
  'post 64 KiB',
  'slow upload 5 s',
  'slow answer 5 s',
  'websocket',
  'event stream',
] as const;
export type Kind = (typeof kinds)[number];

export interface KindCounts {
  sent: number;
  ok: number;
  /** No whole answer with status 200 (101 for a WebSocket), or another body's digest. */
  failed: number;
  /** Of the failed ones, those whose connection was reset or closed under them. */
  reset: number;
  /** Answered by a version that was not allowed at any time from the request's begin to its answer. */
  wrong: number;
  /** Long-lived ones: ended without a close frame, in the middle of an event, or silent. */
  cut: number;
}

export type LoadCounts = Record<Kind, KindCounts>;

export type ToLoad =
  /** From now on these versions may answer: the one that is live, and during a switch the one to come. */
  | { readonly kind: 'expect'; readonly versions: readonly string[] }
  /** What was measured so far is given and begun anew. */
  | { readonly kind: 'take' }
  /** No new requests; what is in flight comes to its end. */
  | { readonly kind: 'stop' };

export interface FromLoad {
  readonly counts: LoadCounts;
  /** Milliseconds of good short requests, keep-alive and fresh. */
  readonly latencies: readonly number[];
  /** How often for each reason. */
  readonly reasons: Readonly<Record<string, number>>;
}

/** Where the application is, by whatever stands before it. */
export interface Address {
  readonly port: number;
  readonly host: string;
}

export interface LoadOptions extends Address {
  /** These may answer from the first request on. */
  readonly versions: readonly string[];
}

export function noCounts(): LoadCounts {
  const none = (): KindCounts => ({ sent: 0, ok: 0, failed: 0, reset: 0, wrong: 0, cut: 0 });
  return Object.fromEntries(kinds.map((kind) => [kind, none()])) as LoadCounts;
}
