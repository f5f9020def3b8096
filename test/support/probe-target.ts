import type { ProbeTarget } from '../../src/apply/prober.js';

/** What a probe of `/` asks, with the limits of a manifest that says nothing of health but the path. */
export function probeTarget(address: string, port: number): ProbeTarget {
  return {
    address,
    port,
    host: 'localhost',
    health: {
      path: '/',
      status: { from: 200, to: 399 },
      intervalMs: null,
      timeoutMs: 2_000,
      successes: 2,
      withinMs: 60_000,
      bakeMs: 10_000,
      failures: 3,
    },
  };
}
