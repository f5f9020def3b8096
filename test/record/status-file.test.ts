import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readStatus } from '../../src/record/status-file.js';
import { temporaryFolder } from './fixtures.js';
import { bareStatus, fullStatus, shop, writeWholeStatus } from './status-fixture.js';

const at = (ms: number) => ({ now: () => Date.parse(fullStatus.writtenAt) + ms });

it.each([
  ['a full one', fullStatus],
  ['an empty one', bareStatus],
  [
    'one with nothing but nulls',
    { ...fullStatus, projects: { shop: { ...shop, desired: null, live: null, previous: null } } },
  ],
])('reads back %s', async (_name, status) => {
  const stateDir = await temporaryFolder();
  await writeWholeStatus(stateDir, status);
  expect(await readStatus(stateDir, at(1_000))).toEqual({
    kind: 'status',
    status,
    ageMs: 1_000,
    isStale: false,
  });
});

it('is stale after thirty seconds, and never of the future', async () => {
  const stateDir = await temporaryFolder();
  await writeWholeStatus(stateDir, fullStatus);
  expect(await readStatus(stateDir, at(30_000))).toMatchObject({ isStale: false });
  expect(await readStatus(stateDir, at(30_001))).toMatchObject({ isStale: true });
  expect(await readStatus(stateDir, at(-5_000))).toMatchObject({ ageMs: 0 });
});

it('is for the user and the group of the controller alone, and leaves no other file', async () => {
  const stateDir = await temporaryFolder();
  await Promise.all([writeWholeStatus(stateDir, fullStatus), writeWholeStatus(stateDir, bareStatus)]);
  expect(((await stat(join(stateDir, 'status.json'))).mode & 0o777).toString(8)).toBe('640');
  expect(await readdir(stateDir)).toEqual(['status.json']);
});

it('takes credentials out of addresses', async () => {
  const stateDir = await temporaryFolder();
  const source = { ...fullStatus.source, error: 'https://me:s3cret@git.example.com/ refused' };
  await writeWholeStatus(stateDir, { ...fullStatus, source });
  expect(await readFile(join(stateDir, 'status.json'), 'utf8')).not.toContain('s3cret');
});

it('says what to do when there is none', async () => {
  const reading = await readStatus(await temporaryFolder());
  expect(reading).toMatchObject({
    kind: 'missing',
    message: expect.stringContaining('pointsman run') as string,
  });
});

it.each([
  ['', 'not JSON'],
  ['{"version":1', 'not JSON'],
  ['{"version":1}', 'required property'],
  [JSON.stringify({ ...fullStatus, version: 2 }), '/version'],
  [JSON.stringify({ ...fullStatus, projects: { shop: { ...shop, state: 'fine' } } }), '/projects/shop/state'],
])('does not take %s for a status', async (text, why) => {
  const stateDir = await temporaryFolder();
  await writeFile(join(stateDir, 'status.json'), text);
  expect(await readStatus(stateDir)).toMatchObject({
    kind: 'unreadable',
    message: expect.stringContaining(why) as string,
  });
});

it('names the user to run as when it may not be read', async () => {
  const stateDir = await temporaryFolder();
  await writeWholeStatus(stateDir, fullStatus);
  await chmod(join(stateDir, 'status.json'), 0);
  // Nothing is forbidden to root.
  const isRoot = process.getuid?.() === 0;
  if (isRoot) process.seteuid?.(65_534);
  try {
    const message = expect.stringContaining('as the user') as string;
    expect(await readStatus(stateDir)).toMatchObject({ kind: 'unreadable', message });
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
});
