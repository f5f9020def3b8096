// Answers with $VERSION, and the length and digest of what it was sent.
//   ?ms=500   answers that much later
//   /events   a server-sent-event stream: its version every 200 ms, without end
//   an upgrade request becomes a WebSocket that echoes
//   /healthz  what probes ask
//   /seen     how many request ids, `kind/…`, came in the life of the volume /seen, and how many twice, by kind
// At SIGTERM: no new connections, a close frame to WebSockets, the end of streams, connections closed after
// their answers, and then the end.
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

const version = process.env.VERSION ?? 'none';
let isEnding = false;
const streams = new Set();
const sockets = new Set();
/** FIN, close, two bytes: 1001, going away. */
const closeFrame = Buffer.from([0x88, 0x02, 0x03, 0xe9]);

function remember(request) {
  const id = request.headers['x-request-id'];
  if (id !== undefined && existsSync('/seen')) appendFileSync('/seen/ids', `${id}\n`);
}

function answerSeen(response) {
  const ids = existsSync('/seen/ids') ? readFileSync('/seen/ids', 'utf8').trim().split('\n') : [];
  const known = new Set();
  const twice = {};
  for (const id of ids) {
    const [kind] = id.split('/');
    if (known.has(id)) twice[kind] = (twice[kind] ?? 0) + 1;
    known.add(id);
  }
  response.end(JSON.stringify({ version, seen: ids.length, twice }));
}

function answerEvents(response) {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'x-version': version });
  const timer = setInterval(() => response.write(`data: ${version}\n\n`), 200);
  streams.add(response);
  response.write(`data: ${version}\n\n`);
  if (isEnding) response.end();
  response.on('close', () => {
    clearInterval(timer);
    streams.delete(response);
  });
}

async function answer(request, response) {
  const url = new URL(request.url, 'http://application');
  if (isEnding) response.setHeader('connection', 'close');
  if (url.pathname === '/healthz') return response.end('ok\n');
  if (url.pathname === '/seen') return answerSeen(response);
  remember(request);
  if (url.pathname === '/events') return answerEvents(response);
  const hash = createHash('sha1');
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    hash.update(chunk);
  }
  const ms = Number(url.searchParams.get('ms') ?? 0);
  if (ms > 0) await delay(ms);
  const body = JSON.stringify({ version, length, digest: hash.digest('hex') });
  if (isEnding) response.setHeader('connection', 'close');
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  return response.end(body);
}

const server = createServer((request, response) => {
  // A client that goes away while it sends is no fault of ours.
  answer(request, response).catch(() => response.destroy());
});

// Frames of clients are masked and short; the echo is their bytes, unmasked.
function echoFrames(socket) {
  let rest = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 6 && rest.length >= 6 + (rest[1] & 0x7f)) {
      const length = rest[1] & 0x7f;
      const payload = rest.subarray(6, 6 + length).map((byte, index) => byte ^ rest[2 + (index % 4)]);
      socket.write(Buffer.concat([Buffer.from([rest[0], length]), payload]));
      if ((rest[0] & 0x0f) === 8) socket.end();
      rest = rest.subarray(6 + length);
    }
  });
}

server.on('upgrade', (request, socket, head) => {
  remember(request);
  const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
  const accept = createHash('sha1').update(key).digest('base64');
  sockets.add(socket);
  socket.on('error', () => undefined);
  socket.on('close', () => sockets.delete(socket));
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n` +
      `sec-websocket-accept: ${accept}\r\nx-version: ${version}\r\n\r\n`,
  );
  if (isEnding) return socket.end(closeFrame);
  echoFrames(socket);
  if (head.length > 0) socket.emit('data', head);
});

server.keepAliveTimeout = 75_000;
server.listen(Number(process.env.PORT ?? 3000), '0.0.0.0');

process.on('SIGTERM', () => {
  isEnding = true;
  server.close(() => process.exit(0));
  server.closeIdleConnections();
  for (const socket of sockets) socket.end(closeFrame);
  for (const response of streams) response.end();
});
