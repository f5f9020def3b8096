import { dirname, resolve } from 'node:path';
import { normaliseRelativePath } from '../manifest/paths.js';
import { parseDuration } from '../manifest/quantities.js';
import { settingsDefaults as defaults } from './defaults.js';
import type { GitCredential, Settings } from './settings.js';
import type { WrittenSettings } from './written.generated.js';

/** What the settings depend on besides their own text. */
export interface SettingsContext {
  /** Absolute path of the settings file: relative paths inside start at its folder. */
  readonly file: string;
  /** Socket that `$DOCKER_HOST` names; null when it is not set. */
  readonly dockerHostSocket: string | null;
}

/** The normalised form of settings that the schema allows. */
export function normaliseSettings(
  written: WrittenSettings,
  { file, dockerHostSocket }: SettingsContext,
): Settings {
  const folder = dirname(file);
  const path = (text: string): string => resolve(folder, text);
  const { configRepo, docker = {}, retries = {} } = written;
  return {
    instance: written.instance ?? defaults.instance,
    configRepo: {
      url: configRepo.url,
      branch: configRepo.branch ?? defaults.configRepo.branch,
      path: normaliseRelativePath(configRepo.path ?? defaults.configRepo.path) ?? defaults.configRepo.path,
      intervalMs: duration(configRepo.interval, defaults.configRepo.intervalMs),
      credential: credentialOf(configRepo, path),
    },
    credentials: (written.credentials ?? []).flatMap((entry) => {
      const credential = credentialOf(entry, path);
      return credential === null ? [] : [{ prefix: entry.prefix, credential }];
    }),
    stateDir: path(written.stateDir ?? defaults.stateDir),
    docker: {
      socket:
        docker.socket === undefined ? (dockerHostSocket ?? defaults.docker.socket) : path(docker.socket),
      addressPool: docker.addressPool ?? defaults.docker.addressPool,
    },
    nginx: normaliseNginx(written.nginx ?? {}, path),
    concurrency: { ...defaults.concurrency, ...written.concurrency },
    retries: {
      attempts: retries.attempts ?? defaults.retries.attempts,
      backoffMs: duration(retries.backoff, defaults.retries.backoffMs),
      maxBackoffMs: duration(retries.maxBackoff, defaults.retries.maxBackoffMs),
    },
    images: { ...defaults.images, ...written.images },
    prune: { ...defaults.prune, ...written.prune },
    secrets: { dir: path(written.secrets?.dir ?? defaults.secrets.dir) },
    policy: { ...defaults.policy, ...written.policy },
    log: { ...defaults.log, ...written.log },
  };
}

function normaliseNginx(
  written: NonNullable<WrittenSettings['nginx']>,
  path: (text: string) => string,
): Settings['nginx'] {
  const { nginx } = defaults;
  return {
    mode: written.mode ?? nginx.mode,
    listen: [...new Set((written.listen ?? nginx.listen).map(String))],
    confDir: path(written.confDir ?? nginx.confDir),
    verify: written.verify ?? nginx.verify,
    baseDomain: (written.baseDomain ?? nginx.baseDomain).toLowerCase(),
    trustedProxies: written.trustedProxies ?? nginx.trustedProxies,
  };
}

function credentialOf(
  written: Pick<WrittenSettings['configRepo'], 'tokenFile' | 'sshKeyFile' | 'knownHostsFile'>,
  path: (text: string) => string,
): GitCredential | null {
  const { tokenFile, sshKeyFile, knownHostsFile } = written;
  if (tokenFile !== undefined) return { kind: 'token', tokenFile: path(tokenFile) };
  if (sshKeyFile === undefined) return null;
  return {
    kind: 'ssh',
    keyFile: path(sshKeyFile),
    knownHostsFile: knownHostsFile === undefined ? null : path(knownHostsFile),
  };
}

function duration(written: string | undefined, defaultMs: number): number {
  return written === undefined ? defaultMs : (parseDuration(written) ?? defaultMs);
}
