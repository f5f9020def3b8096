/** The journal is damaged while no controller runs: the next one says so, touches nothing that serves, and deploys. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { createScenario, type Scenario } from '../../support/scenario.js';
import { Invariants } from './invariants.js';
import { account, randomNumbers, seed } from './report.js';

let scenario: Scenario;
let invariants: Invariants;
afterEach(async () => {
  await invariants.close();
  await scenario.cleanup();
});

interface Harm {
  readonly what: string;
  readonly harm: (bytes: Buffer) => Buffer;
  /** What status says; null where nothing is lost. */
  readonly says: RegExp | null;
}

/** Zeroes a sector of this size, one that chance chooses. */
const zeroed =
  (size: number, chance: () => number) =>
  (bytes: Buffer): Buffer => {
    // Never the last one: that would be a line that was cut short.
    const start = Math.floor((chance() * (bytes.length - 1)) / size) * size;
    return Buffer.from(bytes).fill(0, start, Math.min(start + size, bytes.length - 1));
  };

function flipped(bytes: Buffer, chance: () => number): Buffer {
  const damaged = Buffer.from(bytes);
  // Before the last line: there it might be taken for one that was cut short.
  const place = Math.floor(chance() * bytes.lastIndexOf(0x0a, bytes.length - 2));
  damaged.writeUInt8(damaged.readUInt8(place) ^ (1 << Math.floor(chance() * 8)), place);
  return damaged;
}

const damageNamed = /journal\.jsonl, line \d+: .*; set aside as journal\.damaged-.*records could be read/;

it(`keeps what is live and deploys on, however the journal was damaged (seed ${seed})`, async () => {
  const chance = randomNumbers(seed);
  const harms: readonly Harm[] = [
    { what: 'a zeroed sector of 512 bytes', harm: zeroed(512, chance), says: damageNamed },
    { what: 'a zeroed sector of 4096 bytes', harm: zeroed(4096, chance), says: damageNamed },
    { what: 'a flipped bit', harm: (bytes) => flipped(bytes, chance), says: damageNamed },
    {
      what: 'a tail written twice',
      harm: (bytes) => Buffer.concat([bytes, bytes.subarray(bytes.lastIndexOf(0x0a, bytes.length - 2) + 1)]),
      says: null,
    },
    {
      what: 'a last line cut short',
      harm: (bytes) => bytes.subarray(0, bytes.length - 1 - Math.ceil(chance() * 40)),
      says: null,
    },
  ];
  scenario = await createScenario();
  const shop = scenario.name('shop');
  const application = await scenario.application('shop');
  invariants = await Invariants.watch(scenario, { [shop]: application });
  await scenario.commitManifest(shop, application, { health: { bake: '200ms' } });
  let controller = scenario.start();
  await controller.waitLive(shop);
  const client = scenario.client(shop, 'v1');
  const path = join(scenario.stateDir, 'journal.jsonl');
  for (const [index, { what, harm, says }] of harms.entries()) {
    const from = `v${index + 1}`;
    const to = `v${index + 2}`;
    const container = (await controller.project(shop))?.live?.container;
    await controller.stop();
    await invariants.look();
    invariants.forgetJournal();
    await writeFile(path, harm(await readFile(path)));
    controller = scenario.start();
    const { live } = await controller.waitLive(shop);
    expect([what, live?.container]).toEqual([what, container]);
    const problems = (await controller.ownStatus())?.problems.map(({ message }) => message) ?? [];
    expect([what, problems]).toEqual([what, says === null ? [] : [expect.stringMatching(says)]]);
    client.expect({ from, to });
    const sourceCommit = await application.commitVersion(to);
    await controller.waitLive(shop, { sourceCommit });
    client.acknowledged(to);
    const configCommit = await scenario.config.head();
    await controller.waitIdle({ configCommit, sourceCommits: { [shop]: sourceCommit } });
    await invariants.look();
  }
  await account('journal damaged', harms.length, client);
  await invariants.end(controller);
}, 600_000);
