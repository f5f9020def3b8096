import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { endProcess, workersOf } from './processes.js';
import { until } from './waiting.js';

const execute = promisify(execFile);

/**
 * The nginx that Debian's package sets up, with its default site, run as its service does. It lives in a
 * mount namespace of its own, where `/etc/nginx` is a copy: the machine's stays as it is.
 */
export interface MachineNginx {
  /** Goes before a command that is to see this `/etc/nginx`. */
  readonly enter: readonly string[];
  /** The copy, as seen from outside. */
  readonly folder: string;
  /** The stock `/etc/nginx/conf.d` and the like, as seen from inside. */
  readonly confDir: string;
  /** Pids: a reload changes every one of them. */
  workers(): Promise<readonly number[]>;
  cleanup(): Promise<void>;
}

/** `port` of 127.0.0.1 is where the default site answers. */
export async function startMachineNginx(parent: string, port: number): Promise<MachineNginx> {
  const folder = join(parent, 'etc-nginx');
  const logs = join(parent, 'var-log-nginx');
  const pidFile = join(parent, 'nginx.pid');
  await cp('/etc/nginx', folder, { recursive: true, dereference: true });
  await mkdir(logs);
  await chmod(logs, 0o755);
  await edit(join(folder, 'nginx.conf'), (text) => text.replace(/^pid .*$/m, `pid ${pidFile};`));
  await edit(join(folder, 'sites-enabled/default'), (text) =>
    text
      .replace(/^\s*listen \[::\]:80 .*$/m, '')
      .replace('listen 80 default_server;', `listen 127.0.0.1:${port} default_server;`),
  );
  const script =
    'mount --bind "$1" /etc/nginx && mount --bind "$2" /var/log/nginx && echo ready && exec sleep 86400';
  const keeper = spawn(
    'unshare',
    ['--mount', '--propagation', 'private', '--', 'sh', '-c', script, 'sh', folder, logs],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  await once(keeper.stdout, 'data');
  const enter = ['nsenter', `--mount=/proc/${keeper.pid}/ns/mnt`, '--'];
  const [program = '', ...args] = [...enter, 'nginx'];
  await execute(program, args);
  const master = Number(await until(() => readFile(pidFile, 'utf8').catch(() => null)));
  return {
    enter,
    folder,
    confDir: '/etc/nginx/conf.d',
    workers: () => workersOf(master),
    async cleanup() {
      await endProcess(master);
      keeper.kill('SIGKILL');
      await once(keeper, 'exit');
    },
  };
}

async function edit(path: string, change: (text: string) => string): Promise<void> {
  const before = await readFile(path, 'utf8');
  const after = change(before);
  if (after === before) throw new Error(`${path} is not as Debian ships it`);
  await writeFile(path, after);
}
