import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { messageOf } from '../errors.js';
import { joinSignals } from '../signals.js';

/** How Docker's own configuration says one registry is signed in to. */
export interface RegistryCredential {
  /** Null for an identity token. */
  readonly username: string | null;
  /** Password or identity token. */
  readonly secret: string;
}

export interface CredentialLookup {
  /** Null: none is configured, or it cannot be had. */
  readonly credential: RegistryCredential | null;
  /** Why a configured one cannot be had; never holds a secret. */
  readonly problem: string | null;
}

/** Docker Hub's key in Docker's configuration. */
const hubKey = 'https://index.docker.io/v1/';
const hubHosts = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io']);

/** A helper asks a key chain or a cloud; it may not hang a pull for ever. */
const helperLimitMs = 30_000;
const longestAnswerBytes = 1024 * 1024;

interface DockerConfig {
  readonly auths?: Readonly<
    Record<string, { auth?: string; username?: string; password?: string; identitytoken?: string }>
  >;
  readonly credsStore?: string;
  readonly credHelpers?: Readonly<Record<string, string>>;
}

/** `docker.io`, `registry.example.com:5000` of an image reference. */
export function registryOf(reference: string): string {
  const [first = '', ...rest] = reference.split('/');
  const isHost = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost');
  return isHost ? first : 'docker.io';
}

/** `$DOCKER_CONFIG`, else `~/.docker`. */
export function dockerConfigFolder(env: NodeJS.ProcessEnv = process.env): string {
  return env.DOCKER_CONFIG !== undefined && env.DOCKER_CONFIG !== ''
    ? env.DOCKER_CONFIG
    : join(homedir(), '.docker');
}

/**
 * Looks `registry` up as the docker client does: its credential helper, the credentials store, then
 * the file's own entries. Read anew each time, so that `docker login` counts at once. Never rejects
 * but for an abort: many images need no credential.
 */
export async function credentialFor(
  registry: string,
  folder: string,
  signal: AbortSignal,
): Promise<CredentialLookup> {
  const key = hubHosts.has(registry) ? hubKey : registry;
  try {
    const config = await readConfig(join(folder, 'config.json'));
    const helper =
      config.credHelpers?.[hubHosts.has(registry) ? 'docker.io' : registry] ??
      config.credHelpers?.[key] ??
      config.credsStore;
    const helped = helper === undefined || helper === '' ? null : await askHelper(helper, key, signal);
    return { credential: helped ?? fromFile(config, key), problem: null };
  } catch (error) {
    signal.throwIfAborted();
    return { credential: null, problem: messageOf(error) };
  }
}

/** The engine's `X-Registry-Auth` header for a pull. */
export function registryAuthHeader(registry: string, credential: RegistryCredential): string {
  const serveraddress = hubHosts.has(registry) ? hubKey : registry;
  const fields =
    credential.username === null
      ? { identitytoken: credential.secret, serveraddress }
      : { username: credential.username, password: credential.secret, serveraddress };
  // The engine wants the URL alphabet, with its padding.
  return Buffer.from(JSON.stringify(fields)).toString('base64').replaceAll('+', '-').replaceAll('/', '_');
}

async function readConfig(path: string): Promise<DockerConfig> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
  const parsed = parseWithoutQuoting(text, path);
  return parsed as DockerConfig;
}

/** The parser's own message quotes the text, which holds secrets. */
function parseWithoutQuoting(text: string, what: string): object {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new Error(`${what} is not JSON`);
  }
  if (typeof parsed !== 'object' || parsed === null) throw new Error(`${what} is no JSON object`);
  return parsed;
}

function fromFile(config: DockerConfig, key: string): RegistryCredential | null {
  const auths = config.auths ?? {};
  const name =
    Object.keys(auths).find((each) => each === key) ??
    Object.keys(auths).find((each) => hostOf(each) === hostOf(key));
  const entry = name === undefined ? undefined : auths[name];
  if (entry === undefined) return null;
  if (entry.identitytoken) return { username: null, secret: entry.identitytoken };
  if (entry.username && entry.password) return { username: entry.username, secret: entry.password };
  const decoded = Buffer.from(entry.auth ?? '', 'base64').toString('utf8');
  const colon = decoded.indexOf(':');
  return colon < 1
    ? null
    : { username: decoded.slice(0, colon), secret: decoded.slice(colon + 1).replace(/\0+$/, '') };
}

/** Old clients wrote keys as URLs. */
function hostOf(key: string): string {
  return key.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
}

interface HelperAnswer {
  readonly code: number | null;
  readonly output: string;
}

/** Null when the helper has none for this registry. */
async function askHelper(
  helper: string,
  key: string,
  signal: AbortSignal,
): Promise<RegistryCredential | null> {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(helper))
    throw new Error(`the credential helper ${JSON.stringify(helper)} has no plain name`);
  const { code, output } = await runHelper(`docker-credential-${helper}`, key, signal);
  if (code !== 0) {
    if (/credentials not found/i.test(output)) return null;
    throw new Error(`docker-credential-${helper} get ended with exit code ${code} for ${key}`);
  }
  const answer = parseWithoutQuoting(output, `the answer of docker-credential-${helper}`) as {
    Username?: unknown;
    Secret?: unknown;
  };
  if (typeof answer.Username !== 'string' || typeof answer.Secret !== 'string' || answer.Secret === '')
    return null;
  return { username: answer.Username === '<token>' ? null : answer.Username, secret: answer.Secret };
}

async function runHelper(program: string, input: string, signal: AbortSignal): Promise<HelperAnswer> {
  const limit = joinSignals(signal, AbortSignal.timeout(helperLimitMs));
  try {
    return await answerOf(program, input, limit.signal);
  } finally {
    limit.release();
  }
}

function answerOf(program: string, input: string, signal: AbortSignal): Promise<HelperAnswer> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, ['get'], {
      stdio: ['pipe', 'pipe', 'ignore'],
      signal,
      killSignal: 'SIGKILL',
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (output.length > longestAnswerBytes) child.kill('SIGKILL');
    });
    // A helper that does not read its input is no reason to fail.
    child.stdin.on('error', () => undefined);
    child.on('error', (error) => {
      const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
      reject(
        missing
          ? new Error(`the credential helper ${program} of Docker's configuration is not on PATH`)
          : error,
      );
    });
    child.on('close', (code) => resolve({ code, output }));
    child.stdin.end(input);
  });
}
