import type { RouteSpec, Slot } from '../manifest/project.js';

/** All that decides the bytes of one project's site file. */
export interface Site {
  readonly project: string;
  readonly route: RouteSpec;
  /** `address:port` of both slots. */
  readonly upstreams: Readonly<Record<Slot, string>>;
}

/**
 * What the switch file of a live slot holds: enough to bring its container back when the container,
 * and with it its labels, is gone. Never secret values.
 */
export interface SwitchRecord {
  readonly version: 1;
  readonly project: string;
  readonly slot: Slot;
  readonly revision: string;
  readonly imageKey: string;
  readonly image: string;
  readonly configCommit: string;
  readonly sourceCommit: string | null;
  readonly deployment: string;
  /** ISO time of the switch. */
  readonly since: string;
  readonly isRollback: boolean;
  /** What this switch left behind in the other slot: tells the previous from a candidate. */
  readonly previous: { readonly deployment: string; readonly revision: string } | null;
  /** The normalised manifest, as `.spec` of a container holds it. */
  readonly spec: string;
}

export interface RouteFacts {
  /** The site on disk by its own comment; null when there is none or it cannot be understood. */
  readonly site: Site | null;
  /** A site file is there (understood or not). */
  readonly present: boolean;
  /** False when the bytes are not what rendering `site` gives. */
  readonly intact: boolean;
  /** `null`: no file. A file without a readable record is `{ record: null }`. */
  readonly switches: Readonly<Record<Slot, { readonly record: SwitchRecord | null } | null>>;
}

/** `green` wins; null when neither file is there. */
export function liveSlotOf(facts: RouteFacts): Slot | null {
  if (facts.switches.green !== null) return 'green';
  if (facts.switches.blue !== null) return 'blue';
  return null;
}

export interface SiteChange {
  readonly project: string;
  /** Null takes the site away. */
  readonly site: Site | null;
}

/** What a batch did with one change. `held` stays pending until a later batch can take it. */
export type SiteOutcome =
  | { readonly kind: 'applied' }
  | { readonly kind: 'refused'; readonly message: string }
  | { readonly kind: 'superseded' };

export interface RouterHealth {
  readonly ok: boolean;
  readonly message: string | null;
}

/** The reverse proxy in front of every project. */
export interface Router {
  /** Lays out folders and main configuration, starts nginx in managed mode, verifies that it serves ours. @throws NginxUnavailable */
  start(signal: AbortSignal): Promise<void>;
  /** From the files on disk. */
  observe(project: string): Promise<RouteFacts>;
  /** Projects with a site file or a switch file. */
  projects(): Promise<readonly string[]>;
  /** Every site on disk that can be understood. */
  sites(): Promise<readonly Site[]>;
  /**
   * Applies these changes as one batch: staged, tested, renamed, reloaded once, verified. When the
   * test fails the changes are tried one by one; only the offender is refused. Outcomes in order.
   * Batches never overlap. @throws NginxUnavailable when nginx cannot be reloaded or verified
   */
  applySites(changes: readonly SiteChange[], signal: AbortSignal): Promise<readonly SiteOutcome[]>;
  /** Milliseconds to wait until a further reload is allowed; 0 when it may happen now. */
  reloadDelay(): number;
  /**
   * Makes `record.slot` the live one, durably, and returns when nginx says so. Traffic moves at one
   * create or one unlink. The other slot's file is gone when this resolves. Idempotent.
   * @throws SwitchFailed when nginx does not route to it, NginxUnavailable when it cannot be asked
   */
  switchTo(record: SwitchRecord, signal: AbortSignal): Promise<void>;
  /** Writes the switch file of the slot that is live already (lost or damaged record). */
  restoreSwitch(record: SwitchRecord): Promise<void>;
  /** Takes both switch files away; only for a project without a site. */
  clearSwitch(project: string): Promise<void>;
  /** What nginx itself says is live for the project. Null: neither. @throws NginxUnavailable */
  liveSlot(project: string): Promise<Slot | null>;
  /**
   * Resolves when every nginx worker was seen asleep in /proc since the call, or is gone: it chooses a slot
   * and connects without sleeping between, so requests that chose before the call have connected by now.
   * Where workers cannot be seen it waits a second.
   */
  barrier(signal: AbortSignal): Promise<void>;
  /** Established connections from nginx to `address:port`; null when they cannot be seen. */
  inFlight(upstream: string): Promise<number | null>;
  /** Looks at main configuration, process and generation; puts right what is wrong. `repaired` names what was. */
  repair(
    signal: AbortSignal,
  ): Promise<{ readonly health: RouterHealth; readonly repaired: readonly string[] }>;
  /** Calls `onChange` with the project whose files changed under our feet, or null for everything else (main files, nginx gone). */
  watch(onChange: (project: string | null) => void): Promise<() => Promise<void>>;
  /** Stops nginx in managed mode and takes away what `start` laid out. For tests and uninstalling; `run` never calls it. */
  dismantle(): Promise<void>;
  /** Ends watchers and connections. nginx goes on. */
  close(): Promise<void>;
}
