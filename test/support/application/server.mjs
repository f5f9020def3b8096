// Answers every path with its version and the digest of what it was sent.
//   ?ms=500   answers that much later
//   an upgrade request is answered with 101 and the version, and then each byte is sent back
//   /healthz  what probes ask    /env  its environment    /stream?ms=  one byte, and the rest later
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { behaviour, version } from './behaviour.mjs';

console.log(`this is ${version} in ${hostname()}`);
if (behaviour.exitAtStart !== undefined) {
  console.error(`told to end with status ${behaviour.exitAtStart}`);
  process.exit(behaviour.exitAtStart);
}
if (behaviour.exitAfterMs !== undefined) setTimeout(() => process.exit(1), behaviour.exitAfterMs);

let probes = 0;

async function answerProbe(response) {
  probes += 1;
  const {
    healthDelayMs = 0,
    healthStatus = 200,
    healthyForProbes = Infinity,
    exitAfterProbes = Infinity,
  } = behaviour;
  if (probes > exitAfterProbes) process.exit(1);
  await delay(healthDelayMs);
  response.writeHead(probes > healthyForProbes ? 500 : healthStatus).end(`${version}\n`);
}

async function answer(request, response) {
  const url = new URL(request.url, 'http://application');
  if (url.pathname === '/healthz') return answerProbe(response);
  const hash = createHash('sha1');
  for await (const chunk of request) hash.update(chunk);
  response.setHeader('content-type', 'application/json');
  response.setHeader('x-version', version);
  if (url.pathname === '/env') return response.end(JSON.stringify(process.env));
  if (url.pathname === '/stream') response.write(' ');
  await delay(Number(url.searchParams.get('ms') ?? behaviour.requestMs ?? 0));
  return response.end(JSON.stringify({ version, digest: hash.digest('hex'), host: request.headers.host }));
}

const server = createServer((request, response) => {
  answer(request, response).catch((error) => {
    console.error(error);
    response.destroy();
  });
});

server.on('upgrade', (request, socket) => {
  const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
  const accept = createHash('sha1').update(key).digest('base64');
  socket.on('error', () => undefined);
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n` +
      `sec-websocket-accept: ${accept}\r\nx-version: ${version}\r\n\r\n`,
  );
  socket.pipe(socket);
});

await delay(behaviour.listenAfterMs ?? 0);
server.listen(Number(process.env.PORT), behaviour.bind ?? '0.0.0.0', () => console.log('listening'));

process.on('SIGTERM', () => {
  if (behaviour.ignoreSigterm) return;
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
