import fc from 'fast-check';
import { expect, it } from 'vitest';
import { cleanLine, demultiplex } from '../../src/runtime/logs.js';
import type { LogChunk } from '../../src/runtime/port.js';

function frame(stream: number, data: Uint8Array): Buffer {
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(data.length, 4);
  return Buffer.concat([header, data]);
}

async function* inPieces(bytes: Buffer, cuts: readonly number[]): AsyncGenerator<Buffer> {
  let from = 0;
  for (const cut of [...cuts.map((each) => each % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]) {
    yield bytes.subarray(from, cut);
    from = cut;
  }
}

async function collect(stream: AsyncIterable<LogChunk>): Promise<LogChunk[]> {
  const chunks: LogChunk[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

it('gives the frames in order, however the connection cuts them', async () => {
  const frames = fc.array(fc.tuple(fc.constantFrom(1, 2), fc.uint8Array({ maxLength: 40 })), {
    maxLength: 12,
  });
  await fc.assert(
    fc.asyncProperty(frames, fc.array(fc.nat(600), { maxLength: 12 }), async (written, cuts) => {
      const bytes = Buffer.concat(written.map(([stream, data]) => frame(stream, data)));
      const read = await collect(demultiplex(inPieces(bytes, cuts)));
      expect(read.map(({ stream, data }) => [stream, data.toString('hex')])).toEqual(
        written.map(([stream, data]) => [
          stream === 2 ? 'stderr' : 'stdout',
          Buffer.from(data).toString('hex'),
        ]),
      );
    }),
  );
});

it('refuses bytes that are no frames', async () => {
  await expect(collect(demultiplex(inPieces(Buffer.from('plain text, not framed'), [])))).rejects.toThrow(
    'not multiplexed',
  );
});

it.each([
  ['plain', 'plain'],
  ['tab\there', 'tab\there'],
  ['windows\r', 'windows'],
  ['10 %\r50 %\r100 %', '100 %'],
  ['10 %\r\r', '10 %'],
  ['\r\r', ''],
  ['', ''],
  ['one\ntwo', 'one two'],
  ['a\u009b2Jb\u0085c', 'a2Jbc'],
  ['\u001b[1;31mred\u001b[0m', 'red'],
  ['\u001b]0;title\u0007text', 'text'],
  ['a\u0000b\u0007c', 'abc'],
  ['ü → 漢', 'ü → 漢'],
])('shows %j as %j', (line, shown) => {
  expect(cleanLine(line)).toBe(shown);
});

it('cuts a line to 2,000 characters', () => {
  expect(cleanLine('x'.repeat(2000))).toHaveLength(2000);
  expect(cleanLine('x'.repeat(2001))).toBe(`${'x'.repeat(2000)}…`);
});

it('never lets a control character through', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (line) => {
      expect(cleanLine(line)).not.toMatch(/[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/);
    }),
  );
});
