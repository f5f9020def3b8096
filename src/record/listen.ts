import type { Server } from 'node:net';

/** Listens on a unix socket: a path, or an abstract name after a zero byte. Rejects with what `listen` says. */
export function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
