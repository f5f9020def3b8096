import { expect, it } from 'vitest';
import { Lanes } from '../../src/apply/lanes.js';

const reason = new Error('superseded');

/** Work that ends when it is told to. */
function work() {
  let end = (): void => undefined;
  const ended = new Promise<string>((resolve) => (end = () => resolve('done')));
  return { run: () => ended, end: () => end() };
}

it('leaves work that runs to end by itself when its signal aborts', async () => {
  const lanes = new Lanes({ builds: 1, deployments: 1 });
  const superseded = new AbortController();
  const { run, end } = work();
  let settled = false;
  const result = lanes.run('deployments', superseded.signal, run).finally(() => (settled = true));
  superseded.abort(reason);
  await new Promise((resolve) => setImmediate(resolve));
  expect(settled).toBe(false);
  end();
  expect(await result).toBe('done');
});

it('gives up waiting for a place when the signal aborts, and never runs that work', async () => {
  const lanes = new Lanes({ builds: 1, deployments: 1 });
  const first = work();
  const running = lanes.run('builds', new AbortController().signal, first.run);
  const superseded = new AbortController();
  let ran = false;
  const waiting = lanes.run('builds', superseded.signal, async () => {
    ran = true;
    return Promise.resolve();
  });
  superseded.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  first.end();
  await running;
  await lanes.run('builds', new AbortController().signal, () => Promise.resolve());
  expect(ran).toBe(false);
});

it('knows nothing of the other lane, and nobody waits without one', async () => {
  const lanes = new Lanes({ builds: 1, deployments: 1 });
  const { signal } = new AbortController();
  const build = work();
  const running = lanes.run('builds', signal, build.run);
  expect(await lanes.run('deployments', signal, () => Promise.resolve('deployed'))).toBe('deployed');
  expect(await lanes.run(null, signal, () => Promise.resolve('back'))).toBe('back');
  build.end();
  await running;
});

it('runs no more at once than its limit', async () => {
  const lanes = new Lanes({ builds: 2, deployments: 4 });
  const { signal } = new AbortController();
  const all = [work(), work(), work()];
  let begun = 0;
  const results = all.map(({ run }) =>
    lanes.run('builds', signal, () => {
      begun += 1;
      return run();
    }),
  );
  await new Promise((resolve) => setImmediate(resolve));
  expect(begun).toBe(2);
  all[0]?.end();
  await results[0];
  await new Promise((resolve) => setImmediate(resolve));
  expect(begun).toBe(3);
  for (const { end } of all) end();
  await Promise.all(results);
});
