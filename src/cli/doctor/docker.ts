import { stat } from 'node:fs/promises';
import { request } from 'node:http';
import { isAtLeast } from '../../versions.js';
import { toEngineError } from '../../runtime/engine-errors.js';
import { fail, ok, warn } from './finding.js';
import type { Finding } from './finding.js';
import { vulnerabilitiesOf } from './vulnerabilities.js';

/** The engine's answer to one GET. */
export interface EngineAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

export type AskEngine = (path: string, signal: AbortSignal) => Promise<EngineAnswer>;

const answerMs = 10_000;
const longestAnswer = 16 * 1024 * 1024;
const leastVersion = '20.10';
/** Engines before 23 keep every layer they ever built unless told otherwise. */
const largeBuildCacheBytes = 10 * 1024 ** 3;
/** The first API that builds with BuildKit. */
const leastBuildKitApi = '1.39';

/** Asks the engine at a socket path, `unix://…` or `tcp://host:port`, without any client library in between. */
export function engineAt(socket: string): AskEngine {
  const tcp = /^(?:tcp|http):\/\/([^/:]+|\[[^\]]+\]):(\d+)\/?$/.exec(socket);
  const where =
    tcp === null ? { socketPath: socket.replace(/^unix:\/\//, '') } : { host: tcp[1], port: Number(tcp[2]) };
  return (path, signal) =>
    new Promise((resolve, reject) => {
      const both = AbortSignal.any([signal, AbortSignal.timeout(answerMs)]);
      const sent = request(
        { ...where, path, method: 'GET', agent: false, signal: both, headers: { host: 'docker' } },
        (message) => {
          let body = '';
          message.setEncoding('utf8');
          message.on('data', (part: string) => {
            body += part;
            if (body.length > longestAnswer) sent.destroy(new Error('the answer of the engine has no end'));
          });
          message.on('end', () =>
            resolve({ status: message.statusCode ?? 0, headers: message.headers, body }),
          );
          message.on('error', reject);
        },
      );
      sent.on('error', reject);
      sent.end();
    });
}

interface EngineInfo {
  readonly ServerVersion?: string;
  readonly OSType?: string;
  readonly LiveRestoreEnabled?: boolean;
  readonly Warnings?: readonly string[] | null;
  readonly InitBinary?: string;
  readonly InitCommit?: { readonly ID?: string };
}

export async function checkDocker(
  ask: AskEngine,
  socket: string,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  let info: EngineInfo;
  let api: string;
  try {
    const ping = await ask('/_ping', signal);
    api = String(ping.headers['api-version'] ?? '');
    const answer = await ask('/info', signal);
    if (answer.status !== 200) throw new Error(`/info is answered with ${answer.status}`);
    info = JSON.parse(answer.body) as EngineInfo;
  } catch (error) {
    signal.throwIfAborted();
    return [unreachable(socket, error)];
  }
  return [
    versionOf(info),
    buildKitOf(info, api),
    liveRestoreOf(info),
    initOf(info),
    ...(await reachOf(socket, info)),
    ...(await buildCacheOf(ask, signal)),
    ...(isAtLeast(info.ServerVersion ?? '', leastVersion)
      ? vulnerabilitiesOf('engine', info.ServerVersion ?? '')
      : []),
    ...vulnerabilitiesOf('runc', await runcVersion(ask, signal)),
  ];
}

/** The engine names runc's version among its components; what `/info` has may be a commit. */
async function runcVersion(ask: AskEngine, signal: AbortSignal): Promise<string> {
  try {
    const { status, body } = await ask('/version', signal);
    if (status !== 200) return '';
    const { Components } = JSON.parse(body) as {
      readonly Components?: readonly { readonly Name: string; readonly Version: string }[];
    };
    return Components?.find(({ Name }) => Name === 'runc')?.Version ?? '';
  } catch {
    signal.throwIfAborted();
    return '';
  }
}

/** It belongs to everybody who builds on this engine, so nothing of Pointsman's prunes it. */
async function buildCacheOf(ask: AskEngine, signal: AbortSignal): Promise<readonly Finding[]> {
  try {
    const { status, body } = await ask('/system/df?type=build-cache', signal);
    if (status !== 200) return [];
    const { BuildCache } = JSON.parse(body) as {
      readonly BuildCache?: readonly { readonly Size: number; readonly Shared: boolean }[] | null;
    };
    const bytes = (BuildCache ?? []).reduce((sum, { Size, Shared }) => sum + (Shared ? 0 : Size), 0);
    if (bytes < largeBuildCacheBytes) return [];
    return [
      warn(
        'docker',
        `the engine's build cache takes ${(bytes / 1024 ** 3).toFixed(1)} GiB`,
        'put "builder": {"gc": {"enabled": true, "defaultKeepStorage": "5GB"}} into /etc/docker/daemon.json and restart the engine, or run "docker builder prune --keep-storage 5GB" now and then',
      ),
    ];
  } catch {
    signal.throwIfAborted();
    return [];
  }
}

/** Who may talk to the engine owns the machine. */
async function reachOf(socket: string, { Warnings }: EngineInfo): Promise<readonly Finding[]> {
  const open = (Warnings ?? []).filter((text) => /API is accessible on/i.test(text));
  const findings = open.map((text) =>
    warn(
      'docker',
      `whoever reaches the engine's port owns this machine: ${text.replace(/^WARNING: /, '').split('\n')[0]}`,
      'take the tcp host out of /etc/docker/daemon.json and out of the unit of dockerd, or demand client certificates (tlsverify)',
    ),
  );
  if (/^(?:tcp|http):/.test(socket)) return findings;
  const path = socket.replace(/^unix:\/\//, '');
  const facts = await stat(path).catch(() => null);
  if (facts === null || (facts.mode & 0o002) === 0) return findings;
  return [
    ...findings,
    warn(
      'docker',
      `every user of this machine may write to ${path}, and so owns it`,
      `chmod o-rw ${path}, and let the group "docker" in alone`,
    ),
  ];
}

function unreachable(socket: string, error: unknown): Finding {
  const [found = '', mend] = toEngineError('tell about itself', socket, error).message.split(/; (.*)/s);
  return fail('docker', found, mend ?? 'look at its log (journalctl -u docker), and at docker.socket');
}

function versionOf({ ServerVersion = '' }: EngineInfo): Finding {
  if (isAtLeast(ServerVersion, leastVersion)) return ok('docker', `engine ${ServerVersion}`);
  return fail(
    'docker',
    `engine ${ServerVersion || 'of unknown version'} is older than ${leastVersion}`,
    `install Docker Engine ${leastVersion} or later`,
  );
}

function buildKitOf({ OSType = 'linux' }: EngineInfo, api: string): Finding {
  if (OSType === 'linux' && isAtLeast(api, leastBuildKitApi)) return ok('docker', `BuildKit (API ${api})`);
  return fail(
    'docker',
    `no BuildKit (API ${api || 'unknown'}, ${OSType})`,
    'install a Docker Engine for Linux, 20.10 or later',
  );
}

function liveRestoreOf({ LiveRestoreEnabled }: EngineInfo): Finding {
  if (LiveRestoreEnabled === true)
    return ok('docker', 'live-restore is on: containers outlive a restart of the engine');
  return warn(
    'docker',
    'live-restore is off: every restart of the engine stops all containers',
    'put "live-restore": true into /etc/docker/daemon.json and reload the engine (systemctl reload docker)',
  );
}

function initOf({ InitBinary, InitCommit }: EngineInfo): Finding {
  if (InitBinary !== undefined && InitBinary !== '' && InitCommit?.ID !== 'N/A')
    return ok('docker', `init binary ${InitBinary}`);
  return warn(
    'docker',
    'the engine has no init binary: containers start without one, and nobody reaps their orphans',
    'install it (Debian, Ubuntu: apt-get install tini) and set "init-path" in /etc/docker/daemon.json',
  );
}

/** Names of the bridges of this instance's networks; null when the engine does not tell. */
export async function ownBridges(
  ask: AskEngine,
  instance: string,
  signal: AbortSignal,
): Promise<ReadonlySet<string> | null> {
  const filters = encodeURIComponent(JSON.stringify({ label: [`dev.pointsman.instance=${instance}`] }));
  try {
    const { status, body } = await ask(`/networks?filters=${filters}`, signal);
    if (status !== 200) return null;
    const networks = JSON.parse(body) as readonly { Id: string; Options?: Record<string, string> }[];
    return new Set(
      networks.map(
        ({ Id, Options }) => Options?.['com.docker.network.bridge.name'] ?? `br-${Id.slice(0, 12)}`,
      ),
    );
  } catch {
    signal.throwIfAborted();
    return null;
  }
}
