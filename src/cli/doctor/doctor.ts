import { readFile } from 'node:fs/promises';
import { PointsmanError, messageOf } from '../../errors.js';
import { readStatus } from '../../record/status-file.js';
import { settingsDefaults } from '../../settings/defaults.js';
import { checkSocket, dockerHostSocket } from '../../settings/load.js';
import type { Settings } from '../../settings/settings.js';
import { checkAddresses } from './addresses.js';
import { checkConfigRepository } from './config-repository.js';
import { checkDocker, engineAt, ownBridges } from './docker.js';
import type { AskEngine } from './docker.js';
import type { Execute } from './execute.js';
import { fail, ok } from './finding.js';
import type { Finding } from './finding.js';
import { checkGit } from './git.js';
import { checkClock, checkDisk, checkNode, isClockSynchronised } from './machine.js';
import { checkNginxPorts, checkNginxProgram } from './nginx.js';
import { checkPermissions } from './permissions.js';
import type { Listeners } from './ports.js';

/** What the checks look at the machine with. */
export interface DoctorDeps {
  readonly execute: Execute;
  readonly listeners: Listeners;
  /** The commit at the tip of the followed branch, asked of the remote. */
  readonly configTip: (settings: Settings, signal: AbortSignal) => Promise<string>;
  readonly now: () => number;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Longest time that one area may take. */
const areaLimitMs = 20_000;

/**
 * Every check, in an order to read them in. Without settings (`error` says why) only what needs none.
 * Rejects for an abort alone.
 */
export async function examine(
  settings: Settings | { readonly error: unknown },
  deps: DoctorDeps,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const known = 'error' in settings ? null : settings;
  const socket = known?.docker.socket ?? dockerHostSocket(deps.env) ?? settingsDefaults.docker.socket;
  const ask: AskEngine = async (path, until) => {
    checkSocket(socket);
    return engineAt(socket)(path, until);
  };
  const areas: [Finding['area'], (signal: AbortSignal) => Promise<readonly Finding[]>][] = [
    [
      'settings',
      () =>
        Promise.resolve('error' in settings ? settingsFindings(settings.error) : [ok('settings', 'valid')]),
    ],
    ['docker', (until) => checkDocker(ask, socket, until)],
    [
      'nginx',
      (until) => checkNginxProgram(deps.execute, (known?.nginx.trustedProxies.length ?? 0) > 0, until),
    ],
    ['git', (until) => checkGit(deps.execute, until)],
    ['machine', () => Promise.resolve([checkNode(process.versions.node)])],
  ];
  if (known !== null) areas.push(...settingsAreas(known, ask, deps));
  const findings: Finding[] = [];
  for (const [area, check] of areas) findings.push(...(await bounded(area, check, signal)));
  // They are many and seldom what somebody came for.
  const isWeakness = ({ area }: Finding): boolean => area === 'weaknesses';
  return [...findings.filter((each) => !isWeakness(each)), ...findings.filter(isWeakness)];
}

function settingsAreas(
  settings: Settings,
  ask: AskEngine,
  deps: DoctorDeps,
): [Finding['area'], (signal: AbortSignal) => Promise<readonly Finding[]>][] {
  const { nginx, stateDir, configRepo, docker, secrets, instance } = settings;
  return [
    ['nginx', () => checkNginxPorts(nginx, stateDir, deps.listeners)],
    [
      'config repository',
      (until) => checkConfigRepository((within) => deps.configTip(settings, within), configRepo, until),
    ],
    [
      'addresses',
      async (until) =>
        checkAddresses(
          await readFile('/proc/net/route', 'utf8'),
          docker.addressPool,
          await ownBridges(ask, instance, until),
        ),
    ],
    [
      'permissions',
      () =>
        checkPermissions({ stateDir, secretsDir: secrets.dir, credentialFiles: credentialFiles(settings) }),
    ],
    ['machine', async () => [await checkDisk(stateDir), await clockFinding(stateDir, deps.now())]],
  ];
}

async function clockFinding(stateDir: string, now: number): Promise<Finding> {
  const reading = await readStatus(stateDir, { now: () => now });
  const newestStatusAt = reading.kind === 'status' ? Date.parse(reading.status.writtenAt) : null;
  return checkClock({ now, newestStatusAt, isSynchronised: isClockSynchronised() });
}

function settingsFindings(error: unknown): readonly Finding[] {
  const lines = error instanceof PointsmanError ? error.message.split('\n') : [messageOf(error)];
  const mend = 'mend the settings file, or name another one with --config or $POINTSMAN_CONFIG';
  return lines.filter((line) => line.trim() !== '').map((line) => fail('settings', line.trim(), mend));
}

function credentialFiles({ configRepo, credentials }: Settings): readonly string[] {
  const all = [configRepo.credential, ...credentials.map(({ credential }) => credential)].filter(
    (each) => each !== null,
  );
  return [...new Set(all.map((each) => (each.kind === 'token' ? each.tokenFile : each.keyFile)))];
}

/** A check that fails itself, or hangs, is a finding too. */
async function bounded(
  area: Finding['area'],
  check: (signal: AbortSignal) => Promise<readonly Finding[]>,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  signal.throwIfAborted();
  const limit = AbortSignal.timeout(areaLimitMs);
  try {
    return await check(AbortSignal.any([signal, limit]));
  } catch (error) {
    signal.throwIfAborted();
    const why = limit.aborted ? `no answer within ${areaLimitMs / 1_000} s` : messageOf(error);
    return [fail(area, `cannot be checked: ${why}`, 'see the message; it names what was tried')];
  }
}
