import { describe, expect, it } from 'vitest';
import type { RunOptions } from '../../src/cli/backend.js';
import { cli, plain, startCli } from './cli.js';

function running(act: (options: RunOptions) => Promise<number> | number) {
  return {
    backend: { run: async (_settings: unknown, options: RunOptions): Promise<number> => act(options) },
  };
}

const deploy = ({ onProgress, log }: RunOptions): number => {
  onProgress({ project: 'shop', phase: 'building', elapsedMs: 100, step: '[1/2] FROM node' });
  log.info({ project: 'shop', from: 'queued' }, 'building');
  onProgress({ project: 'shop', phase: 'building', elapsedMs: 900, step: '[2/2] RUN npm ci' });
  onProgress({ project: 'shop', phase: 'active', elapsedMs: 4_100 });
  return 0;
};

describe('run', () => {
  it('writes JSON lines to stdout and nothing else', async () => {
    const { code, out, err } = await cli(['run'], running(deploy));
    expect([code, err]).toEqual([0, '']);
    expect(JSON.parse(out)).toMatchObject({ level: 'info', project: 'shop', msg: 'building' });
  });

  it('hands on once, version and the signal', async () => {
    let seen: RunOptions | undefined;
    const take = (options: RunOptions): number => {
      seen = options;
      return 1;
    };
    expect((await cli(['run', '--once'], running(take))).code).toBe(1);
    expect(seen).toMatchObject({ once: true, version: expect.stringMatching(/^\d+\.\d+\.\d+/) as string });
    await cli(['run'], running(take));
    expect(seen?.once).toBe(false);
  });

  it('ends with 0 when a signal asks it to', async () => {
    const started = startCli(
      ['run'],
      running(({ signal }) => new Promise((resolve) => signal.addEventListener('abort', () => resolve(0)))),
    );
    await new Promise((resolve) => setImmediate(resolve));
    started.interrupt('SIGTERM');
    expect(await started.exitCode).toBe(0);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('--once that %s cut short ends with %i', async (signal, code) => {
    const started = startCli(
      ['run', '--once'],
      running(
        (options) => new Promise((resolve) => options.signal.addEventListener('abort', () => resolve(1))),
      ),
    );
    await new Promise((resolve) => setImmediate(resolve));
    started.interrupt(signal);
    expect(await started.exitCode).toBe(code);
  });

  it('--once tells phases on stderr, one line each, beside JSON lines on stdout', async () => {
    const { out, err } = await cli(['run', '--once'], running(deploy));
    expect(err).toBe('shop: building (100ms)\nshop: active after 4.1s\n');
    expect(JSON.parse(out)).toMatchObject({ msg: 'building' });
  });

  it('--once is for people on a terminal: live lines with the build step, log lines above them', async () => {
    const { out, err } = await cli(['run', '--once'], { ...running(deploy), columns: 100 });
    expect(plain(out)).toMatch(/INFO: shop: building \(from queued\)\n$/);
    const drawn = plain(err);
    expect(drawn).toMatch(/^shop building \d+ms \[1\/2\] FROM node\n/);
    expect(drawn).toContain('[2/2] RUN npm ci\n');
    // The log tells the end.
    expect(drawn).not.toContain('active');
  });

  it('--pretty writes lines for people, coloured on a terminal alone', async () => {
    const piped = await cli(['run', '--pretty'], running(deploy));
    expect(piped.out).toMatch(/^\[\d\d:.*INFO: shop: building/);
    expect(piped.out + piped.err).not.toContain('\u001b');
    expect(piped.err).toBe('');
    expect((await cli(['run', '--pretty'], { ...running(deploy), columns: 80 })).out).toContain('\u001b[3');
    expect(
      (await cli(['run', '--pretty'], { ...running(deploy), columns: 80, env: { NO_COLOR: '1' } })).out,
    ).not.toContain('\u001b');
  });
});
