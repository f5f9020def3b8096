/** Who may look into the state directory after real deployments, under the loosest and the tightest umask. */
import { lstat, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { startGitHttp, type GitHttpServer } from '../support/git.js';
import { createScenario, type Scenario } from '../support/scenario.js';

let scenario: Scenario;
let server: GitHttpServer;
const token = 'token-of-the-modes';

beforeEach(async () => {
  scenario = await createScenario();
  server = await startGitHttp(scenario.folder, { token });
});
afterEach(async () => {
  await scenario.stopAll();
  await server.close();
  await scenario.cleanup();
});

/** What others may do with it: nginx's workers, another user, have to get to the switch files, which they only see, and to their own folders. */
function bitsOfOthers({ kind, path }: Found): number {
  // nginx writes these itself, 0644: a number, and in a folder that is closed to others what went wrong.
  if (/^nginx\/(?:nginx\.pid|staged\/test\.pid|logs\/error\.log)$/.test(path)) return 0o044;
  return kind === 'folder' && /^(?:\.|nginx|nginx\/(?:switch|tmp))$/.test(path) ? 0o001 : 0;
}

/** And its group, which may read what tells no secret. */
function bitsOfGroup({ kind, path }: Found): number {
  const seen = bitsOfOthers({ kind, path, mode: 0 });
  if (seen !== 0) return seen << 3;
  if (/^(?:status\.json|nginx\/.+\.conf)$/.test(path)) return 0o040;
  return kind === 'folder' && /^nginx\/(?:sites|staged|logs)$/.test(path) ? 0o050 : 0;
}

interface Found {
  readonly path: string;
  readonly kind: 'folder' | 'file' | 'socket' | 'other';
  readonly mode: number;
}

/** Everything in the folder, itself included. */
async function walk(folder: string): Promise<readonly Found[]> {
  const found: Found[] = [];
  for (const path of ['.', ...(await readdir(folder, { recursive: true }))]) {
    const facts = await lstat(join(folder, path)).catch(() => null);
    if (facts === null) continue;
    const kind = facts.isDirectory()
      ? 'folder'
      : facts.isFile()
        ? 'file'
        : facts.isSocket()
          ? 'socket'
          : 'other';
    found.push({ path: relative('.', path) || '.', kind, mode: facts.mode & 0o7777 });
  }
  return found;
}

it.each(['000', '077'])('nobody else can read state or write anything, with umask %s', async (umask) => {
  const tokenFile = join(scenario.folder, 'token');
  await writeFile(tokenFile, `${token}\n`, { mode: 0o600 });
  await scenario.writeSettings({
    configRepo: { url: `${server.url}/config/.git`, interval: '1s', tokenFile },
  });
  const shop = scenario.name('shop');
  await mkdir(join(scenario.secretsDir, shop), { mode: 0o700 });
  await writeFile(join(scenario.secretsDir, shop, 'API_KEY'), 'x', { mode: 0o600 });
  const application = await scenario.application('shop');
  const over = { run: { secrets: ['API_KEY'] }, release: { command: ['node', 'release.mjs'] } };
  await scenario.commitManifest(shop, application, over);
  const controller = scenario.start({ enter: ['sh', '-c', `umask ${umask}; exec "$0" "$@"`] });
  await controller.waitLive(shop);
  // Both slots, a failed build and its log.
  const second = await application.commitVersion('v2');
  await controller.waitLive(shop, { sourceCommit: second });
  await application.commit({ Dockerfile: 'FROM node:base\nRUN exit 3\n' });
  await controller.waitFor('the build failed', ({ status }) => status?.projects[shop]?.state === 'failed');

  const everything = [...(await walk(scenario.stateDir)), ...(await walk(scenario.secretsDir))];
  // Beyond its owner; nothing runs with another's rights.
  const tooMuch = everything.filter(
    (found) => (found.mode & 0o7077 & ~(bitsOfOthers(found) | bitsOfGroup(found))) !== 0,
  );
  expect(tooMuch.map(({ kind, path, mode }) => `${kind} ${path} ${mode.toString(8)}`)).toEqual([]);
  expect(everything.filter(({ kind }) => kind === 'other')).toEqual([]);
  const files = (await walk(scenario.stateDir)).map(({ path }) => path).join('\n');
  for (const expected of [
    /^control\.sock$/m,
    /^status\.json$/m,
    /^journal\.jsonl$/m,
    /^logs\/.+\.log$/m,
    /^nginx\/switch\/.+\.(?:blue|green)$/m,
    /^repos\/[0-9a-f]{24}\.git\/HEAD$/m,
  ])
    expect(files).toMatch(expected);
  expect((await walk(scenario.secretsDir)).find(({ path }) => path === '.key')?.mode).toBe(0o600);
  // Workers do answer: what they need, they reach.
  expect(await scenario.version(shop)).toBe('v2');
});
