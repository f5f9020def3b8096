import type { LoadOptions } from './load-protocol.js';

/** A way to put a new version of the application behind an nginx. */
export interface Deployer extends LoadOptions {
  readonly name: string;
  /** Resolves when the way of deploying says that `version` is live. */
  deploy(version: string): Promise<void>;
  /** Waits for what it does behind the back of a finished deployment. */
  rest(): Promise<void>;
  close(): Promise<void>;
}
