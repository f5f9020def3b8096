import { describe, expect, it, onTestFinished } from 'vitest';
import { serveControl } from '../../src/record/control.js';
import type { ControlReply } from '../../src/record/control.js';
import { cli, startCli, temporaryFolder } from './cli.js';

async function controller(reply: ControlReply): Promise<{ stateDir: string; asked: unknown[] }> {
  const stateDir = await temporaryFolder();
  const asked: unknown[] = [];
  const note =
    (kind: string) =>
    (argument?: string): Promise<ControlReply> => {
      asked.push(argument === undefined ? kind : `${kind} ${argument}`);
      return Promise.resolve(reply);
    };
  const server = await serveControl(stateDir, {
    sync: note('sync'),
    health: note('health'),
    retry: note('retry'),
    prune: note('prune'),
  });
  onTestFinished(() => server.close());
  return { stateDir, asked };
}

describe.each([
  [['sync'], 'sync'],
  [['retry', 'shop'], 'retry shop'],
  [['prune', '--confirm', 'ABCDEF0'], 'prune abcdef0'],
] as const)('pointsman %j', (argv, request) => {
  it('reaches the running controller and prints its answer', async () => {
    const { stateDir, asked } = await controller({ ok: true, message: 'looking now' });
    expect(await cli(argv, { stateDir })).toEqual({ code: 0, out: 'looking now\n', err: '' });
    expect(asked).toEqual([request]);
  });

  it('ends with 1 when the answer is no', async () => {
    const { stateDir } = await controller({ ok: false, message: 'nothing of that kind\u001b[2J' });
    expect(await cli(argv, { stateDir })).toEqual({ code: 1, out: '', err: 'nothing of that kind\n' });
  });

  it('prints the answer as JSON', async () => {
    const { stateDir } = await controller({ ok: false, message: 'no' });
    const { code, out } = await cli([...argv, '--json'], { stateDir });
    expect([code, JSON.parse(out)]).toEqual([1, { ok: false, message: 'no' }]);
  });

  it('ends with 1 when no controller runs', async () => {
    const { code, out, err } = await cli(argv, { stateDir: await temporaryFolder() });
    expect([code, out]).toEqual([1, '']);
    expect(err).toMatch(/^error: no controller runs on .*; start one with "pointsman run"/);
  });
});

it('stops waiting for a controller that hangs when it is interrupted', async () => {
  const stateDir = await temporaryFolder();
  let heard = (): void => undefined;
  const asked = new Promise<void>((resolve) => (heard = resolve));
  const hang = (): Promise<ControlReply> => {
    heard();
    return new Promise(() => undefined);
  };
  const server = await serveControl(stateDir, { sync: hang, health: hang, retry: hang, prune: hang });
  onTestFinished(() => server.close());
  const running = startCli(['sync'], { stateDir });
  await asked;
  running.interrupt('SIGINT');
  expect(await running.exitCode).toBe(130);
});
