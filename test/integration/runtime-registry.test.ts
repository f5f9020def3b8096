import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { proxyEngine } from '../support/engine-proxy.js';
import { cleanInstance, contextOf, engine, leaks, plainBuild, testRuntime } from '../support/engine.js';
import { registryUser, startRegistry, type TestRegistry } from '../support/registry.js';
import { rejection } from '../support/waiting.js';

const instance = `runtime-registry-${process.pid}`;
const project = `rtr-${process.pid}`;
const pool = '10.215.192.0/18';
const runtime = testRuntime(instance, pool);
const never = new AbortController().signal;
let open: TestRegistry;
let closed: TestRegistry;
let folder = '';
/** Ids of what was published. */
const published = new Set<string>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pointsman-docker-config-'));
  open = await startRegistry(19400, { signIn: false });
  closed = await startRegistry(19401, { signIn: true });
  await publish(`${open.host}/app:1`, {});
  await publish(`${closed.host}/team/app:1`, {
    username: registryUser.name,
    password: registryUser.password,
  });
});

afterEach(async () => {
  vi.unstubAllEnvs();
  for (const reference of [`${open.host}/app:1`, `${closed.host}/team/app:1`])
    await engine
      .getImage(reference)
      .remove()
      .catch(() => undefined);
  await cleanInstance(instance, [project]);
});

afterAll(async () => {
  await open.stop();
  await closed.stop();
  await rm(folder, { recursive: true, force: true });
  // An aborted pull may leave its image in the engine without a name.
  for (const id of published)
    await engine
      .getImage(id)
      .remove({ force: true })
      .catch(() => undefined);
  expect(await leaks(instance)).toEqual([]);
});

/** Makes a small image and pushes it; nothing of it stays in the engine. */
async function publish(reference: string, auth: object): Promise<void> {
  // No label of ours: to Pointsman it is anybody's image.
  const context = contextOf({ Dockerfile: 'FROM scratch\nCOPY Dockerfile /hello\nCMD ["/hello"]\n' });
  const request = { project, tag: reference, labels: {}, build: plainBuild, context };
  published.add(await runtime.build(request, () => undefined, never));
  const image = engine.getImage(reference);
  const stream = await image.push({ authconfig: { serveraddress: reference.split('/')[0] ?? '', ...auth } });
  await new Promise<void>((resolve, reject) =>
    engine.modem.followProgress(stream, (error, output: { error?: string }[]) => {
      const fault = error ?? output.find((message) => message.error !== undefined);
      if (fault) reject(new Error(`push of ${reference} failed: ${JSON.stringify(fault)}`));
      else resolve();
    }),
  );
  await image.remove();
}

async function useConfig(config: object | string): Promise<void> {
  const path = join(folder, 'config.json');
  await writeFile(path, typeof config === 'string' ? config : JSON.stringify(config));
  vi.stubEnv('DOCKER_CONFIG', folder);
}

function basic(password: string): string {
  return Buffer.from(`${registryUser.name}:${password}`).toString('base64');
}

it('pulls an image, tags it for a project, and takes only the pulled name away again', async () => {
  await useConfig({});
  const lines: string[] = [];
  const reference = `${open.host}/app:1`;
  const tag = `pointsman/${project}:k1`;
  await runtime.pull(reference, (line) => lines.push(line), never);
  expect(lines.some((line) => /Pull complete|Already exists/.test(line))).toBe(true);
  expect(lines.some((line) => line.includes('Downloaded newer image'))).toBe(true);
  const pulled = await runtime.image(reference);
  await runtime.tag(pulled?.id ?? '', tag);
  expect(await runtime.removeImage(reference)).toBe(true);
  expect(await runtime.removeImage(reference)).toBe(false);
  expect(await runtime.image(tag)).toMatchObject({ id: pulled?.id, tags: [tag] });
  expect((await runtime.images(project)).map((image) => image.id)).toEqual([pulled?.id]);
  expect((await runtime.images()).map((image) => image.id)).toContain(pulled?.id);
  expect(await runtime.removeImage(tag)).toBe(true);
  expect(await runtime.image(pulled?.id ?? '')).toBeNull();
});

it('pulls by digest, and leaves nothing of it when its tag goes', async () => {
  await useConfig({});
  await runtime.pull(`${open.host}/app:1`, () => undefined, never);
  const digest = (await engine.getImage(`${open.host}/app:1`).inspect()).RepoDigests[0] ?? '';
  await engine.getImage(`${open.host}/app:1`).remove();
  expect(await runtime.image(digest)).toBeNull();
  await runtime.pull(digest, () => undefined, never);
  const id = (await runtime.image(digest))?.id ?? '';
  await runtime.tag(id, `pointsman/${project}:k2`);
  expect(await runtime.removeImage(digest)).toBe(true);
  expect(await runtime.removeImage(`pointsman/${project}:k2`)).toBe(true);
  expect(await runtime.image(id)).toBeNull();
});

it('never removes a name that it did not bring, nor an image of another instance', async () => {
  await useConfig({});
  const reference = `${open.host}/app:1`;
  // One that has pulled nothing yet.
  const runtime = testRuntime(instance, pool);
  await engine
    .pull(reference)
    .then((stream) => new Promise((resolve) => engine.modem.followProgress(stream, resolve)));
  const id = (await runtime.image(reference))?.id ?? '';
  // It was there before, so the pull brings nothing.
  await runtime.pull(reference, () => undefined, never);
  await runtime.tag(id, `pointsman/${project}:k1`);
  expect((await rejection(runtime.removeImage(reference))).code).toBe('NameTaken');
  expect((await rejection(runtime.tag(id, 'somebody/else:1'))).code).toBe('NameTaken');
  expect(await runtime.image(reference)).not.toBeNull();

  const other = `${instance}-other`;
  try {
    // A pulled image has no label; the project's network tells whose it is.
    await testRuntime(other, pool).ensureNetwork(project);
    expect(await runtime.images(project)).toEqual([]);
    expect((await rejection(runtime.removeImage(`pointsman/${project}:k1`))).code).toBe('NameTaken');
    expect((await rejection(runtime.tag(id, `pointsman/${project}:k1`))).code).toBe('NameTaken');
  } finally {
    await cleanInstance(other);
  }
});

it('leaves an image that a container uses', async () => {
  await useConfig({});
  const tag = `pointsman/${project}:k1`;
  await runtime.pull(`${open.host}/app:1`, () => undefined, never);
  await runtime.tag((await runtime.image(`${open.host}/app:1`))?.id ?? '', tag);
  await runtime.removeImage(`${open.host}/app:1`);
  const user = await engine.createContainer({ name: `${instance}-user`, Image: tag });
  try {
    expect(await runtime.removeImage(tag)).toBe(false);
    expect(await runtime.image(tag)).not.toBeNull();
  } finally {
    await user.remove();
  }
});

it('signs in with what docker login keeps in its file', async () => {
  const reference = `${closed.host}/team/app:1`;
  await useConfig({ auths: { [closed.host]: { auth: basic(registryUser.password) } } });
  await runtime.pull(reference, () => undefined, never);
  expect(await runtime.image(reference)).not.toBeNull();
});

it('signs in with what a credential helper says', async () => {
  const bin = join(folder, 'bin');
  await mkdir(bin, { recursive: true });
  const helper = join(bin, 'docker-credential-pointsman-test');
  const answer = JSON.stringify({
    ServerURL: closed.host,
    Username: registryUser.name,
    Secret: registryUser.password,
  });
  // Answers for this registry alone, asked on its standard input.
  await writeFile(
    helper,
    `#!/bin/sh\nread -r host\n[ "$1 $host" = "get ${closed.host}" ] && echo '${answer}' && exit\necho "credentials not found in native keychain"; exit 1\n`,
  );
  await chmod(helper, 0o755);
  const reference = `${closed.host}/team/app:1`;
  await useConfig({ credHelpers: { [closed.host]: 'pointsman-test' } });
  vi.stubEnv('PATH', `${bin}:${process.env['PATH'] ?? ''}`);
  await runtime.pull(reference, () => undefined, never);
  await engine.getImage(reference).remove();

  await useConfig({ credsStore: 'pointsman-test' });
  await runtime.pull(reference, () => undefined, never);
  await runtime.pull(`${open.host}/app:1`, () => undefined, never);
});

it('says what to do when the registry wants a sign-in, and never the password', async () => {
  const reference = `${closed.host}/team/app:1`;
  await useConfig({});
  const without = await rejection(runtime.pull(reference, () => undefined, never));
  expect(without.code).toBe('ImagePullFailed');
  expect(without.message).toContain(`docker login ${closed.host}`);
  await useConfig({ auths: { [closed.host]: { auth: basic('wrong-secret') } } });
  const wrong = await rejection(runtime.pull(reference, () => undefined, never));
  expect(wrong.message).toContain('docker login');
  expect(JSON.stringify([wrong.message, wrong.detail, String(wrong.cause)])).not.toMatch(
    /wrong-secret|d3Jvb/,
  );
  await useConfig({ credsStore: 'no-such-helper' });
  const lines: string[] = [];
  const helper = await rejection(runtime.pull(reference, (line) => lines.push(line), never));
  expect(helper.message).toContain('docker-credential-no-such-helper');
  expect(lines.join()).toContain('docker-credential-no-such-helper');
  await useConfig('{"auths": secret');
  expect((await rejection(runtime.pull(reference, () => undefined, never))).message).toMatch(
    /config\.json is not JSON/,
  );
});

it.each([
  ['a tag that is not there', () => `${open.host}/app:nope`, /check its name and tag/],
  ['a repository that is not there', () => `${open.host}/nobody/app`, /check its name and tag/],
  [
    'a registry that is not there',
    () => '127.0.0.1:19499/app:1',
    /check that 127\.0\.0\.1:19499 is reachable/,
  ],
  ['a name that is none', () => '../containers/x', /is no image reference/],
])('explains %s', async (_, reference, message) => {
  await useConfig({});
  const error = await rejection(runtime.pull(reference(), () => undefined, never));
  expect(error.code).toBe('ImagePullFailed');
  expect(error.message).toMatch(message);
  expect(await runtime.image(reference())).toBeNull();
});

it('stops a pull when aborted, and says so when the engine goes away', async () => {
  await useConfig({});
  const abort = new AbortController();
  const reason = new Error('superseded');
  const aborted = expect(
    runtime.pull(`${open.host}/app:1`, () => abort.abort(reason), abort.signal),
  ).rejects.toBe(reason);
  await aborted;
  const proxy = await proxyEngine();
  const behind = testRuntime(instance, pool, proxy.socket);
  const cut = rejection(behind.pull(`${open.host}/app:1`, () => void proxy.cut(), never));
  expect((await cut).code).toBe('DockerUnavailable');
});

it('builds on an image of a registry that wants a sign-in', async () => {
  const files = { Dockerfile: `FROM ${closed.host}/team/app:1\nCOPY Dockerfile /again\n` };
  const labels = { 'dev.pointsman.instance': instance };
  const build = (): Promise<string> =>
    runtime.build(
      { project, tag: `pointsman/${project}:k3`, labels, build: plainBuild, context: contextOf(files) },
      () => undefined,
      never,
    );
  await useConfig({});
  const error = await rejection(build());
  expect(error.code).toBe('BuildFailed');
  expect(error.message).toContain(`FROM names ${closed.host}/team/app:1`);
  expect(error.message).toContain(`docker login ${closed.host}`);
  await useConfig({ auths: { [closed.host]: { auth: basic(registryUser.password) } } });
  expect(await build()).toMatch(/^sha256:/);
});
