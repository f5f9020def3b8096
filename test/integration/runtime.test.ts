import { setTimeout as delay } from 'node:timers/promises';
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ContainerFacts, LogChunk, NetworkFacts, RuntimeEvent } from '../../src/runtime/port.js';
import { ensureBaseImage } from '../support/base-image.js';
import { cleanInstance, containerSpec, engine, leaks, testRuntime } from '../support/engine.js';
import { rejection, until } from '../support/waiting.js';

const instance = `runtime-test-${process.pid}`;
const pool = '10.215.0.0/16';
const runtime = testRuntime(instance, pool);
const never = new AbortController().signal;
const cleanups: (() => Promise<unknown>)[] = [];
let image = '';

beforeAll(async () => {
  const found = await runtime.image(await ensureBaseImage());
  image = found?.id ?? '';
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await cleanInstance(instance);
});

afterAll(async () => {
  expect(await leaks(instance)).toEqual([]);
});

async function facts(id: string): Promise<ContainerFacts> {
  const found = (await runtime.containers()).find((container) => container.id === id);
  if (found === undefined) throw new Error(`container ${id} is not listed`);
  return found;
}

async function started(project: string, command: readonly string[], change = {}): Promise<string> {
  const network = await runtime.ensureNetwork(project);
  const id = await runtime.create(containerSpec(instance, network, image, command, change));
  await runtime.start(id);
  return id;
}

const serve = ['node', '-e', 'require("http").createServer((q,s)=>s.end("ok")).listen(3000)'];
const sleep = ['sleep', '600'];

describe('the engine', () => {
  it('describes itself', async () => {
    const found = await runtime.engine();
    expect(found.id).not.toBe('');
    expect(found.version).toMatch(/^\d+\./);
    expect(typeof found.liveRestore).toBe('boolean');
  });

  it('that is not there is DockerUnavailable at once, with the mend, for every kind of call', async () => {
    const away = testRuntime(instance, pool, '/run/pointsman-test-no-such.sock');
    const before = performance.now();
    const events = away.events(never)[Symbol.asyncIterator]();
    const logs = away.logs('x', { follow: true, tail: null }, never)[Symbol.asyncIterator]();
    for (const call of [
      () => away.engine(),
      () => away.containers(),
      () => away.ensureNetwork('shop'),
      () => away.image('x'),
      () => away.stop('x', 1000),
      () => away.waitForExit('x', never),
      () => away.pull('x', () => undefined, never),
      () => events.next(),
      () => logs.next(),
    ]) {
      const error = await rejection(call());
      expect(error.code).toBe('DockerUnavailable');
      expect(error.message).toContain('there is no docker socket at /run/pointsman-test-no-such.sock');
    }
    expect(performance.now() - before).toBeLessThan(2000);
  });
});

describe('networks', () => {
  it('gives 20 projects that ask at once a block of their own', async () => {
    const projects = Array.from({ length: 20 }, (_, index) => `many-${index}`);
    // Two callers for each project: they must get the same network.
    const made = await Promise.all(
      [...projects, ...projects].map((project) => runtime.ensureNetwork(project)),
    );
    expect(new Set(made.map((network) => network.subnet)).size).toBe(20);
    expect(new Set(made.map((network) => network.id)).size).toBe(20);
    expect([...(await runtime.projects())].sort()).toEqual([...projects].sort());
    for (const network of made) expect(network.subnet).toMatch(/^10\.215\.\d+\.\d+\/28$/);
  });

  it('clashes with no other controller that allocates at the same time', async () => {
    const other = `${instance}-other`;
    cleanups.push(() => cleanInstance(other));
    const second = testRuntime(other, pool);
    const made = await Promise.all(
      Array.from({ length: 6 }, (_, index) => [
        runtime.ensureNetwork(`mine-${index}`),
        second.ensureNetwork(`theirs-${index}`),
      ]).flat(),
    );
    expect(new Set(made.map((network) => network.subnet)).size).toBe(12);
  });

  it('steps around a stranger’s network and names an exhausted pool', async () => {
    const stranger = await engine.createNetwork({
      Name: `${instance}-stranger`,
      IPAM: { Driver: 'default', Config: [{ Subnet: '10.215.250.0/28' }] },
    });
    cleanups.push(() => stranger.remove());
    const small = testRuntime(instance, '10.215.250.0/27');
    expect((await small.ensureNetwork('first')).subnet).toBe('10.215.250.16/28');
    const error = await rejection(small.ensureNetwork('second'));
    expect(error.code).toBe('AddressesExhausted');
    expect(error.message).toContain('10.215.250.0/27');
    expect(error.message).toContain('all 2 are taken');
  });

  it('gives release containers no address of a slot', async () => {
    const network = await runtime.ensureNetwork('release');
    const ids = await Promise.all(
      Array.from({ length: 3 }, async (_, index) => {
        const change = { name: `pointsman-release-${index}`, address: null };
        const id = await runtime.create(containerSpec(instance, network, image, sleep, change));
        await runtime.start(id);
        return id;
      }),
    );
    const addresses = (await runtime.containers('release')).map((container) => container.address ?? '');
    expect(ids).toHaveLength(3);
    const base = Number(/\.(\d+)\/28$/.exec(network.subnet)?.[1]);
    for (const address of addresses) expect(Number(address.split('.')[3])).toBeGreaterThanOrEqual(base + 8);
  });

  it('makes a network of an unusable shape anew, but not under running containers', async () => {
    const labels = { 'dev.pointsman.instance': instance, 'dev.pointsman.project': 'odd' };
    const odd = { Name: 'pointsman-odd', Labels: labels, IPAM: { Config: [{ Subnet: '10.215.251.0/24' }] } };
    await engine.createNetwork(odd);
    expect(await runtime.network('odd')).toBeNull();
    expect((await runtime.ensureNetwork('odd')).subnet).toMatch(/\/28$/);
    await runtime.removeNetwork('odd');

    const held = await engine.createNetwork(odd);
    const guest = await engine.createContainer({
      name: `${instance}-guest`,
      Image: image,
      Cmd: sleep as string[],
      HostConfig: { NetworkMode: held.id },
    });
    cleanups.push(() => guest.remove({ force: true }));
    await guest.start();
    const error = await rejection(runtime.ensureNetwork('odd'));
    expect(error.code).toBe('NameTaken');
    expect(error.message).toContain('containers are attached');
  });

  it.each([
    ['a stranger’s', {}],
    ['another instance’s', { 'dev.pointsman.instance': 'another', 'dev.pointsman.project': 'held' }],
  ])('refuses %s network of our name, and leaves it', async (_, Labels) => {
    const stranger = await engine.createNetwork({
      Name: 'pointsman-held',
      Labels,
      IPAM: { Driver: 'default', Config: [{ Subnet: '10.215.252.0/28', Gateway: '10.215.252.1' }] },
    });
    cleanups.push(() => stranger.remove());
    expect((await rejection(runtime.ensureNetwork('held'))).code).toBe('NameTaken');
    expect((await rejection(runtime.removeNetwork('held'))).code).toBe('NameTaken');
    expect(await runtime.network('held')).toBeNull();
    await stranger.inspect();
  });

  it('removes the network, also when it is gone', async () => {
    await runtime.ensureNetwork('gone');
    await runtime.removeNetwork('gone');
    await runtime.removeNetwork('gone');
    expect(await runtime.network('gone')).toBeNull();
  });
});

describe('a container', () => {
  it('runs with every default, at its fixed address, published nowhere', async () => {
    const network = await runtime.ensureNetwork('full');
    const id = await runtime.create(
      containerSpec(instance, network, image, serve, {
        env: { PORT: '3000', SECRET: 'a=b\n"c"' },
        volumes: [{ volume: 'pointsman-full-data', path: '/data' }],
        memoryBytes: 128 * 1024 * 1024,
        cpus: 0.5,
        pids: 100,
        user: 'node',
        readOnly: true,
        restartPolicy: 'unless-stopped',
      }),
    );
    expect(await facts(id)).toMatchObject({
      name: 'pointsman-full-blue',
      image,
      state: 'created',
      exitCode: null,
      startedAt: null,
      address: network.addresses.blue,
      restartPolicy: 'unless-stopped',
      labels: { instance, project: 'full', role: 'blue', revision: 'r1', sourceCommit: null, spec: '{}' },
    });
    await runtime.start(id);
    await runtime.start(id);
    await until(() => connects(network.addresses.blue, 3000));
    expect((await facts(id)).startedAt).toBeGreaterThan(Date.now() - 60_000);

    const {
      HostConfig: host,
      Config: config,
      NetworkSettings: net,
    } = await engine.getContainer(id).inspect();
    expect(host.Init).toBe(true);
    expect(host.SecurityOpt).toContain('no-new-privileges');
    expect(host.CapDrop?.map((capability: string) => capability.replace('CAP_', ''))).toEqual([
      'NET_RAW',
      'MKNOD',
      'AUDIT_WRITE',
    ]);
    expect(host).toMatchObject({
      PidsLimit: 100,
      Memory: 134217728,
      MemorySwap: 134217728,
      NanoCpus: 5e8,
      ReadonlyRootfs: true,
      Privileged: false,
    });
    expect(host.LogConfig?.Type).toBe('local');
    expect(config.User).toBe('node');
    expect(config.Env).toContain('SECRET=a=b\n"c"');
    expect(Object.values(net.Ports ?? {}).flat()).toEqual([]);
    expect(
      await inside(id, [
        'sh',
        '-c',
        'echo x > /tmp/y && cat /tmp/y && ! echo x > /etc/z && ping -c1 -w2 host.docker.internal 2>&1 | head -n1; mount | grep -c " /data "',
      ]),
    ).toMatch(/^x\n/);
    expect((await engine.getVolume('pointsman-full-data').inspect()).Labels).toMatchObject({
      'dev.pointsman.instance': instance,
    });
  });

  it('keeps a label of 60 kB', async () => {
    const network = await runtime.ensureNetwork('label');
    const plain = containerSpec(instance, network, image, sleep);
    const spec = JSON.stringify({ env: 'ü"\\'.repeat(15_000) });
    const id = await runtime.create({ ...plain, labels: { ...plain.labels, spec, sourceCommit: 's1' } });
    expect((await facts(id)).labels).toEqual({ ...plain.labels, spec, sourceCommit: 's1' });
  });

  it('changes its restart policy in place', async () => {
    const id = await started('policy', sleep);
    const before = await facts(id);
    await runtime.setRestartPolicy(id, 'unless-stopped');
    const after = await facts(id);
    expect(after.restartPolicy).toBe('unless-stopped');
    expect({ ...after, restartPolicy: 'no' }).toEqual(before);
  });

  it('asks the engine for no change of a restart policy that is so already', async () => {
    const id = await started('policy-kept', sleep);
    const changes = async (): Promise<number> => {
      const now = Math.ceil(Date.now() / 1000);
      const filters = { container: [id], event: ['update'] };
      const stream = await engine.getEvents({ since: 0, until: now, filters });
      let text = '';
      for await (const chunk of stream) text += String(chunk);
      return text.split('\n').filter((line) => line !== '').length;
    };
    await runtime.setRestartPolicy(id, 'no');
    expect(await changes()).toBe(0);
    await runtime.setRestartPolicy(id, 'unless-stopped');
    expect(await changes()).toBe(1);
    await runtime.setRestartPolicy(id, 'unless-stopped');
    expect(await changes()).toBe(1);
  });

  it('is restarted and counted when it crashes, and not restarted after docker kill', async () => {
    const id = await started('crash', ['sh', '-c', 'sleep 0.2; exit 7'], { restartPolicy: 'unless-stopped' });
    const crashed = await until(async () => ((await facts(id)).restartCount >= 2 ? await facts(id) : null));
    expect(crashed.restartPolicy).toBe('unless-stopped');
    await runtime.remove(id);

    const killed = await started('crash', sleep, { restartPolicy: 'unless-stopped' });
    await engine.getContainer(killed).kill();
    expect(await runtime.waitForExit(killed, never)).toBe(137);
    expect(await facts(killed)).toMatchObject({ state: 'exited', exitCode: 137, restartCount: 0 });
    // Its address is known while it is stopped, and is the same when it comes back.
    const { address } = await facts(killed);
    expect(address).toBe((await runtime.network('crash'))?.addresses.blue);
    await runtime.start(killed);
    expect(await facts(killed)).toMatchObject({ state: 'running', address });
  });

  it('stops on SIGTERM, is killed after the timeout, and is removed without its volumes', async () => {
    const polite = await started('stop', ['sh', '-c', 'trap "exit 3" TERM; while :; do sleep 0.1; done'], {
      volumes: [{ volume: 'pointsman-stop-data', path: '/data' }],
    });
    await runtime.stop(polite, 10_000);
    expect(await facts(polite)).toMatchObject({ state: 'exited', exitCode: 3 });
    await runtime.stop(polite, 10_000);
    await runtime.remove(polite);
    await runtime.remove(polite);
    await runtime.stop(polite, 10_000);
    expect(await runtime.containers('stop')).toEqual([]);
    await engine.getVolume('pointsman-stop-data').inspect();

    const deaf = await started('stop', ['sh', '-c', 'trap "" TERM; while :; do sleep 0.1; done'], {
      volumes: [{ volume: 'pointsman-stop-data', path: '/data' }],
    });
    await runtime.stop(deaf, 1000);
    expect(await facts(deaf)).toMatchObject({ state: 'exited', exitCode: 137 });
  });

  it('reports running out of memory', async () => {
    const command = ['node', '-e', 'const a=[];for(;;)a.push(Buffer.alloc(1<<20,1))'];
    const id = await started('memory', command, { memoryBytes: 64 * 1024 * 1024 });
    await runtime.waitForExit(id, never);
    expect(await facts(id)).toMatchObject({ state: 'exited', outOfMemory: true });
  });

  it('that cannot start says why', async () => {
    const network = await runtime.ensureNetwork('bad');
    const id = await runtime.create(containerSpec(instance, network, image, sleep, { user: 'nobody-here' }));
    const error = await rejection(runtime.start(id));
    expect(error.code).toBe('StartFailed');
    expect(error.message).toContain('nobody-here');
    expect(error.message).toContain('run.user names no user');
    const gone = await rejection(
      runtime.create(
        containerSpec(instance, network, `sha256:${'0'.repeat(64)}`, null, { name: 'pointsman-bad-green' }),
      ),
    );
    expect(gone.code).toBe('StartFailed');
    expect((await rejection(runtime.start('0'.repeat(64)))).code).toBe('StartFailed');

    await runtime.remove(id);
    const missing = await started('bad', ['no-such-program']);
    expect(await runtime.waitForExit(missing, never)).toBe(127);
    expect((await runtime.tail(missing, 5)).join()).toContain('no-such-program');
  });

  it('whose name another of ours holds is NameTaken as well, and nothing changes', async () => {
    const id = await started('held', sleep);
    const network = await runtime.ensureNetwork('held');
    expect(await runtime.nameHolder('pointsman-held-blue')).toEqual({ id, ours: true, instance });
    const error = await rejection(runtime.create(containerSpec(instance, network, image, sleep)));
    expect(error.code).toBe('NameTaken');
    expect(error.message).toContain('of this instance');
    expect((await facts(id)).state).toBe('running');
  });

  it('in two of its network’s slots never gets the other’s address', async () => {
    const id = await started('twice', sleep);
    const network = (await runtime.network('twice')) as NetworkFacts;
    const second = await runtime.create(
      containerSpec(instance, network, image, sleep, { name: 'pointsman-twice-green' }),
    );
    const error = await rejection(runtime.start(second));
    expect(error.message).toContain('address');
    expect((await facts(id)).state).toBe('running');
  });
});

describe('what is not ours', () => {
  it('is named when it holds our name, and touched by no call', async () => {
    const network = await runtime.ensureNetwork('taken');
    const stranger = await engine.createContainer({
      name: 'pointsman-taken-blue',
      Image: image,
      Cmd: sleep as string[],
    });
    cleanups.push(() => stranger.remove({ force: true }));
    await stranger.start();
    expect(await runtime.nameHolder('pointsman-taken-blue')).toEqual({
      id: stranger.id,
      ours: false,
      instance: null,
    });
    expect(await runtime.nameHolder('pointsman-taken-green')).toBeNull();
    const before = await stranger.inspect();
    const error = await rejection(runtime.create(containerSpec(instance, network, image, sleep)));
    expect(error.code).toBe('NameTaken');
    expect(error.message).toContain(stranger.id.slice(0, 12));
    for (const call of [
      () => runtime.start(stranger.id),
      () => runtime.stop(stranger.id, 1000),
      () => runtime.remove(stranger.id),
      () => runtime.setRestartPolicy(stranger.id, 'unless-stopped'),
    ]) {
      expect((await rejection(call())).code).toBe('NameTaken');
    }
    expect(await stranger.inspect()).toEqual(before);
    expect(await runtime.containers()).toEqual([]);
  });

  it('includes what another instance made, and what inherited our label from an image', async () => {
    const other = `${instance}-b`;
    cleanups.push(() => cleanInstance(other));
    const second = testRuntime(other, pool);
    const id = await second.create(containerSpec(other, await second.ensureNetwork('theirs'), image, sleep));
    expect((await rejection(runtime.remove(id))).code).toBe('NameTaken');
    const heir = await engine.createContainer({
      name: `${instance}-heir`,
      Image: image,
      Labels: { 'dev.pointsman.instance': instance, 'dev.pointsman.project': 'theirs' },
    });
    cleanups.push(() => heir.remove({ force: true }));
    expect((await rejection(runtime.remove(heir.id))).code).toBe('NameTaken');
    expect(await runtime.nameHolder(`${instance}-heir`)).toMatchObject({ ours: false });
    expect(await runtime.containers()).toEqual([]);
    expect(await second.containers()).toHaveLength(1);
  });

  it('includes volumes of our name, which are not mounted', async () => {
    const network = await runtime.ensureNetwork('vol');
    await engine.createVolume({ Name: 'pointsman-vol-data' });
    cleanups.push(() => engine.getVolume('pointsman-vol-data').remove());
    const change = { volumes: [{ volume: 'pointsman-vol-data', path: '/data' }] };
    const error = await rejection(runtime.create(containerSpec(instance, network, image, sleep, change)));
    expect(error.code).toBe('NameTaken');
    expect(error.message).toContain('pointsman-vol-data');
  });

  it('includes the volume of a project whose name and ours make one', async () => {
    const name = 'pointsman-vol-a-data';
    cleanups.push(() => engine.getVolume(name).remove());
    const [owner, other] = [await runtime.ensureNetwork('vol-a'), await runtime.ensureNetwork('vol')];
    const change = { volumes: [{ volume: name, path: '/data' }] };
    const id = await runtime.create(containerSpec(instance, owner, image, sleep, change));
    const error = await rejection(runtime.create(containerSpec(instance, other, image, sleep, change)));
    expect(error.code).toBe('NameTaken');
    expect(error.message).toBe(
      `the volume name ${name} is held by project vol-a; rename the volume in the manifest`,
    );
    await runtime.remove(id);
  });
});

describe('waiting and logs', () => {
  it('waits for the exit code, and not for what never ran', async () => {
    const network = await runtime.ensureNetwork('wait');
    const id = await runtime.create(
      containerSpec(instance, network, image, ['sh', '-c', 'sleep 0.5; exit 42']),
    );
    expect((await rejection(runtime.waitForExit(id, never))).message).toContain('never started');
    await runtime.start(id);
    expect(await runtime.waitForExit(id, never)).toBe(42);
    expect(await runtime.waitForExit(id, never)).toBe(42);
    await runtime.remove(id);
    expect((await rejection(runtime.waitForExit(id, never))).code).toBe('StartFailed');
  });

  it('stops waiting when aborted', async () => {
    const id = await started('wait', sleep);
    const abort = new AbortController();
    const reason = new Error('enough');
    const waiting = runtime.waitForExit(id, abort.signal);
    await delay(100);
    abort.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    expect((await facts(id)).state).toBe('running');
  });

  it('gives the last lines of both streams, each in order, cut and clean', async () => {
    const script =
      'for(let i=0;i<30;i++)(i%2?console.error:console.log)("line "+i);console.log("\\u001b[31mred\\u001b[0m");process.stdout.write("x".repeat(50000)+"\\nend")';
    const id = await started('tail', ['node', '-e', `${script}`]);
    await runtime.waitForExit(id, never);
    const all = await until(async () => {
      const lines = await runtime.tail(id, 100);
      return lines.at(-1) === 'end' ? lines : null;
    });
    expect(all).toHaveLength(33);
    // Each stream in its order; how two pipes interleave is up to the engine.
    const isOdd = (line: string): boolean => Number(/^line (\d+)$/.exec(line)?.[1] ?? 0) % 2 === 1;
    expect(all.filter(isOdd)).toEqual(Array.from({ length: 15 }, (_, index) => `line ${index * 2 + 1}`));
    expect(all.filter((line) => !isOdd(line))).toEqual([
      ...Array.from({ length: 15 }, (_, index) => `line ${index * 2}`),
      'red',
      `${'x'.repeat(2000)}…`,
      'end',
    ]);
    expect(await runtime.tail(id, 2)).toHaveLength(2);
    await runtime.remove(id);
    expect(await runtime.tail(id, 10)).toEqual([]);
  });

  it('follows a log until the container ends, and until aborted', async () => {
    const id = await started('follow', [
      'sh',
      '-c',
      'for i in 1 2 3; do echo out $i; echo err $i >&2; sleep 0.2; done',
    ]);
    const chunks: LogChunk[] = [];
    for await (const chunk of runtime.logs(id, { follow: true, tail: null }, never)) chunks.push(chunk);
    const text = (stream: string): string =>
      Buffer.concat(chunks.filter((chunk) => chunk.stream === stream).map((chunk) => chunk.data)).toString();
    expect(text('stdout')).toBe('out 1\nout 2\nout 3\n');
    expect(text('stderr')).toBe('err 1\nerr 2\nerr 3\n');
    await runtime.remove(id);

    const endless = await started('follow', [
      'sh',
      '-c',
      'for i in 1 2 3; do echo tick; sleep 0.1; done; exec sleep 300',
    ]);
    const abort = new AbortController();
    let ticks = 0;
    for await (const { data } of runtime.logs(endless, { follow: true, tail: 3 }, abort.signal)) {
      ticks += String(data).split('tick').length - 1;
      if (ticks === 3) abort.abort();
    }
    expect(ticks).toBe(3);
  });
});

describe('events', () => {
  it('tell of our containers, networks and images from the call on, of strangers nothing, and end when aborted', async () => {
    const abort = new AbortController();
    const seen: RuntimeEvent[] = [];
    // The first read comes after the first changes: they must not be missed.
    const events = runtime.events(abort.signal);
    await runtime.ensureNetwork('events');
    const reading = (async () => {
      for await (const event of events) seen.push(event);
    })();
    const stranger = await engine.createContainer({
      name: `${instance}-stranger`,
      Image: image,
      Cmd: ['true'],
    });
    cleanups.push(() => stranger.remove({ force: true }));
    await stranger.start();
    const id = await started('events', ['sh', '-c', 'exit 5']);
    await runtime.waitForExit(id, never);
    await runtime.remove(id);
    await runtime.removeNetwork('events');
    await until(async () => seen.some((event) => event.kind === 'network' && event.action === 'destroy'));
    abort.abort();
    await reading;

    expect(seen.every((event) => event.project === 'events')).toBe(true);
    expect(seen.some((event) => event.containerId === stranger.id)).toBe(false);
    const actions = seen.map((event) => `${event.kind} ${event.action}`);
    for (const action of [
      'network create',
      'container create',
      'container start',
      'network connect',
      'container die',
      'network disconnect',
      'container destroy',
      'network destroy',
    ]) {
      expect(actions).toContain(action);
    }
    expect(seen.find((event) => event.action === 'die')).toEqual({
      kind: 'container',
      action: 'die',
      project: 'events',
      containerId: id,
      exitCode: 5,
    });
    expect(seen.find((event) => event.action === 'disconnect')?.containerId).toBe(id);
  });
});

function connects(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 1000 });
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket
      .once('connect', () => end(true))
      .once('error', () => end(false))
      .once('timeout', () => end(false));
  });
}

/** Runs a program in the container; its output. */
async function inside(id: string, command: string[]): Promise<string> {
  const exec = await engine
    .getContainer(id)
    .exec({ Cmd: command, AttachStdout: true, AttachStderr: true, Tty: true });
  const stream = await exec.start({ Tty: true });
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text.replaceAll('\r\n', '\n');
}
