import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { prettyLog } from '../../src/cli/pretty-log.js';
import { PointsmanError } from '../../src/errors.js';
import { createLogger } from '../../src/log.js';
import type { Logger } from '../../src/log.js';

function logged(use: (log: Logger) => void, colour = false): string {
  const output = new PassThrough();
  use(createLogger({ level: 'info', output: prettyLog(output, { colour }) }));
  return (output.read() as Buffer | null)?.toString() ?? '';
}

/** Without time and level. */
function line(fields: Readonly<Record<string, unknown>>, message: string): string {
  return logged((log) => log.info(fields, message)).replace(/^\[\d\d:\d\d:\d\d\.\d{3}\] INFO: /, '');
}

const hash = '4f5e6d7c8b9a0f1e2d3c4b5a69788776655443ff';

it('begins with time, level and project', () => {
  expect(logged((log) => log.warn({ project: 'shop' }, 'late'))).toMatch(
    /^\[\d\d:\d\d:\d\d\.\d{3}\] WARN: shop: late\n$/,
  );
});

it('tells a pid among the fields, not before the message', () => {
  expect(logged((log) => log.info({ pid: 7 }, 'nginx started'))).toMatch(
    /\] INFO: nginx started \(pid 7\)\n$/,
  );
});

it('is coloured only when asked', () => {
  expect(logged((log) => log.info('live'), true)).toMatch(/\u001b\[3\dm/);
  expect(logged((log) => log.info('live'))).not.toContain('\u001b');
});

it.each([
  [
    'fields in brackets, hashes short, nothing for null and no',
    { project: 'shop', from: null, to: 'blue', revision: hash, isRollback: false, final: true },
    'traffic switched',
    'shop: traffic switched (to blue, final, revision 4f5e6d7c)\n',
  ],
  [
    'why, and how long it took, without the output and the ids that are for programs',
    {
      project: 'shop',
      deployment: '20261121-093001-4f2a9c',
      configCommit: hash,
      outcome: 'failed',
      message: 'the build failed',
      tail: ['a', 'b'],
      phases: { queued: 3, building: 4_100 },
    },
    'deployment ended',
    'shop: deployment ended: the build failed (outcome failed, took 4.1s)\n',
  ],
  [
    'a problem with its place',
    {
      file: 'projects/a.yaml',
      line: 4,
      column: 9,
      path: '/run/port',
      message: '0 is too low',
      project: 'shop',
    },
    'manifest problem',
    'shop: manifest problem: projects/a.yaml:4:9 /run/port: 0 is too low\n',
  ],
  [
    'a list',
    { domains: ['a.example', 'b.example'] },
    'site file written',
    'site file written (domains a.example b.example)\n',
  ],
  [
    'what is nested',
    { entry: { type: 'drift', detail: { what: 'x' } } },
    'lost',
    'lost (entry type drift detail what x)\n',
  ],
  ['text that would move the cursor', { error: 'a\u001b[2Jb\nc' }, 'no', 'no: ab c\n'],
])('tells %s', (_name, fields, message, expected) => {
  expect(line(fields, message)).toBe(expected);
});

it('tells an error with its cause in one line, and a stack below what was not foreseen', () => {
  const cause = new PointsmanError('JournalUnwritable', 'the disk is full');
  const foreseen = new PointsmanError('BuildFailed', 'no', { cause, detail: { tail: ['x'] } });
  expect(line({ err: foreseen }, 'failed')).toBe('failed: no: the disk is full\n');
  const lines = line({ err: new Error('bug\nof two lines') }, 'failed').split('\n');
  expect(lines[0]).toBe('failed: bug of two lines');
  expect(lines[1]).toMatch(/^ {4}at .*pretty-log\.test\.ts/);
});

it('takes credentials out', () => {
  const url = 'https://me:s3cret@git.example.com/a.git';
  expect(line({ url, error: url, err: new Error(url) }, `at ${url}`)).not.toContain('s3cret');
});
