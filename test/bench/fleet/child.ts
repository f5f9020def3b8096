/** One measurement of a fleet in a process of its own: `child.ts ORDER`, the figures on the IPC channel. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { configRepository } from '../../../src/compose.js';
import { silentLogger } from '../../../src/log.js';
import type { Settings } from '../../../src/settings/settings.js';
import { MirrorStore } from '../../../src/source/mirror-store.js';
import { timed } from '../numbers.js';
import { composeFleet } from './controller.js';
import { commitManifest, projectName } from './repository.js';
import { FleetWorld } from './world.js';

export interface Order {
  /** `floor`: git and the YAML parser alone. */
  readonly kind: 'controller' | 'cold' | 'floor';
  readonly settings: Settings;
  readonly size: number;
  readonly idleMs: number;
  readonly rounds: number;
}

export interface Figures {
  readonly ms: Readonly<Record<string, readonly number[]>>;
  readonly residentMiB: number;
  /** Of one core, while nothing happens: of this process alone, without the git that a remote repository would take. */
  readonly idlePercent: number;
  /** Changes at the engine or the router when nothing had changed: first look, polls, events, idle time. */
  readonly idleEffects: number;
}

/** Longer than the watch of a local repository takes to tell of a change and of what may have followed it. */
const watchTellsMs = 600;

const run = promisify(execFile);
const never = new AbortController().signal;

/** What any program would have to do: read all blobs through one `git`, parse them. */
async function floor({ settings }: Order): Promise<number> {
  return timed(async () => {
    const { url, branch } = settings.configRepo;
    const { stdout } = await run('git', ['-C', url, 'ls-tree', '-r', branch], { maxBuffer: 1 << 28 });
    const oids = stdout
      .trim()
      .split('\n')
      .map((line) => line.slice(12, 52));
    const child = spawn('git', ['-C', url, 'cat-file', '--batch'], { stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdin.end(`${oids.join('\n')}\n`);
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    await once(child, 'close');
    const all = Buffer.concat(chunks);
    for (let at = 0; at < all.length;) {
      const end = all.indexOf(10, at);
      const size = Number(all.toString('latin1', at + 46, end));
      parse(all.toString('utf8', end + 1, end + 1 + size));
      at = end + 2 + size;
    }
  });
}

async function cold({ settings }: Order): Promise<number> {
  const world = new FleetWorld();
  return timed(async () => {
    const config = configRepository(settings, world.router, new MirrorStore(settings), silentLogger);
    const { error } = await config.sync(never);
    if (error !== null) throw new Error(error.message);
  });
}

async function measure({ settings, size, idleMs, rounds }: Order): Promise<Figures> {
  const world = new FleetWorld();
  const { controller, start, rest, stop } = await composeFleet(settings, size, world);
  const settled = async (): Promise<void> => controller.settled(never);
  const ms: Record<string, number[]> = { 'first look at all': [await timed(start)] };
  const take = async (name: string, work: () => Promise<unknown>): Promise<void> => {
    (ms[name] ??= []).push(await timed(work));
    await settled();
  };
  const { url, branch } = settings.configRepo;
  for (let round = 0; round < rounds; round += 1) {
    await run('git', ['-C', url, 'pack-refs', '--all']);
    // The watch tells of it, and once more a while later: a look that is asked for meanwhile waits for that one.
    await delay(watchTellsMs);
    await settled();
    await take('one ref read', () => run('git', ['-C', url, 'ls-remote', url, `refs/heads/${branch}`]));
    await take('listing poll', () => controller.sync());
    await loosen(url, branch);
    await take('poll', () => controller.sync());
    await take('event', async () => {
      await tellAndLook(world, projectName(round));
      await settled();
    });
  }
  await rest();
  const effectsOfLooks = world.effects;
  for (let round = 0; round < rounds; round += 1) {
    const name = projectName(Math.floor(((round + 0.5) * size) / rounds));
    const switched = new Promise<void>((resolve) => (world.onSwitch = () => resolve()));
    await commitManifest(url, name, `v${round}`);
    await take('manifest', async () => {
      void controller.sync();
      await switched;
    });
  }
  await rest();
  const effectsBefore = world.effects;
  const before = process.cpuUsage();
  await delay(idleMs);
  const { user, system } = process.cpuUsage(before);
  const residentMiB = process.memoryUsage.rss() / 1024 / 1024;
  await rest();
  const idleEffects = effectsOfLooks + world.effects - effectsBefore;
  await stop();
  return { ms, residentMiB, idlePercent: (user + system) / 10 / idleMs, idleEffects };
}

/** Until the pass of that project has begun to look. */
async function tellAndLook(world: FleetWorld, project: string): Promise<void> {
  const looked = new Promise<void>((resolve) => (world.onLook = (name) => name === project && resolve()));
  world.tell(project);
  await looked;
}

/** As a commit or push leaves it. */
async function loosen(url: string, branch: string): Promise<void> {
  const { stdout } = await run('git', ['-C', url, 'rev-parse', branch]);
  await writeFile(join(url, 'refs/heads', branch), stdout);
}

async function work(order: Order): Promise<Figures> {
  if (order.kind === 'controller') return measure(order);
  const ms = { [order.kind]: [await (order.kind === 'cold' ? cold(order) : floor(order))] };
  return { ms, residentMiB: 0, idlePercent: 0, idleEffects: 0 };
}

process.once('disconnect', () => process.exit(1));
const figures = await work(JSON.parse(process.argv[2] ?? '') as Order);
process.send?.(figures, () => process.exit(0));
