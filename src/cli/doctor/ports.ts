import { listenersOf as processesOf, unitOf } from '../../router/process-table.js';

export interface Listener {
  /** Its command line; `''` where it cannot be told. */
  readonly command: string;
  /** The systemd unit that it belongs to. */
  readonly unit: string | null;
}

/** The processes that listen on a TCP port; empty: nobody does. */
export type Listeners = (port: number) => Promise<readonly Listener[]>;

/** From /proc, without any program. Processes of other users are only seen as root. */
export const listenersOf: Listeners = async (port) => {
  const processes = await processesOf(port);
  if (processes === null) return [];
  if (processes.length === 0) return [{ command: '', unit: null }];
  return processes.map(({ pid, command }) => ({ command: command ?? '', unit: unitOf(pid) }));
};
