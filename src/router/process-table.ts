import { readFileSync } from 'node:fs';
import { readFile, readdir, readlink } from 'node:fs/promises';

/** What /proc says; null or empty where it says nothing (gone, or another PID namespace). */

export function commandLine(pid: number): string | null {
  const text = readOne(`/proc/${pid}/cmdline`);
  return text === null ? null : text.replaceAll('\0', ' ').trim();
}

export function parentOf(pid: number): number | null {
  const fields = statFields(pid);
  return fields === null ? null : Number(fields[1]);
}

/** The systemd unit that a process belongs to, `nginx.service`; null where it belongs to none. */
export function unitOf(pid: number): string | null {
  const groups = readOne(`/proc/${pid}/cgroup`);
  return groups === null ? null : parseUnit(groups);
}

/** The text of /proc/PID/cgroup: `0::/system.slice/nginx.service`, or before cgroup 2 one line for each controller. */
export function parseUnit(groups: string): string | null {
  return /^\d+:(?:name=systemd)?:\/(?:.*\/)?([^/]+\.service)(?:\/|$)/m.exec(groups)?.[1] ?? null;
}

/** `R` running, `S` waiting for an event, `T` stopped … */
export function stateOf(pid: number): string | null {
  return statFields(pid)?.[0] ?? null;
}

/** Fields from the third on: state, parent … The second, the name, may hold spaces and parentheses. */
function statFields(pid: number): readonly string[] | null {
  const text = readOne(`/proc/${pid}/stat`);
  return text === null ? null : text.slice(text.lastIndexOf(')') + 2).split(' ');
}

export async function childrenOf(pid: number): Promise<readonly number[]> {
  const listed = readOne(`/proc/${pid}/task/${pid}/children`);
  if (listed !== null)
    return listed
      .trim()
      .split(' ')
      .filter((text) => text !== '')
      .map(Number);
  return (await processes()).filter((other) => parentOf(other) === pid);
}

export async function processes(): Promise<readonly number[]> {
  return (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
}

/** The network namespace of a process. */
export async function networkOf(pid: number | 'self'): Promise<string | null> {
  return readlink(`/proc/${pid}/ns/net`).catch(() => null);
}

/** One line of /proc/net/tcp or tcp6. */
export interface Connection {
  readonly local: string;
  readonly remote: string;
  /** `01` established, `02` SYN sent, `08` close wait, `0A` listening … */
  readonly state: string;
  readonly inode: string;
}

/** Of this network namespace; null when it cannot be read. IPv4-mapped addresses are given as IPv4. */
export async function connections(): Promise<readonly Connection[] | null> {
  const [four, six] = await Promise.all([read('/proc/net/tcp'), read('/proc/net/tcp6')]);
  if (four === null) return null;
  return [four, six ?? ''].flatMap(parseConnections);
}

/** The text of /proc/net/tcp or tcp6, whose first line is a heading. */
export function parseConnections(text: string): readonly Connection[] {
  return text.split('\n').slice(1).flatMap(parseLine);
}

function parseLine(line: string): readonly Connection[] {
  const fields = line.trim().split(/\s+/);
  const [, local, remote, state] = fields;
  const inode = fields[9];
  if (local === undefined || remote === undefined || state === undefined || inode === undefined) return [];
  return [{ local: readAddress(local), remote: readAddress(remote), state, inode }];
}

/** `0200D50A:0BB8` is `10.213.0.2:3000`: little-endian words in hex. */
function readAddress(text: string): string {
  const [address = '', port = ''] = text.split(':');
  const mapped =
    address.length === 32 && address.startsWith('0000000000000000FFFF0000') ? address.slice(24) : address;
  if (mapped.length !== 8) return `[${mapped}]:${parseInt(port, 16)}`;
  const bytes = [6, 4, 2, 0].map((at) => parseInt(mapped.slice(at, at + 2), 16));
  return `${bytes.join('.')}:${parseInt(port, 16)}`;
}

/**
 * How many connections to `remote`, `10.213.0.2:3000`, are in one of `states`; null when the table
 * cannot be read. Looks for this one address in the text: a busy machine has tens of thousands of
 * lines there, nearly all of connections that have ended. Not in tcp6: whoever connects to an IPv4
 * address, as nginx does, has a socket of that family. The kernel hands out 4 KiB at a time, and whoever
 * else wants the processor gets it in between: read at one go, it would be kept for 6 ms at 6,000 lines.
 */
export async function countConnections(remote: string, states: ReadonlySet<string>): Promise<number | null> {
  const table = await read('/proc/net/tcp', 'latin1');
  return table === null ? null : countRemote(table, remote, states);
}

/** The same of the text of /proc/net/tcp. After a remote address comes the state, after a local one an address. */
export function countRemote(text: string, remote: string, states: ReadonlySet<string>): number {
  const column = new RegExp(` ${writeAddress(remote)} ([0-9A-F]{2}) `, 'g');
  let count = 0;
  for (const [, state = ''] of text.matchAll(column)) if (states.has(state)) count += 1;
  return count;
}

/** `10.213.0.2:3000` is `0200D50A:0BB8`. */
function writeAddress(address: string): string {
  const [host = '', port = ''] = address.split(':');
  const hex = (number: string, digits: number): string =>
    Number(number).toString(16).toUpperCase().padStart(digits, '0');
  const bytes = host.split('.').map((byte) => hex(byte, 2));
  return `${bytes.reverse().join('')}:${hex(port, 4)}`;
}

/** The process that listens on a port, for a message; null when it cannot be told. */
export async function listenerOf(
  port: number,
): Promise<{ readonly pid: number; readonly command: string } | null> {
  const [first] = (await listenersOf(port)) ?? [];
  return first === undefined ? null : { pid: first.pid, command: first.command ?? '?' };
}

/**
 * The processes that listen on a TCP port, `command` null where it cannot be read. Null when nobody
 * listens; empty when somebody does and cannot be seen: descriptors of other users' processes are root's.
 */
export async function listenersOf(
  port: number,
): Promise<readonly { readonly pid: number; readonly command: string | null }[] | null> {
  const inodes = new Set(listeningInodes((await connections()) ?? [], port));
  if (inodes.size === 0) return null;
  const listeners: { readonly pid: number; readonly command: string | null }[] = [];
  for (const pid of await processes())
    if (await holdsSocket(pid, inodes)) listeners.push({ pid, command: commandLine(pid) });
  return listeners;
}

/** Of the sockets that listen on `port`. */
export function listeningInodes(all: readonly Connection[], port: number): readonly string[] {
  return all
    .filter(({ local, state }) => state === '0A' && local.endsWith(`:${port}`))
    .map(({ inode }) => inode);
}

async function holdsSocket(pid: number, inodes: ReadonlySet<string>): Promise<boolean> {
  const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
  for (const descriptor of descriptors) {
    const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '');
    const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
    if (inode !== undefined && inodes.has(inode)) return true;
  }
  return false;
}

/** A file about one process: the kernel has it ready, and asking a thread for it takes twenty times as long. */
function readOne(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

async function read(path: string, encoding: 'utf8' | 'latin1' = 'utf8'): Promise<string | null> {
  return readFile(path, encoding).catch(() => null);
}
