import type { Address } from './load-protocol.js';

/**
 * How long requests in flight may take on a version that lost its traffic, for whoever has such a
 * setting. Longer than the load's longest request: only what has no end of its own is closed by it.
 */
export const drainMs = 8_000;
/** Between two looks at whether a new container is healthy, for whoever has such a setting. */
export const healthIntervalMs = 100;

/** A way to put a new version of the application behind a proxy. */
export interface Deployer extends Address {
  readonly name: string;
  /** What this machine could not do as it should be, and what that means for the figures. */
  readonly notes: readonly string[];
  /**
   * Calls `acknowledged` when the way of deploying says for the first time that requests go to `version`, and
   * resolves when it says that it has finished.
   */
  deploy(version: string, acknowledged?: () => void): Promise<void>;
  /** Waits for what it does behind the back of a finished deployment. */
  rest(): Promise<void>;
  close(): Promise<void>;
}
