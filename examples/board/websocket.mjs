// As much of WebSocket (RFC 6455) as the board needs: text from the server, and an orderly end.
import { createHash } from 'node:crypto';

const opcodes = { text: 1, close: 8, ping: 9, pong: 10 };
const closeGraceMs = 2000;

function frame(opcode, payload) {
  const head =
    payload.length < 126
      ? Buffer.from([0x80 | opcode, payload.length])
      : Buffer.from([0x80 | opcode, 126, payload.length >> 8, payload.length & 0xff]);
  return Buffer.concat([head, payload]);
}

/** The first frame in `data`: `{ opcode, payload, rest }`, null when it is not complete, or throws. */
function parse(data) {
  if (data.length < 6) return null;
  const length = data[1] & 0x7f;
  if ((data[1] & 0x80) === 0 || length > 125) throw new Error('unmasked or long frame');
  if (data.length < 6 + length) return null;
  const mask = data.subarray(2, 6);
  const payload = Buffer.from(data.subarray(6, 6 + length));
  for (let index = 0; index < length; index += 1) payload[index] ^= mask[index % 4];
  return { opcode: data[0] & 0x0f, payload, rest: data.subarray(6 + length) };
}

/** Answers the upgrade. Returns `{ send(text), close(code) }`, or null when it is no WebSocket. */
export function acceptWebSocket(request, socket, onEnd) {
  const key = request.headers['sec-websocket-key'];
  if (request.headers.upgrade?.toLowerCase() !== 'websocket' || key === undefined) {
    socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
    return null;
  }
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  let buffered = Buffer.alloc(0);
  let closing = false;

  const close = (code) => {
    if (closing) return;
    closing = true;
    socket.write(frame(opcodes.close, Buffer.from([code >> 8, code & 0xff])));
    // The other side answers with its own close frame; whoever does not is cut off.
    setTimeout(() => socket.destroy(), closeGraceMs).unref();
  };
  socket.on('data', (chunk) => {
    buffered = Buffer.concat([buffered, chunk]);
    try {
      for (let next = parse(buffered); next !== null; next = parse(buffered)) {
        buffered = next.rest;
        if (next.opcode === opcodes.ping) socket.write(frame(opcodes.pong, next.payload));
        if (next.opcode === opcodes.close) {
          close(1000);
          socket.end();
        }
      }
    } catch {
      close(1002);
    }
  });
  socket.on('error', () => socket.destroy());
  socket.on('close', onEnd);
  return { send: (text) => closing || socket.write(frame(opcodes.text, Buffer.from(text))), close };
}
