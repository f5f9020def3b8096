import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Attempt } from '../src/apply/context.js';
import type { PassContext } from '../src/apply/context.js';
import { Drains } from '../src/apply/drain.js';
import { untilHealthy } from '../src/apply/probe.js';
import { networkProber } from '../src/apply/prober.js';
import { systemClock } from '../src/clock.js';
import { silentLogger } from '../src/log.js';
import type { Journal } from '../src/record/port.js';
import type { ContainerRuntime } from '../src/runtime/port.js';
import { askNginx } from '../src/router/verify.js';
import type { EngineClient } from '../src/runtime/engine-client.js';
import { readEvents } from '../src/runtime/events.js';
import { readLogs } from '../src/runtime/logs.js';
import { joinSignals, onAbort } from '../src/signals.js';
import { withLock } from '../src/source/mirror-lock.js';
import { container } from './plan/world.js';
import { leftWith } from './support/left-with.js';
import { probeTarget } from './support/probe-target.js';

it('can tell what AbortSignal.any leaves', () => {
  const { signal } = new AbortController();
  AbortSignal.any([signal]);
  expect(leftWith(signal)).toBe(1);
});

describe('joinSignals', () => {
  it('aborts with the reason of the first source that does, and of no other', () => {
    const [one, two] = [new AbortController(), new AbortController()];
    const { signal } = joinSignals(one.signal, two.signal);
    expect(signal.aborted).toBe(false);
    two.abort('two');
    one.abort('one');
    expect(signal.reason).toBe('two');
  });

  it('is aborted from the beginning by the first source that is', () => {
    const { signal } = joinSignals(
      new AbortController().signal,
      AbortSignal.abort('a'),
      AbortSignal.abort('b'),
    );
    expect(signal.reason).toBe('a');
  });

  it('leaves nothing with its sources once it is released, and follows them no more', () => {
    const [one, two] = [new AbortController(), new AbortController()];
    const { signal, release } = joinSignals(one.signal, two.signal);
    expect([leftWith(one.signal), leftWith(two.signal)]).toEqual([1, 1]);
    release();
    expect([leftWith(one.signal), leftWith(two.signal)]).toEqual([0, 0]);
    one.abort();
    expect(signal.aborted).toBe(false);
  });
});

it('lets any number listen to one signal', async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error): void => void warnings.push(warning);
  process.on('warning', onWarning);
  const { signal } = new AbortController();
  const stops = Array.from({ length: 50 }, () => onAbort(signal, () => undefined));
  await turn();
  process.off('warning', onWarning);
  expect(warnings).toEqual([]);
  expect(leftWith(signal)).toBe(50);
  for (const stop of stops) stop();
  expect(leftWith(signal)).toBe(0);
});

/** Answers `/` at once, `/never` never. */
const server = createServer((incoming, response) => {
  if (incoming.url === '/') response.end('ok');
});
let port = 0;
beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ({ port } = server.address() as AddressInfo);
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const never = new Promise<never>(() => undefined);
const target = (path: string) => {
  const base = probeTarget('127.0.0.1', port);
  return { ...base, health: { ...base.health, path, intervalMs: 1, successes: 1 } };
};

/** Probes of a container that ends with `exitCode`, or does not end. */
function probing(path: string, exitCode: number | null, signal: AbortSignal): Promise<void> {
  const context = {
    clock: systemClock,
    prober: networkProber,
    runtime: {
      container: () => Promise.resolve(container('blue', 'r1')),
      waitForExit: () => (exitCode === null ? never : Promise.resolve(exitCode)),
    },
  } as unknown as PassContext;
  return untilHealthy(context, 'blue', target(path), 60_000, signal, () => undefined);
}

function drain(barrier: Promise<void>, inFlight: number, signal: AbortSignal): Promise<void> {
  const router = { barrier: () => barrier, inFlight: () => Promise.resolve(inFlight) };
  const drains = new Drains(
    {
      router,
      runtime: {} as ContainerRuntime,
      journal: {} as Journal,
      clock: systemClock,
      log: silentLogger,
    },
    () => undefined,
  );
  return drains.untilEmpty(['127.0.0.1:1'], inFlight === 0 ? 1 : 60_000, signal, () => undefined);
}

/** An engine that says `answer` and no more; null: goes on without a word. */
function engine(answer: string | null): EngineClient {
  return {
    socket: '/engine',
    stream: async ({ signal }: { readonly signal: AbortSignal }) => {
      signal.throwIfAborted();
      const stream = new PassThrough();
      if (answer !== null) stream.end(answer);
      signal.addEventListener('abort', () => stream.destroy(signal.reason as Error));
      return stream;
    },
    messages: (_what: string, stream: AsyncIterable<unknown>) => stream,
    toError: (_what: string, error: unknown) => error,
  } as unknown as EngineClient;
}

async function readAll(stream: AsyncIterable<unknown>): Promise<void> {
  const reader = stream[Symbol.asyncIterator]();
  while ((await reader.next()).done !== true);
}

const logs = (answer: string | null, signal: AbortSignal) =>
  readAll(readLogs(engine(answer), 'c1', { follow: true, tail: null }, signal));
const events = (answer: string | null, signal: AbortSignal) =>
  readAll(
    readEvents(
      { client: engine(answer), instance: 'i', clock: systemClock, networks: () => Promise.resolve([]) },
      signal,
    ),
  );
const locked = (name: string, signal: AbortSignal, use: () => Promise<unknown>) =>
  withLock(name, { what: 'the test', waitMs: 60_000, signal }, use);
const name = (): string => `pointsman-test-${randomBytes(8).toString('hex')}`;
const failing = () => Promise.reject(new Error('no'));

type Call = (signal: AbortSignal) => Promise<unknown>;
interface CallSite {
  readonly what: string;
  readonly ends: Call;
  readonly fails: Call;
  /** Ends by the abort alone. */
  readonly hangs: Call;
}

const callSites: readonly CallSite[] = [
  {
    what: 'a probe',
    ends: (signal) => networkProber.probe(target('/'), signal),
    fails: (signal) => networkProber.probe({ ...target('/'), port: 1 }, signal),
    hangs: (signal) => networkProber.probe(target('/never'), signal),
  },
  {
    what: 'probing until healthy',
    ends: (signal) => probing('/', null, signal),
    fails: (signal) => probing('/never', 1, signal),
    hangs: (signal) => probing('/never', null, signal),
  },
  {
    what: 'a question to nginx',
    ends: (signal) => askNginx(`127.0.0.1:${port}`, '/', signal),
    fails: (signal) => askNginx('127.0.0.1:1', '/', signal),
    hangs: (signal) => askNginx(`127.0.0.1:${port}`, '/never', signal),
  },
  {
    what: 'a drain',
    ends: (signal) => drain(Promise.resolve(), 0, signal),
    fails: (signal) => drain(failing(), 0, signal),
    hangs: (signal) => drain(Promise.resolve(), 1, signal),
  },
  {
    what: 'a lock of a mirror',
    ends: (signal) => locked(name(), signal, () => Promise.resolve()),
    fails: (signal) => locked(name(), signal, failing),
    hangs: (signal) => {
      const taken = name();
      return locked(taken, AbortSignal.timeout(60_000), () => locked(taken, signal, failing));
    },
  },
  {
    what: 'reading a log',
    ends: (signal) => logs('', signal),
    fails: (signal) => logs('plain text, not framed', signal),
    hangs: (signal) => logs(null, signal),
  },
  {
    what: 'reading events',
    ends: (signal) => events('', signal),
    fails: (signal) => events('{', signal),
    hangs: (signal) => events(null, signal),
  },
  {
    what: 'a deployment in hand',
    ends: (signal) => Promise.resolve(new Attempt('r1', signal).end()),
    fails: async (signal) => {
      const attempt = new Attempt('r1', signal);
      attempt.supersede({ kind: 'absent', configCommit: 'c1', heldBecause: null });
      attempt.end();
    },
    hangs: async (signal) => {
      const attempt = new Attempt('r1', signal);
      await once(attempt.signal, 'abort');
    },
  },
];

describe.each(callSites)('$what', ({ ends, fails, hangs }) => {
  it.each([
    ['its end', ends],
    ['a failure', fails],
  ])('leaves nothing with a signal that lives longer, after %s', async (_after, call) => {
    const { signal } = new AbortController();
    await Promise.allSettled([call(signal)]);
    expect(leftWith(signal)).toBe(0);
  });

  it('leaves nothing with it after its abort, which ends the call', async () => {
    const source = new AbortController();
    const ended = Promise.allSettled([hangs(source.signal)]);
    for (let turns = 0; leftWith(source.signal) === 0 && turns < 1_000; turns += 1) await turn();
    expect(leftWith(source.signal)).toBeGreaterThan(0);
    source.abort(new Error('stopping'));
    await ended;
    expect(leftWith(source.signal)).toBe(0);
  });
});
