import { describe, expect, it } from 'vitest';
import { Drains } from '../../src/apply/drain.js';
import { silentLogger } from '../../src/log.js';
import type { Journal, JournalEntry } from '../../src/record/port.js';
import { ManualClock, settle } from '../support/manual-clock.js';

/** Drains over a count that the test sets. */
function world(
  count: { value: number | null; takesMs?: number; asked?: number },
  setRestartPolicy?: () => Promise<void>,
) {
  const clock = new ManualClock();
  const records: JournalEntry[] = [];
  const drained: string[] = [];
  let openBarrier = (): void => undefined;
  const barrier = new Promise<void>((resolve) => (openBarrier = resolve));
  const journal = { append: async (entry: JournalEntry) => void records.push(entry) } as unknown as Journal;
  const router = {
    barrier: (signal: AbortSignal) =>
      Promise.race([
        barrier,
        new Promise<void>((_, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }),
        ),
      ]),
    inFlight: async () => {
      count.asked = (count.asked ?? 0) + 1;
      if (count.takesMs !== undefined) await clock.sleep(count.takesMs, new AbortController().signal);
      return count.value;
    },
  };
  const policies: string[] = [];
  const runtime = {
    setRestartPolicy:
      setRestartPolicy ?? (async (id: string, policy: string) => void policies.push(`${id} ${policy}`)),
  };
  const drains = new Drains({ router, runtime, journal, clock, log: silentLogger }, (project) =>
    drained.push(project),
  );
  return { clock, records, policies, drained, drains, openBarrier };
}

const request = {
  project: 'shop',
  slot: 'blue',
  container: 'c1',
  revision: 'A',
  upstream: '10.0.0.2:3000',
  drainMs: 30_000,
} as const;

describe('Drains', () => {
  it('is done as soon as nothing is in flight, and not before every worker has turned', async () => {
    const { clock, records, drained, drains, openBarrier } = world({ value: 0 });
    drains.start(request);
    await clock.advance(5_000);
    expect(drained).toEqual([]);
    openBarrier();
    await clock.advance(0);
    expect(drained).toEqual(['shop']);
    expect(records).toEqual([
      {
        type: 'previous',
        project: 'shop',
        revision: 'A',
        detail: { event: 'drained', slot: 'blue', inFlight: 0 },
      },
    ]);
    expect(clock.pending).toBe(0);
  });

  it('lets the container no longer restart by itself, before it is said to be drained', async () => {
    const { clock, records, policies, drains, openBarrier } = world({ value: 1 });
    drains.start(request);
    openBarrier();
    await clock.advance(29_999);
    expect(policies).toEqual([]);
    await clock.advance(1);
    expect(policies).toEqual(['c1 no']);
    expect(records).toHaveLength(1);

    let recorded: number | null = null;
    const given = world({ value: 0 }, async () => void (recorded = given.records.length));
    given.drains.start(request);
    given.openBarrier();
    await settle();
    expect(recorded).toBe(0);
  });

  it('is drained all the same where the engine cannot change that', async () => {
    const { drained, drains, openBarrier } = world({ value: 0 }, () =>
      Promise.reject(new Error('no engine')),
    );
    drains.start(request);
    openBarrier();
    await settle();
    expect(drained).toEqual(['shop']);
  });

  it('waits for requests in flight and tells how many there are', async () => {
    const count = { value: 2 as number | null };
    const { clock, drained, drains, openBarrier } = world(count);
    openBarrier();
    drains.start(request);
    await clock.advance(1_000);
    expect(drains.state('shop')).toEqual({ slot: 'blue', inFlight: 2 });
    count.value = 0;
    await clock.advance(1_199);
    expect(drained).toEqual([]);
    await clock.advance(1);
    expect(drained).toEqual(['shop']);
    expect(drains.active).toBe(0);
  });

  it.each([
    ['after 2.2 s and then every second while a count takes no time', 0, 9],
    ['after 2.2 s and then every second and a bit where it takes 25 ms', 25, 9],
    ['every 10 s where it takes half a second', 500, 1],
  ])('counts %s', async (_, takesMs, times) => {
    const count = { value: 1, takesMs, asked: 0 };
    const { clock, drains, openBarrier } = world(count);
    openBarrier();
    drains.start(request);
    await clock.advance(9_970);
    expect(count.asked).toBe(times);
    await drains.close();
  });

  it('ends after drainMs whatever is in flight', async () => {
    const { clock, records, drained, drains, openBarrier } = world({ value: 3 });
    openBarrier();
    drains.start(request);
    await clock.advance(29_999);
    expect(drained).toEqual([]);
    await clock.advance(1);
    expect(drained).toEqual(['shop']);
    expect(records).toMatchObject([{ detail: { inFlight: 3 } }]);
  });

  it('waits the full time where connections cannot be seen', async () => {
    const { clock, drained, drains, openBarrier } = world({ value: null });
    openBarrier();
    drains.start(request);
    await clock.advance(29_000);
    expect(drained).toEqual([]);
    await clock.advance(1_000);
    expect(drained).toEqual(['shop']);
  });

  it('says nothing when it is cancelled', async () => {
    const { clock, records, policies, drained, drains } = world({ value: 1 });
    drains.start(request);
    await settle();
    await drains.cancel('shop');
    expect(drains.active).toBe(0);
    expect({ records, policies, drained }).toEqual({ records: [], policies: [], drained: [] });
    expect(clock.pending).toBe(0);
  });
});
