import type { Router, Site, SwitchRecord } from '../../../src/router/port.js';
import type { Slot } from '../../../src/manifest/project.js';
import type { ContractCase } from './contract.js';
import { same } from './contract.js';

export interface RouterSubject {
  readonly router: Router;
  site(project: string, domain: string): Site;
  record(project: string, slot: Slot): SwitchRecord;
  /** Waits for one call; the simulation moves its time meanwhile. */
  done<T>(work: Promise<T>): Promise<T>;
}

const soon = (): AbortSignal => AbortSignal.timeout(30_000);

/** What the controller counts on, of any proxy that was started. */
export const routerContract: readonly ContractCase<RouterSubject>[] = [
  {
    name: 'a project that nobody knows has nothing',
    async run({ router, done }) {
      const nothing = { site: null, present: false, intact: true, switches: { blue: null, green: null } };
      same(await done(router.observe('nobody')), nothing);
      same(await done(router.liveSlot('nobody')), null);
    },
  },
  {
    name: 'a switch leaves one file, there and back, and can be repeated',
    async run({ router, record, done }) {
      for (const slot of ['blue', 'blue', 'green', 'green', 'blue'] as const) {
        await done(router.switchTo(record('shop', slot), soon()));
        same(await done(router.liveSlot('shop')), slot);
        const { switches } = await done(router.observe('shop'));
        same(
          [switches[slot]?.record, switches[slot === 'blue' ? 'green' : 'blue']],
          [record('shop', slot), null],
        );
      }
      await done(router.clearSwitch('shop'));
      same(await done(router.liveSlot('shop')), null);
    },
  },
  {
    name: 'green wins while both files are there',
    async run({ router, record, done }) {
      await done(router.restoreSwitch(record('shop', 'blue')));
      same(await done(router.liveSlot('shop')), 'blue');
      await done(router.restoreSwitch(record('shop', 'green')));
      same(await done(router.liveSlot('shop')), 'green');
      same(await done(router.projects()), ['shop']);
      await done(router.clearSwitch('shop'));
      same(await done(router.projects()), []);
    },
  },
  {
    name: 'a site comes, changes and goes',
    async run({ router, site, done }) {
      for (const domain of ['a.test', 'b.test']) {
        same(await done(router.applySites([{ project: 'shop', site: site('shop', domain) }], soon())), [
          { kind: 'applied' },
        ]);
        const facts = await done(router.observe('shop'));
        same([facts.site, facts.present, facts.intact], [site('shop', domain), true, true]);
      }
      same(await done(router.sites()), [site('shop', 'b.test')]);
      same(router.reloadDelay() > 0, true);
      await done(router.applySites([{ project: 'shop', site: null }], soon()));
      same(await done(router.sites()), []);
    },
  },
  {
    name: 'two projects trade domains in one batch',
    async run({ router, site, done }) {
      const put = (first: string, second: string): Promise<unknown> =>
        done(
          router.applySites(
            [
              { project: 'one', site: site('one', first) },
              { project: 'two', site: site('two', second) },
            ],
            soon(),
          ),
        );
      await put('a.test', 'b.test');
      same(await put('b.test', 'a.test'), [{ kind: 'applied' }, { kind: 'applied' }]);
      await done(
        router.applySites(
          [
            { project: 'one', site: null },
            { project: 'two', site: null },
          ],
          soon(),
        ),
      );
    },
  },
  {
    name: 'a domain of another project is refused, and the rest of the batch goes',
    async run({ router, site, done }) {
      await done(router.applySites([{ project: 'one', site: site('one', 'a.test') }], soon()));
      const outcomes = await done(
        router.applySites(
          [
            { project: 'three', site: site('three', 'c.test') },
            { project: 'two', site: site('two', 'a.test') },
          ],
          soon(),
        ),
      );
      same(
        outcomes.map(({ kind }) => kind),
        ['applied', 'refused'],
      );
      same((await done(router.observe('two'))).present, false);
      await done(
        router.applySites(
          [
            { project: 'one', site: null },
            { project: 'three', site: null },
          ],
          soon(),
        ),
      );
    },
  },
  {
    name: 'nothing wrong, nothing repaired; starting again changes nothing',
    async run({ router, done }) {
      await done(router.start(soon()));
      same(await done(router.repair(soon())), { health: { ok: true, message: null }, repaired: [] });
    },
  },
];
