import { createServer, connect, type Socket } from 'node:net';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { engineSocket } from './engine.js';

/** The real engine behind a socket of the test's own: `cut` is the engine dying, as its clients see it. */
export interface EngineProxy {
  readonly socket: string;
  /** Request lines so far, oldest first: `POST /containers/1f2e/start`. */
  readonly requests: readonly string[];
  /** Closes every connection and takes no more. */
  cut(): Promise<void>;
}

export async function proxyEngine(): Promise<EngineProxy> {
  const folder = await mkdtemp(join(tmpdir(), 'pointsman-engine-'));
  const socket = join(folder, 'docker.sock');
  const open = new Set<Socket>();
  const requests: string[] = [];
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect({ path: engineSocket, allowHalfOpen: true });
    for (const each of [client, upstream]) {
      open.add(each);
      each.once('close', () => open.delete(each));
      each.on('error', () => undefined);
    }
    client.once('close', () => upstream.destroy());
    upstream.once('close', () => client.destroy());
    // Clients of Node write the head of a request at once; no body of the engine's API begins like one.
    client.on('data', (chunk: Buffer) => {
      const line = /^([A-Z]+ \/\S*) HTTP\/1\.[01]\r\n/.exec(chunk.toString('latin1', 0, 4096));
      if (line?.[1] !== undefined) requests.push(line[1]);
    });
    client.pipe(upstream).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  return {
    socket,
    requests,
    async cut() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const each of open) each.destroy();
      await closed;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** What a request changes in the engine, in one word and a name where it has one; null when it only looks. */
export function effectOf(request: string): string | null {
  const [method = '', address = ''] = request.split(' ');
  const { pathname, searchParams } = new URL(address.replace(/^\/v1\.\d+/, ''), 'http://engine');
  if (method === 'GET' || method === 'HEAD' || pathname === '/session' || pathname.endsWith('/wait'))
    return null;
  if (pathname === '/build') return 'build';
  if (pathname === '/containers/create') return `create ${searchParams.get('name') ?? ''}`;
  const [, , id = '', action = 'remove'] = pathname.split('/');
  if (pathname.startsWith('/containers/')) return `${action} ${id.slice(0, 12)}`;
  return `${method} ${pathname}`;
}
