/**
 * Every command line and environment that `git` is started with, recorded by a stand-in that then runs
 * the real one: while hostile names, paths and refs of settings, manifests and servers go through.
 */
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openAdapters, entriesOf, sourceOf } from '../support/git-adapters.js';
import { commitFiles, makeRepository, startGitHttp, type GitHttpServer } from '../support/git.js';

const execute = promisify(execFile);
const signal = new AbortController().signal;
const token = 'canary-token-51c0de';
const poison = {
  GIT_DIR: '/etc',
  GIT_WORK_TREE: '/etc',
  GIT_SSH_COMMAND: 'id',
  GIT_EXTERNAL_DIFF: 'id',
  GIT_CONFIG_COUNT: '1',
  GIT_CONFIG_KEY_0: 'core.hooksPath',
  GIT_CONFIG_VALUE_0: '/tmp',
  GIT_CONFIG_PARAMETERS: "'core.pager=id'",
  GIT_TRACE: '1',
  GIT_TRACE_CURL: '1',
  GIT_PROXY_COMMAND: 'id',
  GIT_EXEC_PATH_EXTRA: '/tmp',
  GIT_ALTERNATE_OBJECT_DIRECTORIES: '/etc',
  SSH_AUTH_SOCK: '/tmp/agent',
  LD_PRELOAD: '/tmp/none.so',
  NODE_OPTIONS_CANARY: token,
};

let folder: string;
let path: string | undefined;
let server: GitHttpServer;
let kept: NodeJS.ProcessEnv;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pointsman-git-calls-'));
  const real = (await execute('sh', ['-c', 'command -v git'])).stdout.trim();
  await mkdir(join(folder, 'bin'));
  await mkdir(join(folder, 'calls'));
  // NUL between arguments, a mark, NUL between variables: nothing of either needs escaping.
  const program = `#!/bin/sh
{ for word in "$@"; do printf '%s\\0' "$word"; done; printf '\\001'; cat /proc/self/environ; } > ${folder}/calls/$$
exec ${real} "$@"
`;
  await writeFile(join(folder, 'bin', 'git'), program);
  await chmod(join(folder, 'bin', 'git'), 0o755);
  kept = { ...process.env };
  path = process.env['PATH'];
});

afterEach(async () => {
  for (const name of Object.keys(process.env)) if (!(name in kept)) Reflect.deleteProperty(process.env, name);
  Object.assign(process.env, kept);
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

interface Call {
  readonly argv: readonly string[];
  readonly env: ReadonlyMap<string, string>;
}

/** Of commands of ours: git starts itself for its own parts, as `git` with a command that is one. */
async function calls(): Promise<readonly Call[]> {
  const found: Call[] = [];
  for (const name of await readdir(join(folder, 'calls'))) {
    const [argv = '', env = ''] = (await readFile(join(folder, 'calls', name), 'utf8')).split('\u0001');
    const pairs = env.split('\0').filter((pair) => pair !== '');
    found.push({
      argv: argv.split('\0').slice(0, -1),
      env: new Map(
        pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
      ),
    });
  }
  return found;
}

const hash = '[0-9a-f]{40}';
const record = 'refs/pointsman/last/[0-9a-f]{24}';
/** A repository's address or a path: whatever it holds, it stands behind `--`. */
const shapes: readonly RegExp[] = [
  /^ls-remote (?:--heads |--tags |--symref )*-- ADDRESS$/,
  /^init --quiet --bare --shared=0600 --template= -- MIRROR$/,
  new RegExp(
    `^--git-dir=MIRROR fetch (?:--[a-z-]+(?:=1)? )+-- ADDRESS(?: \\+(?:${hash}|refs/[^ ]+|HEAD):refs/(?:heads/commits/${hash}|pointsman/(?:incoming|full/(?:heads|tags)/\\*)))+$`,
  ),
  /^--git-dir=MIRROR cat-file --batch-check(?: --follow-symlinks)?$/,
  /^--git-dir=MIRROR cat-file --batch$/,
  new RegExp(`^--git-dir=MIRROR cat-file (?:-t|-e|blob) ${hash}$`),
  new RegExp(
    `^--git-dir=MIRROR rev-parse --verify --quiet (?:${record}\\^\\{commit\\}|${hash}\\^\\{tree\\})$`,
  ),
  new RegExp(`^--git-dir=MIRROR update-ref (?:${record}|refs/heads/commits/${hash}) ${hash}$`),
  /^--git-dir=MIRROR update-ref --stdin$/,
  new RegExp(`^--git-dir=MIRROR --literal-pathspecs ls-tree -z --full-tree ${hash} -- .+$`, 's'),
  new RegExp(`^--git-dir=MIRROR ls-tree -r -z --full-tree ${hash}$`),
  new RegExp(`^--git-dir=MIRROR archive --format=tar ${hash}$`),
  /^--git-dir=MIRROR for-each-ref --format=%\(refname\) %\(objectname\)$/,
  /^--git-dir=MIRROR count-objects -v$/,
  /^--git-dir=MIRROR gc --quiet --force --prune=(60|3600)\.seconds\.ago$/,
];

const variables: ReadonlyMap<string, RegExp> = new Map([
  ['PATH', /./],
  ['HOME', /repos\/\.git-client$/],
  ['GIT_CONFIG_GLOBAL', /repos\/\.git-client\/\.gitconfig$/],
  ['GIT_CONFIG_NOSYSTEM', /^1$/],
  ['GIT_ATTR_NOSYSTEM', /^1$/],
  ['GIT_CEILING_DIRECTORIES', /repos$/],
  ['GIT_TERMINAL_PROMPT', /^0$/],
  ['GIT_ASKPASS', /^$/],
  ['SSH_ASKPASS', /^$/],
  ['SSH_ASKPASS_REQUIRE', /^never$/],
  ['GIT_ALLOW_PROTOCOL', /^http:https:ssh:file$/],
  ['GIT_NO_LAZY_FETCH', /^1$/],
  ['GIT_NO_REPLACE_OBJECTS', /^1$/],
  ['GIT_OPTIONAL_LOCKS', /^0$/],
  ['LANG', /^C$/],
  ['LC_ALL', /^C$/],
]);
/** Kept of our own environment: how the network is reached, and whose certificates count. */
const ofTheNetwork = /^(?:https?|all|no)_proxy$|^SSL_CERT_(?:FILE|DIR)$|^GIT_SSL_CA(?:INFO|PATH)$/i;
/** The shell that records sets these itself. */
const ofTheShell = /^(?:PWD|OLDPWD|SHLVL|_)$/;

it('git gets only these arguments and this environment, whatever names and addresses are', async () => {
  const hostile = ['--upload-pack=id', '-x', 'a;b$(id)', '__proto__', "a'b", 'a b'];
  const origin = await makeRepository(join(folder, 'origin', 'deploy.git'), { bare: true });
  await commitFiles(origin, { 'projects/a.yaml': 'name: a', 'x;y$(id)/a.yaml': 'b' }, { branch: 'main' });
  await commitFiles(origin, { 'x;y$(id)/a.yaml': 'b' }, { branch: 'a;b$(id)' });
  const application = await makeRepository(join(folder, 'origin', '-app;$(id).git'), { bare: true });
  const files = Object.fromEntries(hostile.map((name) => [`${name}/Dockerfile`, 'FROM node:base\n']));
  await commitFiles(application, files);
  await commitFiles(application, { ...files, other: '' }, { branch: 'a;b$(id)' });
  server = await startGitHttp(join(folder, 'origin'), { token });
  const tokenFile = join(folder, 'token');
  await writeFile(tokenFile, `${token}\n`, { mode: 0o600 });
  const stateDir = join(folder, 'state');
  process.env['PATH'] = `${join(folder, 'bin')}${delimiter}${path}`;
  Object.assign(process.env, poison);

  const credential = { kind: 'token' as const, tokenFile };
  const url = `${server.url}/deploy.git`;
  for (const part of [
    {},
    { branch: 'a;b$(id)', path: 'x;y$(id)' },
    { branch: '__proto__' },
    { path: '-x' },
  ]) {
    const adapters = openAdapters({ stateDir, url, credential, ...part });
    await adapters.config.sync(signal);
    await adapters.close();
  }
  const { config, sources, close } = openAdapters({ stateDir, url: origin, path: '.' });
  await config.sync(signal);
  for (const name of hostile) {
    const source = sourceOf(application, { path: name, ref: name === 'a;b$(id)' ? name : null });
    const resolved = await sources.resolve(source, signal);
    await entriesOf(await sources.context(source, resolved, () => undefined, signal));
    for (const ref of [name, `refs/${name}`])
      await sources.resolve(sourceOf(application, { ref }), signal).catch(() => undefined);
  }
  // The commits from before are let go, and what is left is packed.
  await commitFiles(application, { 'a/Dockerfile': 'FROM node:base\n' });
  await sources.refresh([sourceOf(application)], signal);
  await sources.resolve(sourceOf(application), signal);
  for (let times = 0; times < 4; times += 1) await sources.collect([application], signal);
  await close();

  const recorded = (await calls()).filter(({ argv }) => !isOwnPart(argv));
  const verbs = new Set<string>();
  for (const { argv, env } of recorded) {
    expect(argv.join(' ')).not.toContain(token);
    for (const [name, value] of env) {
      expect(`${name} ${value}`).not.toContain(token);
      if (!ofTheShell.test(name) && !ofTheNetwork.test(name))
        expect([name, value]).toEqual([name, expect.stringMatching(variables.get(name) ?? /$.^/)]);
    }
    for (const name of variables.keys()) expect(env.has(name), name).toBe(true);
    const shape = shapes.find((each) => each.test(shapeOf(argv, stateDir, [url, origin, application])));
    expect(shape, argv.join(' ')).toBeDefined();
    verbs.add(argv.find((word) => /^[a-z][a-z-]+$/.test(word)) ?? '');
  }
  process.stdout.write(`git calls: ${recorded.length} recorded, of ${[...verbs].sort().join(', ')}\n`);
  expect([...verbs].sort()).toEqual(
    'archive cat-file count-objects fetch for-each-ref gc init ls-remote ls-tree rev-parse update-ref'.split(
      ' ',
    ),
  );
});

/** What git starts of itself stands behind its own `-c` or in its own words. */
function isOwnPart(argv: readonly string[]): boolean {
  return /^(?:index-pack|unpack-objects|upload-pack|rev-list|pack-objects|remote-https?|http-backend|credential-store|pack-refs|reflog|repack|prune|prune-packed|rerere|worktree|maintenance|multi-pack-index|for-each-repo|unpack-file|symbolic-ref|--shallow-file|-C)$/.test(
    argv[0] ?? '',
  );
}

/** The command line with the one credential setting, the address and the mirror by name. */
function shapeOf(argv: readonly string[], stateDir: string, addresses: readonly string[]): string {
  const [first = '', setting = '', ...rest] = argv;
  const isSetting =
    first === '-c' &&
    new RegExp(
      `^credential\\.http://[0-9.:]+\\.helper=store --file='${stateDir}/repos/\\.git-client/credential-[0-9a-f]{16}'$`,
    ).test(setting);
  return (isSetting ? rest : argv)
    .map((word) => (addresses.includes(word) ? 'ADDRESS' : word))
    .map((word) => word.replace(/(^|=)\/.*\/repos\/[0-9a-f]{24}\.git(?:\.new-[0-9a-f]+)?$/, '$1MIRROR'))
    .join(' ');
}

it('no part of the product starts programs but these four, none of them by a shell', async () => {
  const root = fileURLToPath(new URL('../../src/', import.meta.url));
  const starting: string[] = [];
  for (const file of await readdir(root, { recursive: true })) {
    if (!file.endsWith('.ts')) continue;
    const text = await readFile(join(root, file), 'utf8');
    if (!/child_process/.test(text)) continue;
    starting.push(file);
    expect(text).not.toMatch(/\bshell: true|(?<!\.)\bexec\(|execSync|spawnSync/);
    // Only the adapter of Git starts git; doctor asks for its version.
    if (file !== 'source/git.ts' && file !== 'cli/doctor/execute.ts') expect(text).not.toMatch(/'git'/);
  }
  server = await startGitHttp(folder);
  expect(starting.sort()).toEqual([
    'cli/doctor/execute.ts',
    'router/nginx-process.ts',
    'runtime/registry-auth.ts',
    'source/git.ts',
  ]);
});
