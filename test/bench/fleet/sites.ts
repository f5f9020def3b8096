import { mkdir, writeFile } from 'node:fs/promises';
import { Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { RouteBatcher } from '../../../src/apply/route-batcher.js';
import { systemClock } from '../../../src/clock.js';
import { createLogger } from '../../../src/log.js';
import { NginxRouter } from '../../../src/router/nginx-router.js';
import type { Site } from '../../../src/router/port.js';
import { type NginxWorld, createNginxWorld, siteOf, switchRecord } from '../../support/nginx.js';
import type { Form, Result } from '../benchmark.js';
import { median, timed } from '../numbers.js';

const sizes: Readonly<Record<Form, readonly number[]>> = { full: [10, 1_000, 10_000], short: [10, 1_000] };
const rounds: Readonly<Record<Form, number>> = { full: 50, short: 4 };
const changedAtOnce = 100;
/** What watches the files comes to its end between two switches. */
const betweenMs = 100;
const never = new AbortController().signal;

/** The real nginx: how long a switch takes among many site files, and how often it is reloaded for a batch. */
export async function measureSites(form: Form, say: (line: string) => void): Promise<Result> {
  const samples: Record<string, readonly number[]> = {};
  const reloads: Record<string, number> = {};
  for (const size of sizes[form]) {
    say(`${size} site files`);
    const measured = await measureSize(size, rounds[form]);
    samples[`switch, ${size} sites (ms)`] = measured.switches;
    samples[`processor time of a switch, ${size} sites (ms)`] = [measured.processorMs];
    samples[`batch of routes, ${size} sites (ms)`] = [measured.batchMs];
    if (measured.reloads !== null)
      reloads[`reloads for ${changedAtOnce} routes, ${size} sites`] = measured.reloads;
  }
  const middle = (what: string, size: number | undefined): number =>
    median(samples[`${what}, ${size} sites (ms)`] ?? []);
  const most = sizes[form].at(-1);
  return {
    samples,
    counts: reloads,
    mustBeZero: [],
    ratios: {},
    goals: [
      ...['switch', 'processor time of a switch'].map((what) => ({
        name: `${what}, ${most} ÷ 10 sites`,
        value: middle(what, most) / middle(what, 10),
        atMost: 1.5,
      })),
      ...Object.entries(reloads).map(([name, value]) => ({ name, value, atMost: 2 })),
    ],
  };
}

async function measureSize(
  size: number,
  count: number,
): Promise<{
  readonly switches: readonly number[];
  /** Of this process, for one switch, what its watch of the files takes included. */
  readonly processorMs: number;
  readonly batchMs: number;
  readonly reloads: number | null;
}> {
  const world = await createNginxWorld();
  try {
    await mkdir(world.stateDir, { recursive: true, mode: 0o711 });
    await world.router.start(never);
    const blue = await world.backend('blue');
    const green = await world.backend('green');
    const site = (index: number, path: string): Site =>
      siteOf(`p${index}`, { blue: blue.address, green: green.address }, `${path}${index}.example.org`);
    const all = Array.from({ length: size }, (_, index) => ({
      project: `p${index}`,
      site: site(index, 'p'),
    }));
    await world.router.applySites(all, never);
    for (const { project } of all)
      await writeFile(world.file('switch', `${project}.blue`), JSON.stringify(switchRecord(project, 'blue')));
    await world.router.watch(() => undefined);
    const usedBefore = process.cpuUsage();
    const switches: number[] = [];
    for (let round = 0; round < count; round += 1) {
      const record = switchRecord('p0', round % 2 === 0 ? 'blue' : 'green');
      switches.push(await timed(() => world.router.switchTo(record, never)));
      await delay(betweenMs);
    }
    const { user, system } = process.cpuUsage(usedBefore);
    const processorMs = (user + system) / 1_000 / count;
    if (size < changedAtOnce) return { switches, processorMs, batchMs: 0, reloads: null };
    const routes = Array.from({ length: changedAtOnce }, (_, index) => site(index, 'q'));
    return { switches, processorMs, ...(await moveRoutes(world, routes)) };
  } finally {
    await world.cleanup();
  }
}

/** Asks for all of them at once, as the passes of as many projects do. */
async function moveRoutes(
  world: NginxWorld,
  routes: readonly Site[],
): Promise<{ readonly batchMs: number; readonly reloads: number }> {
  let reloads = 0;
  const output = new Writable({
    write(line: Buffer, _encoding, done) {
      if (line.includes('nginx reloaded')) reloads += 1;
      done();
    },
  });
  const log = createLogger({ level: 'info', output });
  const router = new NginxRouter({ settings: world.settings, clock: systemClock, log });
  const batcher = new RouteBatcher(
    { router, clock: systemClock, log },
    () => new Map(),
    () => undefined,
  );
  try {
    await router.start(never);
    reloads = 0;
    const batchMs = await timed(async () => {
      const outcomes = await Promise.all(routes.map((each) => batcher.request(each.project, each, never)));
      if (outcomes.some(({ kind }) => kind !== 'applied')) throw new Error('not every route was applied');
    });
    return { batchMs, reloads };
  } finally {
    await batcher.close();
    await router.close();
  }
}
