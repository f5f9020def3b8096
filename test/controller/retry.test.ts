import { expect, it } from 'vitest';
import type { ApplyDeps } from '../../src/apply/context.js';
import { Controller } from '../../src/controller/controller.js';
import type { ControllerDeps } from '../../src/controller/controller.js';
import { silentLogger } from '../../src/log.js';
import type { JournalEntry } from '../../src/record/port.js';
import { settingsIn } from '../cli/cli.js';
import { ManualClock } from '../support/manual-clock.js';

/** Never started: what `retry` looks at is all there is. `unwell` is of status, `failure` of the journal. */
function controllerWith(unwell: readonly string[], failure: object | null) {
  const written: JournalEntry[] = [];
  const controller = new Controller({
    settings: settingsIn('/nonexistent/pointsman'),
    clock: new ManualClock(),
    log: silentLogger,
    journal: {
      memory: { project: () => ({ failure }) },
      append: (entry: JournalEntry) => Promise.resolve(void written.push(entry)),
    },
    desired: { knows: (project: string) => project === 'shop' },
    status: { unwell: () => unwell.map((project) => ({ project })) },
    apply: () => ({}) as ApplyDeps,
  } as unknown as ControllerDeps);
  return { controller, written };
}

const again = { ok: true, message: 'shop is tried again' };

it('tries a failed revision again, and writes it down', async () => {
  const { controller, written } = controllerWith(['shop'], {});
  expect(await controller.retry('shop')).toEqual(again);
  expect(written).toEqual([{ type: 'retry', project: 'shop', detail: {} }]);
});

it('tries again what is held up outside of a deployment, and what failed and serves all the same', async () => {
  expect(await controllerWith(['shop'], null).controller.retry('shop')).toEqual(again);
  expect(await controllerWith([], {}).controller.retry('shop')).toEqual(again);
});

it('forgets the exits so far of a live container that came back each time', async () => {
  const written: JournalEntry[] = [];
  const runtime = {
    engine: () => Promise.resolve({ id: 'engine' }),
    containers: () => Promise.resolve([]),
    async *events(signal: AbortSignal) {
      yield { kind: 'container', action: 'die', project: 'shop', containerId: 'c0ffee', exitCode: 1 };
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    },
  };
  const close = () => Promise.resolve();
  const watch = () => Promise.resolve(close);
  let heard = (): void => undefined;
  const exited = new Promise<void>((resolve) => (heard = resolve));
  const controller = new Controller({
    settings: settingsIn('/nonexistent/pointsman'),
    clock: new ManualClock(),
    log: silentLogger,
    runtime,
    router: { start: close, watch },
    journal: {
      memory: { project: () => ({ failure: null }), projects: () => [] },
      append: (entry: JournalEntry) => Promise.resolve(void written.push(entry)),
    },
    desired: { commit: null, knows: () => true, names: () => [], noticed: () => heard(), watch },
    status: {
      unwell: () => [],
      component: () => undefined,
      fault: () => undefined,
      isLiveContainer: () => true,
      close,
    },
    apply: () =>
      ({ runtime, log: silentLogger, routes: { close }, drains: { close } }) as unknown as ApplyDeps,
    lockEngine: close,
  } as unknown as ControllerDeps);
  await controller.start(false);
  await exited;
  expect(await controller.retry('shop')).toEqual(again);
  expect(await controller.retry('shop')).toMatchObject({ ok: false });
  expect(written).toEqual([]);
  await controller.stop();
});

it('says that nothing has failed of a project that is as it should be', async () => {
  const { controller, written } = controllerWith(['blog'], null);
  expect(await controller.retry('shop')).toEqual({ ok: false, message: 'nothing of shop has failed' });
  expect(written).toEqual([]);
});

it('knows no project that no manifest names', async () => {
  expect(await controllerWith([], null).controller.retry('blog')).toMatchObject({ ok: false });
});
