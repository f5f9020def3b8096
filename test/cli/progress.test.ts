import { PassThrough } from 'node:stream';
import pc from 'picocolors';
import { expect, it } from 'vitest';
import { createProgress } from '../../src/cli/progress.js';
import type { ProgressEvent } from '../../src/status-keeper.js';
import type { Clock } from '../../src/clock.js';

/** A terminal that understands what is written to it: lines, up, and erase below. */
function terminal(options: { columns?: number; rows?: number } = {}) {
  const stream = Object.assign(new PassThrough(), {
    isTTY: true,
    columns: options.columns ?? 60,
    rows: options.rows ?? 24,
  });
  stream.setEncoding('utf8');
  let lines: string[] = [];
  stream.on('data', (text: string) => {
    for (const part of text.split(/(\u001b\[\d*[AJ]|\n)/)) {
      const up = /^\u001b\[(\d+)A$/.exec(part)?.[1];
      if (up !== undefined) lines = lines.slice(0, lines.length - Number(up));
      else if (part !== '\n' && part !== '' && !part.startsWith('\u001b')) lines.push(part);
    }
  });
  return { stream, screen: () => lines };
}

function handClock(): Clock & { advance(ms: number): void; readonly pending: number } {
  let now = 0;
  const timers = new Map<() => void, number>();
  return {
    now: () => now,
    monotonic: () => now,
    sleep: () => Promise.reject(new Error('nothing here sleeps')),
    timer(ms, callback) {
      timers.set(callback, now + ms);
      return () => timers.delete(callback);
    },
    advance(ms) {
      now += ms;
      for (const [callback, at] of [...timers]) {
        if (at > now) continue;
        timers.delete(callback);
        callback();
      }
    },
    get pending() {
      return timers.size;
    },
  };
}

const event = (
  project: string,
  phase: ProgressEvent['phase'],
  elapsedMs: number,
  step?: string,
): ProgressEvent => ({
  project,
  phase,
  elapsedMs,
  ...(step === undefined ? {} : { step }),
});

function live(options?: { columns?: number; rows?: number }, tellsEnds = true) {
  const clock = handClock();
  const { stream, screen } = terminal(options);
  const progress = createProgress({ output: stream, clock, colours: pc.createColors(false), tellsEnds });
  return { clock, screen, stream, progress };
}

it('keeps a line for each project, and its time going', () => {
  const { clock, screen, progress } = live();
  progress.onProgress(event('shop', 'building', 1_000, '[1/2] FROM node'));
  progress.onProgress(event('api', 'probing', 0));
  expect(screen()).toEqual(['shop building 1.0s [1/2] FROM node', 'api probing 0ms']);
  clock.advance(2_000);
  expect(screen()).toEqual(['shop building 3.0s [1/2] FROM node', 'api probing 2.0s']);
});

it('leaves the end of a deployment standing above those that go on', () => {
  const { screen, progress } = live();
  progress.onProgress(event('shop', 'building', 0));
  progress.onProgress(event('api', 'building', 0));
  progress.onProgress(event('shop', 'failed', 12_300));
  expect(screen()).toEqual(['shop failed after 12.3s', 'api building 0ms']);
});

it('leaves the end to the log where that is for people too', () => {
  const { screen, progress } = live({}, false);
  progress.onProgress(event('shop', 'building', 0));
  progress.onProgress(event('shop', 'active', 4_000));
  expect(screen()).toEqual([]);
});

it('takes the line of what ended without an outcome away', () => {
  for (const tellsEnds of [true, false]) {
    const { clock, screen, progress } = live({}, tellsEnds);
    progress.onProgress(event('shop', 'probing', 0));
    progress.onProgress(event('shop', null, 20));
    expect([screen(), clock.pending]).toEqual([[], 0]);
  }
});

it('lets log lines pass above the live ones', () => {
  const { screen, progress, stream } = live();
  const log = progress.above(stream);
  progress.onProgress(event('shop', 'building', 0));
  log.write('something happened\n');
  progress.onProgress(event('shop', 'probing', 10));
  expect(screen()).toEqual(['something happened', 'shop probing 10ms']);
});

it('never wraps nor fills more than the terminal', () => {
  const { screen, progress } = live({ columns: 30, rows: 6 });
  for (let n = 0; n < 9; n += 1)
    progress.onProgress(event(`p${n}`, 'building', 0, 'a step whose name has no end'));
  expect(screen()).toHaveLength(5);
  expect(screen().at(-1)).toBe('and 5 more');
  for (const line of screen()) expect(line.length).toBeLessThan(30);
});

it('takes its lines and its timer away when it is closed', () => {
  const { clock, screen, progress } = live();
  progress.onProgress(event('shop', 'building', 0));
  expect(clock.pending).toBe(1);
  progress.close();
  expect([screen(), clock.pending]).toEqual([[], 0]);
});

it('has no timer when nothing is in hand', () => {
  const { clock, progress } = live();
  progress.onProgress(event('shop', 'building', 0));
  progress.onProgress(event('shop', 'active', 5));
  expect(clock.pending).toBe(0);
});

it('writes a line at each change of phase where nothing can be redrawn', () => {
  const stream = new PassThrough();
  stream.setEncoding('utf8');
  const progress = createProgress({
    output: stream,
    clock: handClock(),
    colours: pc.createColors(false),
    tellsEnds: true,
  });
  for (const each of [
    event('shop', 'building', 0, 'one'),
    event('shop', 'building', 100, 'two'),
    event('shop', 'probing', 61_000),
    event('shop', 'active', 62_000),
    event('shop', 'building', 0),
    event('shop', null, 10),
    event('shop', 'building', 0),
  ]) {
    progress.onProgress(each);
  }
  expect(stream.read()).toBe(
    'shop: building (0ms)\nshop: probing (1m01s)\nshop: active after 1m02s\nshop: building (0ms)\nshop: building (0ms)\n',
  );
});
