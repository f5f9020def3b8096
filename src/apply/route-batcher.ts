import type { Clock } from '../clock.js';
import { PointsmanError, isAbort, messageOf } from '../errors.js';
import type { Logger } from '../log.js';
import { planSites } from '../plan/plan-sites.js';
import type { Router, Site } from '../router/port.js';
import { onAbort } from '../signals.js';

/** Changes within this window share one reload (SPEC section 3). */
const windowMs = 1_000;

/** What became of a wish. `held` stays wished for and is taken with a later batch. */
export type RouteOutcome =
  | { readonly kind: 'applied' }
  | { readonly kind: 'held'; readonly message: string }
  | { readonly kind: 'refused'; readonly message: string };

interface Wish {
  site: Site | null;
  readonly waiting: Set<(outcome: RouteOutcome | Error) => void>;
}

/**
 * Gathers what projects want of their site files into few reloads, and lets a domain move only when
 * its old owner gives it up in the same batch.
 */
export class RouteBatcher {
  readonly #wishes = new Map<string, Wish>();
  readonly #abort = new AbortController();
  #cancelTimer: (() => void) | null = null;
  #flushing: Promise<void> | null = null;

  constructor(
    private readonly deps: { readonly router: Router; readonly clock: Clock; readonly log: Logger },
    /** Domain → project that the config repository gives it to. */
    private readonly claims: () => ReadonlyMap<string, string>,
    /** A wish that was held has come true. */
    private readonly onLateApplied: (project: string) => void,
  ) {}

  /** Asks for a site (null: none) and waits for what the next batch makes of it. */
  async request(project: string, site: Site | null, signal: AbortSignal): Promise<RouteOutcome> {
    signal.throwIfAborted();
    const wish = this.#wishes.get(project) ?? { site, waiting: new Set() };
    wish.site = site;
    this.#wishes.set(project, wish);
    this.#schedule();
    return new Promise<RouteOutcome>((resolve, reject) => {
      const settle = (outcome: RouteOutcome | Error): void => {
        stopListening();
        if (outcome instanceof Error) reject(outcome);
        else resolve(outcome);
      };
      wish.waiting.add(settle);
      const stopListening = onAbort(signal, () => {
        wish.waiting.delete(settle);
        if (wish.waiting.size === 0) this.withdraw(project);
        reject(signal.reason as Error);
      });
    });
  }

  /** Whether the project's wish waits for its turn. */
  isPending(project: string): boolean {
    return this.#wishes.has(project);
  }

  /** The project no longer wants another site than it has. */
  withdraw(project: string): void {
    const wish = this.#wishes.get(project);
    if (wish !== undefined && wish.waiting.size === 0) this.#wishes.delete(project);
  }

  /** Claims or sites changed: held wishes may go now. */
  reconsider(): void {
    if (this.#wishes.size > 0) this.#schedule();
  }

  async close(): Promise<void> {
    this.#abort.abort(new PointsmanError('NginxUnavailable', 'the controller stops'));
    this.#cancelTimer?.();
    await this.#flushing?.catch(() => undefined);
    for (const wish of this.#wishes.values()) settleAll(wish, this.#abort.signal.reason as Error);
    this.#wishes.clear();
  }

  #schedule(): void {
    if (this.#cancelTimer !== null || this.#flushing !== null || this.#abort.signal.aborted) return;
    const delay = Math.max(windowMs, this.deps.router.reloadDelay());
    this.#cancelTimer = this.deps.clock.timer(delay, () => {
      this.#cancelTimer = null;
      this.#flushing = this.#flush().finally(() => {
        this.#flushing = null;
        if ([...this.#wishes.values()].some((wish) => wish.waiting.size > 0)) this.#schedule();
      });
    });
  }

  async #flush(): Promise<void> {
    const batch = new Map(this.#wishes);
    const wanted = new Map([...batch].map(([project, wish]) => [project, wish.site] as const));
    try {
      const sites = await this.deps.router.sites();
      const plan = planSites({ sites, wanted, claims: this.claims() });
      for (const held of plan.held) {
        const message = `domain ${held.domain} moves in one step with project ${held.holder}, which is not ready for that yet`;
        const wish = batch.get(held.project);
        if (wish !== undefined) settleAll(wish, { kind: 'held', message });
      }
      if (plan.changes.length === 0) return;
      const outcomes = await this.deps.router.applySites(plan.changes, this.#abort.signal);
      plan.changes.forEach((change, index) => {
        const outcome = outcomes[index];
        this.#settle(
          change.project,
          change.site,
          batch.get(change.project),
          outcome?.kind === 'refused' ? { kind: 'refused', message: outcome.message } : { kind: 'applied' },
        );
      });
      if (outcomes.some((outcome) => outcome.kind === 'applied'))
        this.#releaseHeld(plan.changes.map(({ project }) => project));
    } catch (error) {
      if (!isAbort(error, this.#abort.signal))
        this.deps.log.error(
          { error: messageOf(error), sites: batch.size },
          'site files could not be changed',
        );
      const failure = error instanceof Error ? error : new Error(String(error));
      for (const wish of batch.values()) settleAll(wish, failure);
    }
  }

  #settle(project: string, site: Site | null, wish: Wish | undefined, outcome: RouteOutcome): void {
    if (wish === undefined) return;
    const late = wish.waiting.size === 0;
    if (wish.site === site) this.#wishes.delete(project);
    settleAll(wish, outcome);
    if (late) this.onLateApplied(project);
  }

  /** What this batch gave up may be what others wait for. */
  #releaseHeld(changed: readonly string[]): void {
    if ([...this.#wishes.keys()].some((project) => !changed.includes(project)))
      queueMicrotask(() => this.#schedule());
  }
}

function settleAll(wish: Wish, outcome: RouteOutcome | Error): void {
  const waiting = [...wish.waiting];
  wish.waiting.clear();
  for (const settle of waiting) settle(outcome);
}
