// A board of notes: a volume, a release command, environment, a WebSocket and server-sent events.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { renderPage } from './page.mjs';
import { addNote, currentSchema, neededSchema, readNotes } from './store.mjs';
import { acceptWebSocket } from './websocket.mjs';

const version = readFileSync(new URL('version.txt', import.meta.url), 'utf8').trim();
const title = process.env.BOARD_TITLE ?? 'Board';
const port = Number(process.env.PORT ?? 3000);
const longestNote = 1000;

/** Everyone who is listening: `{ send(text), end() }`. */
const listeners = new Set();
const newest = [];
let offset = 0;

/** Reads what this or the other running version has added, and tells everyone. */
async function pump() {
  const read = await readNotes(offset);
  offset = read.offset;
  if (read.notes.length === 0) return;
  newest.push(...read.notes);
  newest.splice(0, newest.length - 100);
  const event = JSON.stringify({ kind: 'notes', notes: read.notes });
  for (const listener of listeners) listener.send(event);
}

function listen(listener) {
  listeners.add(listener);
  listener.send(JSON.stringify({ kind: 'welcome', version, notes: newest }));
}

/** The text of the request; null when it is too long. */
async function bodyOf(request) {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) {
    if (text.length <= longestNote) text += chunk;
  }
  return text.length > longestNote ? null : text.trim();
}

const send = (response, status, body, type = 'text/plain; charset=utf-8') =>
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(body);

const routes = {
  'GET /': (_request, response) =>
    send(response, 200, renderPage(title, version), 'text/html; charset=utf-8'),
  'GET /version': (_request, response) => send(response, 200, `${version}\n`),
  // Not healthy, so without traffic, while the volume is older than this code.
  async 'GET /healthz'(_request, response) {
    const schema = await currentSchema();
    send(response, schema >= neededSchema ? 200 : 503, `schema ${schema}, needed ${neededSchema}\n`);
  },
  'GET /notes': (_request, response) =>
    send(response, 200, `${JSON.stringify(newest)}\n`, 'application/json'),
  async 'POST /notes'(request, response) {
    const text = await bodyOf(request);
    if (text === null || text === '')
      return send(response, 400, `a note has 1 to ${longestNote} characters\n`);
    await addNote(text, version);
    return send(response, 201, 'pinned\n');
  },
  'GET /events'(request, response) {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    const listener = { send: (event) => response.write(`data: ${event}\n\n`), end: () => response.end() };
    listen(listener);
    request.on('close', () => listeners.delete(listener));
  },
};

const server = createServer((request, response) => {
  const route = routes[`${request.method} ${request.url.split('?')[0]}`];
  if (route === undefined) return void send(response, 404, 'not found\n');
  Promise.resolve(route(request, response)).catch((error) => {
    console.error(error);
    if (response.headersSent) response.destroy();
    else send(response, 500, 'this did not work, the log says why\n');
  });
});

server.on('upgrade', (request, socket, head) => {
  socket.unshift(head);
  const listener = { send: () => {}, end: () => {} };
  const webSocket = acceptWebSocket(request, socket, () => listeners.delete(listener));
  if (webSocket === null) return;
  listener.send = webSocket.send;
  // 1012, service restart: the page connects again and finds the new version.
  listener.end = () => webSocket.close(1012);
  listen(listener);
});

let pumping = pump().catch((error) => console.error(error));
const ticker = setInterval(() => {
  pumping = pumping.then(pump).catch((error) => console.error(error));
}, 200);

// 0.0.0.0, not 127.0.0.1: the requests come from outside of the container.
server.listen(port, '0.0.0.0', () => console.log(`version ${version} listens on port ${port}`));

// No new connections, requests in hand are answered, everyone who listens is told to come again.
process.once('SIGTERM', () => {
  console.log('asked to stop: finishing requests in hand');
  clearInterval(ticker);
  server.close(() => console.log('stopped'));
  server.closeIdleConnections();
  for (const listener of listeners) listener.end();
});
