import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './waiting.js';

/** What `startRegistry` with `signIn` asks for. */
export const registryUser = { name: 'signalman', password: 'station-4711' };
/** bcrypt of that password, as `htpasswd -B` writes it. */
const passwordHash = '$2y$05$abcdefghijklmnopqrstuuxB.kt.NPsL..HPF1C9pcwPAAJRQBYFO';

export interface TestRegistry {
  /** `127.0.0.1:19400` */
  readonly host: string;
  stop(): Promise<void>;
}

/** A real registry (Debian package docker-registry) on loopback, with its data in a folder of its own. */
export async function startRegistry(
  port: number,
  options: { readonly signIn: boolean },
): Promise<TestRegistry> {
  const folder = await mkdtemp(join(tmpdir(), 'pointsman-registry-'));
  const host = `127.0.0.1:${port}`;
  const passwords = join(folder, 'htpasswd');
  await writeFile(passwords, `${registryUser.name}:${passwordHash}\n`);
  const config = {
    version: 0.1,
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: join(folder, 'data') } },
    http: { addr: host },
    ...(options.signIn ? { auth: { htpasswd: { realm: 'test', path: passwords } } } : {}),
  };
  // JSON is YAML.
  await writeFile(join(folder, 'config.yml'), JSON.stringify(config));
  const child = spawn('docker-registry', ['serve', join(folder, 'config.yml')], { stdio: 'ignore' });
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const failed = new Promise<never>((_, reject) =>
    child.once('error', (error) =>
      reject(new Error('docker-registry does not run; apt-get install docker-registry', { cause: error })),
    ),
  );
  const ready = until(async () => (await fetch(`http://${host}/v2/`).catch(() => null))?.status);
  await Promise.race([ready, failed]);
  return {
    host,
    async stop() {
      child.kill();
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
