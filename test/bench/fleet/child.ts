/** One measurement of a fleet in a process of its own: `child.ts ORDER`, the figures on the IPC channel. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { composeController, configRepository, prepareStateDir } from '../../../src/compose.js';
import { DeploymentLogs } from '../../../src/apply/deployment-log.js';
import { systemClock } from '../../../src/clock.js';
import { silentLogger } from '../../../src/log.js';
import { openJournal } from '../../../src/record/journal.js';
import { SecretFiles } from '../../../src/resolve/secrets.js';
import type { Settings } from '../../../src/settings/settings.js';
import { MirrorStore } from '../../../src/source/mirror-store.js';
import { GitSourceRepository } from '../../../src/source/source-repository.js';
import { timed } from '../numbers.js';
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
  /** Of one core, while nothing happens. */
  readonly idlePercent: number;
  /** Changes at the engine or the router when nothing had changed. */
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
  const mirrors = new MirrorStore(settings);
  const config = configRepository(settings, world.router, mirrors, silentLogger);
  await prepareStateDir(settings.stateDir);
  const seen = await config.sync(never);
  if (seen.desired?.projects.size !== size)
    throw new Error(seen.error?.message ?? 'not every manifest is valid');
  for (const { project } of seen.desired.projects.values()) world.add(project, seen.desired.commit);
  const clock = systemClock;
  const log = silentLogger;
  const journal = await openJournal({ stateDir: settings.stateDir, clock, log });
  const { controller, status } = composeController(
    settings,
    {
      clock,
      runtime: world.runtime,
      router: world.router,
      config,
      sources: new GitSourceRepository({ settings, mirrors, clock, log }),
      secrets: new SecretFiles(settings.secrets.dir),
      prober: world.prober,
      deploymentLogs: new DeploymentLogs(settings.stateDir),
      lock: async () => ({ release: async () => undefined }),
    },
    journal,
    { log, version: 'bench', onProgress: () => undefined },
    { add: () => undefined },
  );
  const settled = async (): Promise<void> => controller.settled(never);
  const converge = await timed(async () => {
    await controller.start(false);
    await controller.run();
    await settled();
  });
  if (!status.allWell) throw new Error('the fleet is not at rest');
  const idleEffects = world.effects;
  const ms: Record<string, number[]> = { 'first look at all': [converge] };
  const take = async (name: string, work: () => Promise<unknown>): Promise<void> => {
    (ms[name] ??= []).push(await timed(work));
    await settled();
  };
  const { url, branch } = settings.configRepo;
  for (let round = 0; round < rounds; round += 1) {
    await run('git', ['-C', url, 'pack-refs', '--all']);
    // The watch tells of it, and once more a while later: a look that is asked for meanwhile waits for that one.
    await clock.sleep(watchTellsMs, never);
    await settled();
    await take('one ref read', () => run('git', ['-C', url, 'ls-remote', url, `refs/heads/${branch}`]));
    await take('listing poll', () => controller.sync());
    await loosen(url, branch);
    await take('poll', () => controller.sync());
    await take('event', () => oneEvent(world, projectName(round)));
  }
  for (let round = 0; round < rounds; round += 1) {
    const name = projectName(Math.floor(((round + 0.5) * size) / rounds));
    const switched = new Promise<void>((resolve) => (world.onSwitch = () => resolve()));
    await commitManifest(url, name, `v${round}`);
    await take('manifest', async () => {
      void controller.sync();
      await switched;
    });
  }
  const before = process.cpuUsage();
  await clock.sleep(idleMs, never);
  const { user, system } = process.cpuUsage(before);
  const residentMiB = process.memoryUsage.rss() / 1024 / 1024;
  await controller.stop();
  await journal.close();
  return { ms, residentMiB, idlePercent: (user + system) / 10 / idleMs, idleEffects };
}

/** Until the project was looked at. */
async function oneEvent(world: FleetWorld, project: string): Promise<void> {
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

const figures = await work(JSON.parse(process.argv[2] ?? '') as Order);
process.send?.(figures, () => process.exit(0));
