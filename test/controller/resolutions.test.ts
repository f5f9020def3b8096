import { beforeEach, expect, it } from 'vitest';
import { Resolutions } from '../../src/controller/resolutions.js';
import type { Want } from '../../src/resolve/want.js';
import { ManualClock } from '../support/manual-clock.js';

const absent: Want = { kind: 'absent', configCommit: 'c1', heldBecause: null };
let clock: ManualClock;
let asked: { readonly answer: (want: Want) => void; readonly fail: (error: Error) => void }[];
let told: string[];
let resolutions: Resolutions;

beforeEach(() => {
  clock = new ManualClock();
  asked = [];
  told = [];
  resolutions = new Resolutions({
    desired: {
      resolve: () => new Promise((answer, fail) => void asked.push({ answer, fail })),
    },
    clock,
    status: { fetching: (project, isFetching) => void told.push(`${project} ${isFetching}`) },
    stopping: new AbortController().signal,
    onKnown: (project) => void told.push(`${project} known`),
  });
});

it('gives a quick answer as it is, and a quick failure', async () => {
  const first = resolutions.resolve('shop');
  asked[0]?.answer(absent);
  expect(await first).toBe(absent);
  const second = resolutions.resolve('shop');
  asked[1]?.fail(new Error('no engine'));
  await expect(second).rejects.toThrow('no engine');
  expect(resolutions.size).toBe(0);
  expect(clock.pending).toBe(0);
  expect(told).toEqual([]);
});

it('says unknown when it takes long, asks once, and tells when there is an answer', async () => {
  const first = resolutions.resolve('shop');
  await clock.advance(1_000);
  expect(await first).toMatchObject({ kind: 'unknown' });
  expect(await resolutions.resolve('shop')).toMatchObject({ kind: 'unknown' });
  expect(asked).toHaveLength(1);
  expect(told).toEqual(['shop true']);
  asked[0]?.answer(absent);
  await resolutions.known();
  expect(told).toEqual(['shop true', 'shop false', 'shop known']);
  expect(resolutions.size).toBe(1);
  expect(await resolutions.resolve('shop')).toBe(absent);
  expect(resolutions.size).toBe(0);
});

it('hands a late failure to whoever asks next', async () => {
  const first = resolutions.resolve('shop');
  await clock.advance(1_000);
  await first;
  asked[0]?.fail(new Error('no engine'));
  await resolutions.known();
  await expect(resolutions.resolve('shop')).rejects.toThrow('no engine');
});

it('asks anew when something else is wanted, and lets the old answer go unheard', async () => {
  const first = resolutions.resolve('shop');
  await clock.advance(1_000);
  await first;
  resolutions.forget('shop');
  asked[0]?.answer({ ...absent, configCommit: 'old' });
  await clock.advance(0);
  expect(told).toEqual(['shop true', 'shop false']);
  const second = resolutions.resolve('shop');
  asked[1]?.answer(absent);
  expect(await second).toBe(absent);
});
