import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { PointsmanError } from '../src/errors.js';
import { createLogger } from '../src/log.js';
import type { LogOptions } from '../src/log.js';

function logged(use: (log: ReturnType<typeof createLogger>) => void, more: Partial<LogOptions> = {}): string {
  const output = new PassThrough();
  use(createLogger({ level: 'info', output, ...more }));
  return (output.read() as Buffer | null)?.toString() ?? '';
}

it('writes a JSON line with level, time, fields and message', () => {
  const line = JSON.parse(logged((log) => log.warn({ project: 'shop' }, 'late'))) as Record<string, unknown>;
  expect(line).toEqual({
    level: 'warn',
    time: expect.stringMatching(/^\d{4}-.*Z$/) as string,
    project: 'shop',
    msg: 'late',
  });
});

it('says nothing below its level', () => {
  expect(logged((log) => log.debug('quiet'))).toBe('');
  expect(logged((log) => log.debug('loud'), { level: 'debug' })).toContain('loud');
});

const url = 'https://me:s3cret@git.example.com/a.git';
it.each([
  ['the message', (log: ReturnType<typeof createLogger>) => log.info(`at ${url}`)],
  ['a field', (log: ReturnType<typeof createLogger>) => log.info({ url }, 'x')],
  ['a nested field', (log: ReturnType<typeof createLogger>) => log.info({ a: [{ b: url }] }, 'x')],
  ['an error', (log: ReturnType<typeof createLogger>) => log.error({ err: new Error(url) }, 'x')],
  ['a lone error', (log: ReturnType<typeof createLogger>) => log.error(new Error(url))],
  [
    'a cause',
    (log: ReturnType<typeof createLogger>) =>
      log.error(
        { err: new PointsmanError('BuildFailed', 'no', { cause: new Error(url), detail: { tail: [url] } }) },
        'x',
      ),
  ],
  ['the fields of a child', (log: ReturnType<typeof createLogger>) => log.child({ url }).info('x')],
  ['a value in the message', (log: ReturnType<typeof createLogger>) => log.info('at %s', url)],
])('takes credentials out of %s', (_name, use) => {
  const text = logged(use);
  expect(text).toContain('git.example.com');
  expect(text).not.toContain('s3cret');
});

it('tells the code and detail of a foreseen failure, without a stack', () => {
  const err = new PointsmanError('BuildFailed', 'step 3 failed', { detail: { step: 3 } });
  const line = JSON.parse(logged((log) => log.error({ err }, 'failed'))) as { err: unknown };
  expect(line.err).toEqual({
    type: 'PointsmanError',
    message: 'step 3 failed',
    code: 'BuildFailed',
    detail: { step: 3 },
  });
  expect(logged((log) => log.error({ err: new Error('bug') }, 'failed'))).toContain('log.test.ts');
});

it('survives what goes in circles', () => {
  const circle: Record<string, unknown> = {};
  circle['self'] = circle;
  expect(logged((log) => log.info(circle, 'round'))).toContain('round');
});
