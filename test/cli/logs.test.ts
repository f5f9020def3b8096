import { appendFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ContainerLogOptions } from '../../src/cli/backend.js';
import type { LogChunk } from '../../src/runtime/port.js';
import { fullStatus, writeWholeStatus } from '../record/status-fixture.js';
import { PointsmanError } from '../../src/errors.js';
import { cli, startCli, temporaryFolder } from './cli.js';

const chunk = (stream: 'stdout' | 'stderr', text: string | Buffer): LogChunk => ({
  stream,
  data: Buffer.from(text),
});

function saying(...chunks: readonly LogChunk[]) {
  const asked: ContainerLogOptions[] = [];
  return {
    asked,
    backend: {
      async *logs(_settings: unknown, options: ContainerLogOptions): AsyncGenerator<LogChunk> {
        asked.push(options);
        yield* chunks;
        if (!options.follow) return;
        options.signal.throwIfAborted();
        await new Promise((_resolve, reject) =>
          options.signal.addEventListener('abort', () => reject(options.signal.reason as Error)),
        );
      },
    },
  };
}

describe('of a container', () => {
  it('go where the container wrote them, byte by byte', async () => {
    const { backend, asked } = saying(
      chunk('stdout', 'one\n'),
      chunk('stderr', 'two'),
      chunk('stdout', '\u001b[31mred\u001b[0m'),
    );
    expect(await cli(['logs', 'shop'], { backend })).toEqual({
      code: 0,
      out: 'one\n\u001b[31mred\u001b[0m',
      err: 'two',
    });
    expect(asked).toMatchObject([{ project: 'shop', slot: null, follow: false, tail: null }]);
  });

  it('are those of the slot, and as many as are asked for', async () => {
    const { backend, asked } = saying();
    await cli(['logs', 'shop', '--slot', 'green', '--tail', '0'], { backend });
    expect(asked).toMatchObject([{ slot: 'green', tail: 0 }]);
  });

  it('are lines with --json, whole ones whatever the chunks', async () => {
    const letter = Buffer.from('ä');
    const { backend } = saying(
      chunk('stdout', 'on'),
      chunk('stderr', 'err\r\n'),
      chunk('stdout', Buffer.concat([Buffer.from('e\ntw'), letter.subarray(0, 1)])),
      chunk('stdout', letter.subarray(1)),
    );
    const { out } = await cli(['logs', 'shop', '--json'], { backend });
    expect(
      out
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual([
      { stream: 'stderr', line: 'err' },
      { stream: 'stdout', line: 'one' },
      { stream: 'stdout', line: 'twä' },
    ]);
  });

  it('are followed until interrupted', async () => {
    const { backend } = saying(chunk('stdout', 'one\n'));
    const running = startCli(['logs', 'shop', '-f'], { backend });
    await running.untilOut('one');
    running.interrupt('SIGINT');
    expect(await running.exitCode).toBe(130);
    expect(running.err()).toBe('');
  });

  it('are followed until nobody reads them', async () => {
    const { backend } = saying(chunk('stdout', 'one\n'));
    const running = startCli(['logs', 'shop', '-f'], { backend });
    await running.untilOut('one');
    running.closeOutput();
    expect(await running.exitCode).toBe(0);
    expect(running.err()).toBe('');
  });
});

describe('of a build', () => {
  async function built(): Promise<{ stateDir: string; folder: string }> {
    const stateDir = await temporaryFolder();
    const folder = join(stateDir, 'logs', 'shop');
    await mkdir(folder, { recursive: true });
    return { stateDir, folder };
  }

  it('are those of the newest deployment', async () => {
    const { stateDir, folder } = await built();
    await writeFile(join(folder, '20261119-a.log'), 'old\n');
    await writeFile(join(folder, '20261120-b.log'), 'x'.repeat(200_000));
    const { code, out, err } = await cli(['logs', 'shop', '--build'], { stateDir });
    expect([code, out.length, err]).toEqual([0, 200_000, 'deployment 20261120-b\n']);
  });

  it('are followed, on to the next deployment', async () => {
    const { stateDir, folder } = await built();
    await writeFile(join(folder, 'a.log'), 'one\n');
    const running = startCli(['logs', 'shop', '--build', '-f'], { stateDir });
    await running.untilOut('one\n');
    await appendFile(join(folder, 'a.log'), 'two\n');
    await running.untilOut('two\n');
    await writeFile(join(folder, 'b.log'), 'three\n');
    await running.untilOut('three\n');
    running.interrupt('SIGTERM');
    expect(await running.exitCode).toBe(143);
    expect(running.out()).toBe('one\ntwo\nthree\n');
    expect(running.err()).toBe('deployment a\ndeployment b\n');
  });

  it('that never was end with 1', async () => {
    const { stateDir } = await built();
    await writeWholeStatus(stateDir, fullStatus);
    expect(await cli(['logs', 'api', '--build'], { stateDir })).toMatchObject({
      code: 1,
      out: '',
      err: expect.stringContaining('api has no deployment log') as string,
    });
  });
});

describe('of a project that is not there', () => {
  const backend = {
    async *logs(_settings: unknown, { project }: ContainerLogOptions): AsyncGenerator<LogChunk> {
      throw new PointsmanError('NotRunning', `${project}: nothing is live`);
    },
  };

  it.each([[[]], [['-f']], [['--build']], [['--build', '-f']]])(
    'end with 1 and name those that are, with %j',
    async (options) => {
      const stateDir = await temporaryFolder();
      await writeWholeStatus(stateDir, fullStatus);
      expect(await cli(['logs', 'nope', ...options], { stateDir, backend })).toEqual({
        code: 1,
        out: '',
        err: 'error: there is no project "nope"; there are api, shop, web\n',
      });
    },
  );

  it('are not mistaken for those of one where nothing is live', async () => {
    const stateDir = await temporaryFolder();
    await writeWholeStatus(stateDir, fullStatus);
    expect(await cli(['logs', 'web'], { stateDir, backend })).toEqual({
      code: 1,
      out: '',
      err: 'error: web: nothing is live\n',
    });
  });
});
