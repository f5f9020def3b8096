import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import {
  childrenOf,
  commandLine,
  connections,
  countConnections,
  countRemote,
  listenerOf,
  networkOf,
  parentOf,
  parseConnections,
  parseUnit,
  stateOf,
} from '../../src/router/process-table.js';
import { until } from '../support/waiting.js';

const head =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
const rest = '00000000:00000000 00:00000000 00000000     0        0 4711 1 0000000000000000 100 0 0 10 0';

it('reads addresses of /proc/net/tcp, whose words are little-endian', () => {
  expect(parseConnections(`${head}   0: 0100007F:23DC 0200D50A:0BB8 01 ${rest}\n`)).toEqual([
    { local: '127.0.0.1:9180', remote: '10.213.0.2:3000', state: '01', inode: '4711' },
  ]);
});

it('gives IPv4-mapped addresses of tcp6 as IPv4, and others as they are', () => {
  const mapped = '0000000000000000FFFF00000200D50A:0BB8';
  const other = '00000000000000000000000001000000:0050';
  const [first] = parseConnections(`${head}   0: ${other} ${mapped} 0A ${rest}\n`);
  expect(first?.remote).toBe('10.213.0.2:3000');
  expect(first?.local).toBe('[00000000000000000000000001000000]:80');
});

it('leaves out lines that are no connections', () => {
  expect(parseConnections(`${head}\n   0: 0100007F:23DC\nnonsense\n`)).toEqual([]);
  expect(parseConnections('')).toEqual([]);
});

it('counts the lines to one remote address in the states that are asked for', () => {
  const line = (local: string, remote: string, state: string): string =>
    `  12: ${local} ${remote} ${state} ${rest}\n`;
  const slot = '0200D50A:0BB8';
  const other = '0100007F:C350';
  const text =
    head +
    line(other, slot, '01') +
    line(other, slot, '02') +
    line(other, slot, '06') +
    // From the slot, to its neighbour's address, to another port, to a longer one.
    line(slot, other, '01') +
    line(other, '0300D50A:0BB8', '01') +
    line(other, '0200D50A:0BB9', '01') +
    line(other, '000000000000000000000001' + slot, '01') +
    line(other, slot, '08');
  expect(countRemote(text, '10.213.0.2:3000', new Set(['01', '02', '08']))).toBe(3);
  expect(countRemote(text, '10.213.0.2:3000', new Set(['06']))).toBe(1);
  expect(countRemote('', '10.213.0.2:3000', new Set(['01']))).toBe(0);
});

it('sees a connection of this machine while it is open', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const to = async (state: string): Promise<number> =>
    (await connections())?.filter((each) => each.remote === `127.0.0.1:${port}` && each.state === state)
      .length ?? -1;
  const counted = (): Promise<number | null> => countConnections(`127.0.0.1:${port}`, new Set(['01']));
  expect(await to('01')).toBe(1);
  expect(await counted()).toBe(1);
  expect(await listenerOf(port)).toMatchObject({ pid: process.pid });
  socket.destroy();
  server.close();
  await once(server, 'close');
  expect(await to('01')).toBe(0);
  expect(await counted()).toBe(0);
  expect(await listenerOf(port)).toBeNull();
});

it('knows parent, children and state of a process, whatever its name', async () => {
  const child = spawn(process.execPath, ['-e', "process.title = 'a) S (b'; setInterval(() => {}, 1e6)"]);
  try {
    const pid = child.pid ?? 0;
    await until(() => commandLine(pid) === 'a) S (b');
    expect(parentOf(pid)).toBe(process.pid);
    expect(await childrenOf(process.pid)).toContain(pid);
    expect(await networkOf(pid)).toBe(await networkOf('self'));
    await until(() => stateOf(pid) === 'S');
    child.kill('SIGSTOP');
    await until(() => stateOf(pid) === 'T');
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  expect(stateOf(child.pid ?? 0)).toBeNull();
  expect(commandLine(child.pid ?? 0)).toBeNull();
  expect(parentOf(child.pid ?? 0)).toBeNull();
});

it.each([
  ['0::/system.slice/nginx.service\n', 'nginx.service'],
  ['0::/system.slice/pointsman.service/nginx\n', 'pointsman.service'],
  ['0::/user.slice/user-0.slice/user@0.service/app.slice/web.service\n', 'web.service'],
  [
    '3:memory:/system.slice/other.service\n1:name=systemd:/system.slice/nginx.service\n0::/\n',
    'nginx.service',
  ],
  ['0::/user.slice/user-0.slice/session-1.scope\n', null],
  ['0::/\n', null],
])('finds the unit in %j', (groups, unit) => {
  expect(parseUnit(groups)).toBe(unit);
});
