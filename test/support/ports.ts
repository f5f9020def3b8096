import { createServer } from 'node:net';

/** Below the ports that the kernel gives to outgoing connections. */
const first = 19_500;
const room = 4_000;

/** Different free ports of 127.0.0.1. */
export async function freePorts(count: 2): Promise<readonly [number, number]>;
export async function freePorts(count: number): Promise<readonly number[]>;
export async function freePorts(count: number): Promise<readonly number[]> {
  const start = Math.floor(Math.random() * room);
  const found: number[] = [];
  for (let step = 0; step < room && found.length < count; step += 1) {
    const port = first + ((start + step) % room);
    if (await isFree(port)) found.push(port);
  }
  if (found.length < count) throw new Error(`fewer than ${count} free ports from ${first} on`);
  return found;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host: '127.0.0.1', port }, () => server.close(() => resolve(true)));
  });
}
