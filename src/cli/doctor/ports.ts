import { readFile, readdir, readlink } from 'node:fs/promises';
import { commandLine } from '../../router/process-table.js';

/** Command lines of the processes that listen on a TCP port; empty: nobody does; an unknown one is `''`. */
export type Listeners = (port: number) => Promise<readonly string[]>;

/** LISTEN in /proc/net/tcp. */
const listening = '0A';

/** From /proc, without any program. Command lines of other users' processes are only seen as root. */
export const listenersOf: Listeners = async (port) => {
  const tables = await Promise.all(
    ['/proc/net/tcp', '/proc/net/tcp6'].map((path) => readFile(path, 'utf8').catch(() => '')),
  );
  const inodes = new Set(tables.flatMap((text) => listeningInodes(text, port)));
  if (inodes.size === 0) return [];
  const commands: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    if (await holds(pid, inodes)) commands.push((await commandLine(Number(pid))) ?? '');
  }
  return commands.length > 0 ? commands : [''];
};

/** Inodes of the sockets that listen on `port`, from the text of /proc/net/tcp or tcp6. */
export function listeningInodes(text: string, port: number): string[] {
  return text.split('\n').flatMap((line) => {
    const columns = line.trim().split(/\s+/);
    const [local = '', state, inode = ''] = [columns[1], columns[3], columns[9]];
    const isOurs =
      state === listening && Number.parseInt(local.slice(local.lastIndexOf(':') + 1), 16) === port;
    return isOurs ? [inode] : [];
  });
}

async function holds(pid: string, inodes: ReadonlySet<string>): Promise<boolean> {
  const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
  for (const descriptor of descriptors) {
    const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '');
    const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
    if (inode !== undefined && inodes.has(inode)) return true;
  }
  return false;
}
