import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { basename, dirname } from 'node:path';
import type { Clock } from '../clock.js';
import { FolderWatch } from '../folder-watch.js';
import type { Layout } from './layout.js';
import { isProjectName } from './layout.js';
import { splitAddress } from './verify.js';

/** Before the next try to connect to an nginx that went away. */
const reconnectMs = 250;
/** The death of the master alone closes no connection: its workers serve on. Looking reads two files of /proc and asks for each watched folder. */
const lookEveryMs = 1_000;

/** Sees that nginx's files change under our feet, and that nginx goes away. */
export class RouterWatch {
  readonly #folders: ReadonlySet<string>;
  readonly #files: FolderWatch;
  #socket: Socket | null = null;
  #cancelReconnect: () => void = () => undefined;
  #cancelLook: () => void = () => undefined;
  #closed = false;

  constructor(
    private readonly deps: {
      readonly layout: Layout;
      readonly verify: string;
      readonly clock: Clock;
      /** Whether a main, shared or site file is not as we left it. */
      readonly isForeign: (path: string) => Promise<boolean>;
      /** False when nginx's master process, which we started, is gone. */
      readonly hasMaster: () => Promise<boolean>;
      /** The project whose files changed; null for everything else. */
      readonly onChange: (project: string | null) => void;
    },
  ) {
    const { root, sites, switches, shared } = deps.layout;
    this.#folders = new Set([root, sites, switches, dirname(shared)]);
    this.#files = new FolderWatch((path) => void this.#onFile(path));
  }

  async start(): Promise<void> {
    await this.#files.refresh(this.#folders);
    this.#hold();
    this.#lookLater();
  }

  close(): void {
    this.#closed = true;
    this.#cancelReconnect();
    this.#cancelLook();
    this.#socket?.destroy();
    this.#files.close();
  }

  async #onFile(path: string): Promise<void> {
    const { layout, onChange, isForeign } = this.deps;
    // What is being written has a name like that, and another one when it is whole.
    if (basename(path).startsWith('.')) return;
    const folder = dirname(path);
    const project = basename(path).split('.')[0] ?? '';
    const isSite = folder === layout.sites && isProjectName(project);
    if (folder === layout.switches && isProjectName(project)) onChange(project);
    else if (isSite || path === layout.main || path === layout.shared) {
      // Else a route that is refused would be asked for again by the file that was put, and taken back.
      if (await isForeign(path).catch(() => true)) onChange(isSite ? project : null);
    } else if (this.#folders.has(path)) onChange(null);
  }

  #lookLater(): void {
    this.#cancelLook = this.deps.clock.timer(lookEveryMs, () => void this.#look());
  }

  async #look(): Promise<void> {
    const there = await this.deps.hasMaster().catch(() => false);
    await this.#files.refresh(this.#folders).catch(() => undefined);
    if (this.#closed) return;
    if (!there) this.deps.onChange(null);
    this.#lookLater();
  }

  /** A kept-alive connection to nginx: its end is the news that nginx is gone, or reloaded. */
  #hold(): void {
    if (this.#closed) return;
    const [host, port] = splitAddress(this.deps.verify);
    const socket = connect({ host, port });
    let connected = false;
    this.#socket = socket;
    socket.unref();
    socket.on('connect', () => {
      connected = true;
      socket.write('GET /hold HTTP/1.1\r\nHost: pointsman-verify\r\n\r\n');
    });
    socket.resume();
    socket.on('error', () => undefined);
    socket.on('close', () => {
      if (this.#closed) return;
      if (connected) this.deps.onChange(null);
      this.#cancelReconnect = this.deps.clock.timer(reconnectMs, () => this.#hold());
    });
  }
}
