import type { ProbeTarget, Prober } from '../../../src/apply/prober.js';
import type { ContractCase } from './contract.js';
import { codeOf, same } from './contract.js';

export interface ProberSubject {
  readonly prober: Prober;
  /** An application that is well. */
  readonly well: ProbeTarget;
  /** An address where nobody listens. */
  readonly nobody: ProbeTarget;
  /** Waits for one probe; the simulation moves its time meanwhile. */
  done<T>(work: Promise<T>): Promise<T>;
}

/** What the phases `probing` and `baking` count on, of any prober. */
export const proberContract: readonly ContractCase<ProberSubject>[] = [
  {
    name: 'an application that is well passes, as often as it is asked',
    async run({ prober, well, done }) {
      for (let time = 0; time < 2; time += 1)
        same(await done(prober.probe(well, new AbortController().signal)), { ok: true });
    },
  },
  {
    name: 'where nobody listens a probe fails with a reason, and does not reject',
    async run({ prober, nobody, done }) {
      const result = await done(prober.probe(nobody, new AbortController().signal));
      same([result.ok, result.ok ? '' : /connection refused/.test(result.why)], [false, true]);
    },
  },
  {
    name: 'a probe rejects with the reason of its signal',
    async run({ prober, well, done }) {
      const abort = new AbortController();
      const probe = prober.probe(well, abort.signal);
      abort.abort(new Error('enough'));
      same(await codeOf(done(probe)), 'Error: enough');
    },
  },
];
