import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { get, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../../../src/clock.js';
import { createLogger } from '../../../src/log.js';
import { NginxRouter } from '../../../src/router/nginx-router.js';
import { type NginxWorld, createNginxWorld } from '../../support/nginx.js';
import type { Form, Result } from '../benchmark.js';
import { orInterrupted } from '../interrupt.js';
import { median, timed } from '../numbers.js';
import { type Fleet, composeFleet, fleetSettings } from './controller.js';
import { commitDomains, createFleet, projectName } from './repository.js';
import { FleetWorld } from './world.js';

const sizes: Readonly<Record<Form, readonly number[]>> = { full: [10, 1_000, 10_000], short: [10, 1_000] };
/** Even: the last one switches back to the slot that was live before. */
const rounds: Readonly<Record<Form, number>> = { full: 50, short: 4 };
const changedAtOnce = 100;
/** What watches the files comes to its end between two switches. */
const betweenMs = 100;
/** nginx is looked at once a second, and reloaded again where it is not as it should be. */
const repairedWithinMs = 2_000;
const routedWithinMs = 180_000;
const never = new AbortController().signal;

/**
 * The real nginx before a fleet of which the engine alone is simulated: how long a switch takes among many
 * site files, and what a commit that changes many routes costs.
 */
export async function measureSites(form: Form, say: (line: string) => void): Promise<Result> {
  const samples: Record<string, readonly number[]> = {};
  const reloads: Record<string, number> = {};
  for (const size of sizes[form]) {
    say(`${size} site files`);
    const measured = await measureSize(size, rounds[form]);
    samples[`switch, ${size} sites (ms)`] = measured.switches;
    samples[`processor time of a switch, ${size} sites (ms)`] = [measured.processorMs];
    if (measured.routes === null) continue;
    samples[`commit of ${changedAtOnce} routes until nginx has all, ${size} projects (ms)`] = [
      measured.routes.ms,
    ];
    reloads[`reloads for a commit of ${changedAtOnce} routes, ${size} projects`] = measured.routes.reloads;
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

interface Switches {
  readonly switches: readonly number[];
  /** Of this process, for one switch, what its watch of the files takes included. */
  readonly processorMs: number;
}

interface Routes {
  readonly ms: number;
  readonly reloads: number;
}

async function measureSize(
  size: number,
  count: number,
): Promise<Switches & { readonly routes: Routes | null }> {
  const nginx = await createNginxWorld();
  try {
    const url = await createFleet(join(nginx.folder, 'config.git'), size);
    const settings = { ...fleetSettings(nginx.folder, url), ...nginx.settings };
    const reloads = new Reloads();
    const router = new NginxRouter({ settings, clock: systemClock, log: reloads.log });
    const world = new FleetWorld();
    const fleet = await composeFleet(settings, size, world, router);
    try {
      await orInterrupted(layOut(world, router, nginx));
      const switches = await orInterrupted(measureSwitches(router, count));
      const routes =
        size < changedAtOnce
          ? null
          : await orInterrupted(changeRoutes(fleet, url, nginx.port, router, reloads));
      return { ...switches, routes };
    } finally {
      await fleet.stop();
    }
  } finally {
    await nginx.cleanup();
  }
}

/** Every project of `world` live behind the nginx. */
async function layOut(world: FleetWorld, router: NginxRouter, nginx: NginxWorld): Promise<void> {
  await router.start(never);
  const sites = await world.router.sites();
  await router.applySites(
    sites.map((site) => ({ project: site.project, site })),
    never,
  );
  for (const { project } of sites) {
    const { blue } = (await world.router.observe(project)).switches;
    await writeFile(nginx.file('switch', `${project}.blue`), JSON.stringify(blue?.record));
  }
}

async function measureSwitches(router: NginxRouter, count: number): Promise<Switches> {
  const { blue } = (await router.observe(projectName(0))).switches;
  if (blue?.record == null) throw new Error('the first project is not live');
  const unwatch = await router.watch(() => undefined);
  const usedBefore = process.cpuUsage();
  const switches: number[] = [];
  for (let round = 0; round < count; round += 1) {
    const record = { ...blue.record, slot: round % 2 === 0 ? ('green' as const) : ('blue' as const) };
    switches.push(await timed(() => router.switchTo(record, never)));
    await delay(betweenMs);
  }
  const { user, system } = process.cpuUsage(usedBefore);
  await unwatch();
  return { switches, processorMs: (user + system) / 1_000 / count };
}

/** One commit gives projects other domains. It is over when nginx sends requests for each to its project. */
async function changeRoutes(
  fleet: Fleet,
  url: string,
  port: number,
  router: NginxRouter,
  reloads: Reloads,
): Promise<Routes> {
  await fleet.start();
  const domains = new Map(
    Array.from({ length: changedAtOnce }, (_, index) => {
      const name = projectName(index);
      return [name, `moved-${name}.example.org`] as const;
    }),
  );
  // The reload that laid the sites out is not to delay the one that is measured.
  await delay(router.reloadDelay());
  reloads.count = 0;
  await commitDomains(url, domains);
  const ms = await timed(async () => {
    const deadline = performance.now() + routedWithinMs;
    for (const domain of domains.values()) await untilRouted(port, domain, deadline);
  });
  await delay(repairedWithinMs);
  await fleet.rest();
  if (reloads.count === 0) throw new Error('routes changed, and no reload was seen in the log');
  return { ms, reloads: reloads.count };
}

/** 404: no site has that name. 502: its project's live slot was asked, where nothing listens. */
async function untilRouted(port: number, host: string, deadline: number): Promise<void> {
  for (;;) {
    const outgoing = get({
      host: '127.0.0.1',
      port,
      headers: { host },
      agent: false,
      signal: AbortSignal.timeout(30_000),
    });
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
    response.resume();
    if (response.statusCode === 502) return;
    if (performance.now() > deadline) throw new Error(`${host} is still answered by ${response.statusCode}`);
    await delay(10);
  }
}

/** Reloads of nginx, by what the router logs. */
class Reloads {
  count = 0;
  readonly log = createLogger({
    level: 'info',
    output: new Writable({
      write: (line: Buffer, _encoding, done) => {
        if (line.includes('nginx reloaded')) this.count += 1;
        done();
      },
    }),
  });
}
