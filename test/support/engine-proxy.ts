import { createServer, connect, type Socket } from 'node:net';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { engineSocket } from './engine.js';

/** The real engine behind a socket of the test's own: `cut` is the engine dying, as its clients see it. */
export interface EngineProxy {
  readonly socket: string;
  /** Every request so far that is no mere question: `DELETE /containers/…`. */
  readonly mutations: readonly string[];
  /** Closes every connection and takes no more. */
  cut(): Promise<void>;
}

export async function proxyEngine(): Promise<EngineProxy> {
  const folder = await mkdtemp(join(tmpdir(), 'pointsman-engine-'));
  const socket = join(folder, 'docker.sock');
  const open = new Set<Socket>();
  const mutations: string[] = [];
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect({ path: engineSocket, allowHalfOpen: true });
    for (const each of [client, upstream]) {
      open.add(each);
      each.once('close', () => open.delete(each));
      each.on('error', () => undefined);
    }
    client.once('close', () => upstream.destroy());
    upstream.once('close', () => client.destroy());
    client.on('data', (bytes: Buffer) => mutations.push(...mutationsIn(bytes)));
    client.pipe(upstream).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  return {
    socket,
    mutations,
    async cut() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const each of open) each.destroy();
      await closed;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Clients write the head of a request at once. */
function mutationsIn(bytes: Buffer): readonly string[] {
  const heads = bytes.toString('latin1').matchAll(/(POST|PUT|DELETE|PATCH) (\/\S*) HTTP\/1\.1\r\n/g);
  return [...heads].map(([, method, path]) => `${method} ${path}`);
}
