import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { access, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import Docker from 'dockerode';
import { ensureBaseImage } from './base-image.js';
import { engine } from './engine.js';
import { processesOf } from './processes.js';
import { until } from './waiting.js';

const execute = promisify(execFile);

/** A dockerd of the test's own, beside the machine's: it may be stopped and killed. */
export interface OwnEngine {
  readonly socket: string;
  readonly docker: Docker;
  /** Resolves when it answers. */
  start(): Promise<void>;
  /** `SIGTERM`: as a service manager stops it; containers go on with live-restore only. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  cleanup(): Promise<void>;
}

/** Started, with the base image in it. Its bridge is its own, and it leaves the machine's firewall alone. */
export async function createOwnEngine(options: { readonly liveRestore: boolean }): Promise<OwnEngine> {
  const folder = await mkdtemp(join(tmpdir(), 'pointsman-dockerd-'));
  const socket = join(folder, 'docker.sock');
  // One of its own: with `none`, dockerd takes the machine's docker0 away.
  const number = randomInt(256);
  const bridge = `pm-test-${number}`;
  await execute('ip', ['link', 'add', bridge, 'type', 'bridge']);
  await execute('ip', ['address', 'add', `10.215.${number}.1/24`, 'dev', bridge]);
  await execute('ip', ['link', 'set', bridge, 'up']);
  const docker = new Docker({ socketPath: socket });
  let daemon: ChildProcess | null = null;
  // Apart from dockerd, as Debian's services are: it outlives a dockerd that is killed.
  const containerdConfig = join(folder, 'containerd.toml');
  await writeFile(
    containerdConfig,
    `version = 2
disabled_plugins = ["io.containerd.grpc.v1.cri"]
root = "${folder}/containerd"
state = "${folder}/containerd-state"
[grpc]
address = "${folder}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
path = "${folder}/opt"
`,
  );
  const containerd = await startDaemon('containerd', ['--config', containerdConfig], () =>
    access(join(folder, 'containerd.sock')),
  );
  const own: OwnEngine = {
    socket,
    docker,
    async start() {
      const daemonArguments = [
        `--data-root=${folder}/data`,
        `--exec-root=${folder}/exec`,
        `--pidfile=${folder}/docker.pid`,
        `--host=unix://${socket}`,
        `--containerd=${folder}/containerd.sock`,
        `--bridge=${bridge}`,
        '--iptables=false',
        `--live-restore=${options.liveRestore}`,
      ];
      daemon = await startDaemon('dockerd', daemonArguments, () => docker.ping());
    },
    async end(signal) {
      await endDaemon(daemon, signal);
      daemon = null;
    },
    async cleanup() {
      await own.end('SIGTERM');
      await own.start();
      for (const { Id } of await docker.listContainers({ all: true }))
        await docker.getContainer(Id).remove({ force: true });
      await docker.pruneNetworks();
      await own.end('SIGTERM');
      await endDaemon(containerd, 'SIGTERM');
      // dockerd mounts its folder on itself, and one that was killed left that.
      for (const path of await mountsBelow(folder)) await execute('umount', [path]);
      await rm(folder, { recursive: true, force: true });
      await execute('ip', ['link', 'delete', bridge]);
      const left = await processesOf(folder);
      if (left.length > 0) throw new Error(`left behind: ${left.map(({ command }) => command).join(', ')}`);
    },
  };
  await own.start();
  await ensureBaseImage();
  const image = await engine.getImage('node:base').get();
  const loading = await docker.loadImage(image);
  loading.resume();
  await once(loading, 'end');
  return own;
}

/** Innermost first. */
async function mountsBelow(folder: string): Promise<readonly string[]> {
  const mounts = await readFile('/proc/self/mounts', 'utf8');
  const paths = mounts.split('\n').map((line) => line.split(' ')[1] ?? '');
  return paths.filter((path) => path.startsWith(`${folder}/`)).reverse();
}

/** Resolves when `answers` does. */
async function startDaemon(
  program: string,
  args: readonly string[],
  answers: () => Promise<unknown>,
): Promise<ChildProcess> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log = (log + text).slice(-4_000)));
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`${program} ended:\n${log}`);
    return answers().then(
      () => true,
      () => false,
    );
  }, 60_000);
  return child;
}

async function endDaemon(daemon: ChildProcess | null, signal: NodeJS.Signals): Promise<void> {
  if (daemon === null || daemon.exitCode !== null || daemon.signalCode !== null) return;
  const exited = once(daemon, 'exit');
  daemon.kill(signal);
  await exited;
}
