import { describe, expect, it } from 'vitest';
import { RouteBatcher } from '../../src/apply/route-batcher.js';
import { silentLogger } from '../../src/log.js';
import type { Router, Site, SiteChange } from '../../src/router/port.js';
import { ManualClock, settle } from '../support/manual-clock.js';

const never = new AbortController().signal;

function site(project: string, ...domains: string[]): Site {
  return {
    project,
    route: { domains, maxBodyBytes: 1, readTimeoutMs: 1 },
    upstreams: { blue: '10.0.0.2:1', green: '10.0.0.3:1' },
  };
}

/** A router that keeps sites in memory and refuses domains that begin with `bad`. */
function world(claims: Readonly<Record<string, string>> = {}) {
  const clock = new ManualClock();
  const sites = new Map<string, Site>();
  const batches: string[][] = [];
  const late: string[] = [];
  let lastReload = -Infinity;
  const router = {
    sites: async () => [...sites.values()],
    reloadDelay: () => Math.max(0, lastReload + 5_000 - clock.monotonic()),
    applySites: async (changes: readonly SiteChange[]) => {
      batches.push(changes.map(({ project }) => project));
      lastReload = clock.monotonic();
      return changes.map(({ project, site: wanted }) => {
        if (wanted?.route.domains[0]?.startsWith('bad') === true)
          return { kind: 'refused' as const, message: 'nginx -t says no' };
        if (wanted === null) sites.delete(project);
        else sites.set(project, wanted);
        return { kind: 'applied' as const };
      });
    },
  } as unknown as Router;
  const batcher = new RouteBatcher(
    { router, clock, log: silentLogger },
    () => new Map(Object.entries(claims)),
    (project) => late.push(project),
  );
  return { batcher, batches, clock, late, sites };
}

describe('RouteBatcher', () => {
  it('lets changes within a second share one batch', async () => {
    const { batcher, batches, clock } = world();
    const outcomes = Promise.all([
      batcher.request('a', site('a', 'a.test'), never),
      batcher.request('b', site('b', 'b.test'), never),
    ]);
    await clock.advance(500);
    const third = batcher.request('c', site('c', 'c.test'), never);
    await clock.advance(500);
    expect(await outcomes).toEqual([{ kind: 'applied' }, { kind: 'applied' }]);
    expect(await third).toEqual({ kind: 'applied' });
    expect(batches).toEqual([['a', 'b', 'c']]);
  });

  it('begins the next batch no earlier than 5 s after the last one', async () => {
    const { batcher, batches, clock } = world();
    const first = batcher.request('a', site('a', 'a.test'), never);
    await clock.advance(1_000);
    await first;
    const second = batcher.request('b', site('b', 'b.test'), never);
    await clock.advance(4_999);
    expect(batches).toHaveLength(1);
    await clock.advance(1);
    await second;
    expect(batches).toEqual([['a'], ['b']]);
  });

  it('refuses the offender alone', async () => {
    const { batcher, clock } = world();
    const bad = batcher.request('a', site('a', 'bad.test'), never);
    const good = batcher.request('b', site('b', 'b.test'), never);
    await clock.advance(1_000);
    expect(await bad).toEqual({ kind: 'refused', message: 'nginx -t says no' });
    expect(await good).toEqual({ kind: 'applied' });
  });

  it('moves a domain when its old owner gives it up, and tells the one that waited', async () => {
    const { batcher, clock, late, sites } = world({ 'x.test': 'b' });
    sites.set('a', site('a', 'x.test'));
    const waiting = batcher.request('b', site('b', 'x.test'), never);
    await clock.advance(1_000);
    expect(await waiting).toMatchObject({ kind: 'held' });
    expect(batcher.isPending('b')).toBe(true);
    const leaving = batcher.request('a', null, never);
    await clock.advance(10_000);
    expect(await leaving).toEqual({ kind: 'applied' });
    expect(late).toEqual(['b']);
    expect([...sites.keys()]).toEqual(['b']);
  });

  it('forgets a wish that was withdrawn', async () => {
    const { batcher, clock, sites } = world();
    sites.set('a', site('a', 'x.test'));
    const held = batcher.request('b', site('b', 'x.test'), never);
    await clock.advance(1_000);
    await held;
    batcher.withdraw('b');
    const gone = batcher.request('a', null, never);
    await clock.advance(10_000);
    await gone;
    expect(sites.size).toBe(0);
  });

  it('rejects who waits when it is closed', async () => {
    const { batcher, clock } = world();
    const waiting = batcher.request('a', site('a', 'a.test'), never);
    const rejected = expect(waiting).rejects.toThrow('the controller stops');
    await settle();
    await batcher.close();
    await rejected;
    expect(clock.pending).toBe(0);
  });
});
