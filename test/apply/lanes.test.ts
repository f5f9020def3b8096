import { expect, it } from 'vitest';
import { Lanes } from '../../src/apply/lanes.js';
import { settle } from '../support/manual-clock.js';

const never = new AbortController().signal;

it('lets a long build delay no deployment, and a deployment no build', async () => {
  const lanes = new Lanes({ builds: 1, deployments: 1 });
  const done: string[] = [];
  let endBuild = (): void => undefined;
  const build = lanes.run('builds', never, () => new Promise<void>((resolve) => (endBuild = resolve)));
  await lanes.run('deployments', never, async () => void done.push('deployment'));
  await lanes.run(null, never, async () => void done.push('rollback'));
  expect(done).toEqual(['deployment', 'rollback']);
  endBuild();
  await build;
});

it('runs no more at once than its limit', async () => {
  const lanes = new Lanes({ builds: 2, deployments: 4 });
  const ends: (() => void)[] = [];
  const all = [1, 2, 3].map(() =>
    lanes.run('builds', never, () => new Promise<void>((resolve) => ends.push(resolve))),
  );
  await settle();
  expect(ends).toHaveLength(2);
  ends[0]?.();
  await settle();
  expect(ends).toHaveLength(3);
  for (const end of ends) end();
  await Promise.all(all);
});

it('stops waiting for a place when it is aborted, and never begins', async () => {
  const lanes = new Lanes({ builds: 1, deployments: 1 });
  let end = (): void => undefined;
  const first = lanes.run('builds', never, () => new Promise<void>((resolve) => (end = resolve)));
  const abort = new AbortController();
  let began = false;
  const second = lanes.run('builds', abort.signal, async () => {
    began = true;
  });
  abort.abort(new Error('superseded'));
  await expect(second).rejects.toThrow('superseded');
  end();
  await first;
  await settle();
  expect(began).toBe(false);
});
