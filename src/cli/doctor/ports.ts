import { listenersOf as processesOf } from '../../router/process-table.js';

/** Command lines of the processes that listen on a TCP port; empty: nobody does; an unknown one is `''`. */
export type Listeners = (port: number) => Promise<readonly string[]>;

/** From /proc, without any program. Command lines of other users' processes are only seen as root. */
export const listenersOf: Listeners = async (port) => {
  const processes = await processesOf(port);
  if (processes === null) return [];
  return processes.length > 0 ? processes.map(({ command }) => command ?? '') : [''];
};
