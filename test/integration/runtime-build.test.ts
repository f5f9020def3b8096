import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { systemClock, type Clock } from '../../src/clock.js';
import type { BuildSpec } from '../../src/manifest/project.js';
import type { BuildProgress, BuildRequest } from '../../src/runtime/port.js';
import { ensureBaseImage } from '../support/base-image.js';
import { proxyEngine } from '../support/engine-proxy.js';
import {
  cleanInstance,
  containerSpec,
  contextOf,
  engine,
  leaks,
  plainBuild,
  testRuntime,
} from '../support/engine.js';
import { rejection, until } from '../support/waiting.js';

const instance = `runtime-build-${process.pid}`;
const project = `rtb-${process.pid}`;
const pool = '10.215.128.0/18';
const runtime = testRuntime(instance, pool);
const never = new AbortController().signal;
const labels = {
  'dev.pointsman.instance': instance,
  'dev.pointsman.project': project,
  'dev.pointsman.image-key': 'k1',
};
const tag = `pointsman/${project}:k1`;

beforeAll(async () => {
  await ensureBaseImage();
});

afterEach(async () => {
  await cleanInstance(instance, [project]);
});

afterAll(async () => {
  expect(await leaks(instance)).toEqual([]);
});

interface Built {
  readonly image: string;
  readonly progress: readonly BuildProgress[];
  readonly lines: readonly string[];
}

function requestOf(files: Readonly<Record<string, string>>, change: Partial<BuildSpec> = {}): BuildRequest {
  return { project, tag, labels, build: { ...plainBuild, ...change }, context: contextOf(files) };
}

async function build(
  files: Readonly<Record<string, string>>,
  change: Partial<BuildSpec> = {},
  signal = never,
): Promise<Built> {
  const progress: BuildProgress[] = [];
  const image = await runtime.build(requestOf(files, change), (line) => progress.push(line), signal);
  return { image, progress, lines: progress.map(({ line }) => line) };
}

/** A word that stands in no other process's command line. */
function marker(): string {
  return `marker-${Math.random().toString(36).slice(2)}`;
}

/** Processes of the machine whose command line holds `text`; the build's processes are among them. */
async function processes(text: string): Promise<number> {
  const { readdir, readFile } = await import('node:fs/promises');
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  const lines = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  );
  return lines.filter((line) => line.includes(text)).length;
}

it('builds with target, arguments and dockerfile, and decodes what happens', async () => {
  const word = marker();
  const { image, progress, lines } = await build(
    {
      'deploy/App.dockerfile': `FROM node:base AS one\nARG WORD\nCOPY a.txt /a\nRUN echo "out $WORD" && echo err >&2\nFROM one AS two\nRUN exit 9\n`,
      'a.txt': 'x',
    },
    { dockerfile: 'deploy/App.dockerfile', target: 'one', args: { WORD: word } },
  );
  expect(image).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect(progress.map(({ step }) => step).filter((step) => step !== null)).toEqual([
    '[one 1/3] FROM docker.io/library/node:base',
    '[one 2/3] COPY a.txt /a',
    `[one 3/3] RUN echo "out ${word}" && echo err >&2`,
    'exporting to image',
  ]);
  const run = lines.find((line) => line.includes('3/3]'))?.split(' ')[0] ?? '';
  expect(lines).toContain(`${run} out ${word}`);
  expect(lines).toContain(`${run} err`);
  expect(lines.some((line) => new RegExp(`^${run} DONE \\d+\\.\\ds$`).test(line))).toBe(true);
  expect(await runtime.image(tag)).toMatchObject({ id: image, tags: [tag], labels });
});

it('gives the same image with its labels when everything is cached', async () => {
  const files = { Dockerfile: `FROM node:base\nRUN echo ${marker()}\nEXPOSE 8080 53/udp\n` };
  const first = await build(files);
  await engine.getImage(tag).remove();
  const second = await build(files);
  expect(second.lines.some((line) => line.endsWith(' CACHED'))).toBe(true);
  expect(await runtime.image(tag)).toMatchObject({ labels, exposedPorts: [8080] });
  expect(second.image).toBe(first.image);
});

it('runs npm ci in a container made from this machine’s Node', async () => {
  const manifest = { name: 'app', version: '1.0.0', dependencies: {} };
  const lock = { ...manifest, lockfileVersion: 3, packages: { '': manifest } };
  const { lines } = await build({
    Dockerfile: `FROM node:base\nWORKDIR /app\nCOPY . .\nRUN npm ci --no-audit && id node && echo ${marker()}\n`,
    'package.json': JSON.stringify(manifest),
    'package-lock.json': JSON.stringify(lock),
  });
  expect(lines.some((line) => line.includes('uid=1000(node)'))).toBe(true);
});

it.each([
  [
    'a failing command',
    'FROM node:base\nRUN for i in $(seq 200); do echo line $i; done; exit 3\n',
    'BuildFailed',
    /in \[2\/2\] RUN .*: exit code 3/,
  ],
  [
    'an unknown instruction',
    'FROM node:base\nRUNN x\n',
    'BuildFailed',
    /dockerfile parse error line 2: unknown instruction: RUNN/i,
  ],
  [
    'a missing file',
    'FROM node:base\nCOPY nope /x\n',
    'BuildFailed',
    /in \[2\/2\] COPY nope \/x: .*nope.*not found; COPY and ADD find only/,
  ],
  ['an empty Dockerfile', '', 'BuildFailed', /Dockerfile cannot be empty/i],
  [
    'an image of an unreachable registry',
    'FROM 127.0.0.1:19499/x:1\n',
    'ImagePullFailed',
    /FROM names 127\.0\.0\.1:19499\/x:1, which the engine does not have .* check that 127\.0\.0\.1:19499 is reachable/,
  ],
  [
    'an unreachable syntax image',
    '# syntax=127.0.0.1:19499/dockerfile:1\nFROM node:base\n',
    'ImagePullFailed',
    /"# syntax" line names 127\.0\.0\.1:19499\/dockerfile:1.*take that line out/,
  ],
])('explains %s', async (_, dockerfile, code, message) => {
  const error = await rejection(build({ Dockerfile: dockerfile }));
  expect(error.code).toBe(code);
  expect(error.message).toMatch(message);
  const tail = error.detail['tail'] as string[];
  expect(tail.length).toBeGreaterThan(0);
  expect(tail.length).toBeLessThanOrEqual(50);
  if (dockerfile.includes('seq 200')) expect(tail.slice(-2)[0]).toContain('line 200');
});

it('explains a missing Dockerfile and a missing stage', async () => {
  const missing = await rejection(build({ Dockerfile: 'FROM node:base\n' }, { dockerfile: 'Other' }));
  expect(missing.code).toBe('DockerfileMissing');
  expect(missing.message).toContain('there is no Other in the build context');
  const stage = await rejection(build({ Dockerfile: 'FROM node:base\n' }, { target: 'nope' }));
  expect(stage.message).toContain('build.target');
});

it('really ends in the engine when aborted', async () => {
  const word = marker();
  const abort = new AbortController();
  const reason = new Error('superseded');
  const running = build(
    { Dockerfile: `FROM node:base\nRUN sh -c 'sleep 300; echo ${word}'\n` },
    {},
    abort.signal,
  );
  const ended = expect(running).rejects.toBe(reason);
  await until(async () => (await processes(word)) > 0);
  abort.abort(reason);
  await ended;
  await until(async () => (await processes(word)) === 0);
  expect(await runtime.image(tag)).toBeNull();
});

it('really ends in the engine after its timeout', async () => {
  const word = marker();
  let runOut = (): void => undefined;
  const clock: Clock = {
    ...systemClock,
    timer(ms, callback) {
      if (ms !== 2000) return systemClock.timer(ms, callback);
      runOut = callback;
      return () => undefined;
    },
  };
  const timed = testRuntime(instance, pool, undefined, clock);
  const files = { Dockerfile: `FROM node:base\nRUN sh -c 'sleep 300; echo ${word}'\n` };
  const request = requestOf(files, { timeoutMs: 2000 });
  let isTold = false;
  const failed = rejection(timed.build(request, ({ line }) => (isTold ||= line.includes(word)), never));
  await until(async () => isTold && (await processes(word)) > 0);
  runOut();
  const error = await failed;
  expect(error.code).toBe('BuildTimedOut');
  expect(error.message).toContain('2 s');
  expect((error.detail['tail'] as string[]).some((line) => line.includes(word))).toBe(true);
  await until(async () => (await processes(word)) === 0);
});

it('fails with what its context failed with', async () => {
  const fault = new Error('mirror is corrupt');
  const context = new Readable({ read: () => undefined });
  context.push(Buffer.alloc(512));
  const request = { project, tag, labels, build: plainBuild, context };
  const running = expect(runtime.build(request, () => undefined, never)).rejects.toBe(fault);
  setImmediate(() => context.destroy(fault));
  await running;

  const cut = new Readable({ read: () => undefined });
  setImmediate(() => cut.destroy());
  await expect(runtime.build({ ...request, context: cut }, () => undefined, never)).rejects.toThrow(
    'ended too early',
  );
});

it('and every other stream fails with DockerUnavailable when the engine goes away', async () => {
  const proxy = await proxyEngine();
  const behind = testRuntime(instance, pool, proxy.socket);
  const network = await runtime.ensureNetwork(project);
  const base = (await runtime.image('node:base'))?.id ?? '';
  const id = await runtime.create(containerSpec(instance, network, base, ['sleep', '600']));
  await runtime.start(id);

  const word = marker();
  const context = contextOf({ Dockerfile: `FROM node:base\nRUN sh -c 'sleep 300; echo ${word}'\n` });
  const request = { project, tag, labels, build: plainBuild, context };
  const waits = [
    rejection(behind.build(request, () => undefined, never)),
    rejection(behind.waitForExit(id, never)),
    rejection(behind.events(never)[Symbol.asyncIterator]().next()),
    rejection(behind.logs(id, { follow: true, tail: null }, never)[Symbol.asyncIterator]().next()),
  ];
  await until(async () => (await processes(word)) > 0);
  await proxy.cut();
  for (const error of await Promise.all(waits)) expect(error.code).toBe('DockerUnavailable');
  expect((await rejection(behind.containers())).code).toBe('DockerUnavailable');
  await until(async () => (await processes(word)) === 0);
});
