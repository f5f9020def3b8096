import type { BuildPolicy, Policy } from '../manifest/policy.js';

/** The normalised settings: every default filled in, every duration in ms, every path absolute. */
export interface Settings {
  readonly instance: string;
  readonly configRepo: {
    readonly url: string;
    readonly branch: string;
    readonly path: string;
    readonly intervalMs: number;
    readonly credential: GitCredential | null;
  };
  /** For private application sources: the entry with the longest matching prefix is used. */
  readonly credentials: readonly { readonly prefix: string; readonly credential: GitCredential }[];
  readonly stateDir: string;
  readonly docker: { readonly socket: string; readonly addressPool: string };
  readonly nginx: {
    readonly mode: 'managed' | 'system';
    readonly listen: readonly string[];
    readonly confDir: string;
    readonly verify: string;
    readonly baseDomain: string;
    readonly trustedProxies: readonly string[];
  };
  readonly concurrency: { readonly builds: number; readonly deployments: number };
  readonly retries: { readonly attempts: number; readonly backoffMs: number; readonly maxBackoffMs: number };
  readonly images: { readonly keep: number };
  readonly prune: { readonly maxShare: number };
  readonly secrets: { readonly dir: string };
  readonly policy: Policy & BuildPolicy;
  readonly log: { readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' };
}

export type GitCredential =
  | { readonly kind: 'token'; readonly tokenFile: string }
  | { readonly kind: 'ssh'; readonly keyFile: string; readonly knownHostsFile: string | null };
