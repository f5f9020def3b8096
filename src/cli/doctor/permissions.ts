import { constants } from 'node:fs';
import { access, lstat, readdir, stat, statfs } from 'node:fs/promises';
import type { Stats } from 'node:fs';
import { dirname, join } from 'node:path';
import { messageOf } from '../../errors.js';
import { missingFolders } from '../../files.js';
import { fail, ok, warn } from './finding.js';
import type { Finding } from './finding.js';

export interface PermissionsInput {
  readonly stateDir: string;
  readonly secretsDir: string;
  /** Token and key files that settings name. */
  readonly credentialFiles: readonly string[];
}

export async function checkPermissions(input: PermissionsInput): Promise<readonly Finding[]> {
  const findings = [
    ...(await checkStateDir(input.stateDir)),
    ...(await checkSecrets(input.secretsDir)),
    ...(await Promise.all(input.credentialFiles.map(checkCredential))).flat(),
  ];
  return findings;
}

async function checkStateDir(stateDir: string): Promise<readonly Finding[]> {
  const found = await statOrNull(stateDir);
  if (found === null) {
    const why = await whyNotMade(stateDir);
    if (why === null) return [ok('permissions', `${stateDir} will be made at the first start`)];
    return [
      fail(
        'permissions',
        `stateDir ${stateDir} cannot be made: ${why}`,
        "run this as the controller's user, root as a rule, or set stateDir to a folder that it can make",
      ),
    ];
  }
  if (!found.isDirectory())
    return [fail('permissions', `stateDir ${stateDir} is not a folder`, 'name a folder')];
  const findings: Finding[] = [];
  if (!(await isWritable(stateDir))) {
    findings.push(
      fail(
        'permissions',
        `${stateDir} may not be written to`,
        `run this as the controller's user, or chown ${stateDir} to it`,
      ),
    );
  }
  const closed = await closedOnTheWay(join(stateDir, 'nginx', 'switch'));
  if (closed !== null) {
    findings.push(
      fail(
        'permissions',
        `${closed} may not be searched by others: nginx's workers cannot see which slot is live and answer 503`,
        `chmod o+x ${closed}`,
      ),
    );
  }
  return findings.length > 0
    ? findings
    : [ok('permissions', `${stateDir} is writable, and nginx's workers find their way in`)];
}

/** The first existing folder on the way to `path` that other users may not search; null when there is none. */
async function closedOnTheWay(path: string): Promise<string | null> {
  const way: string[] = [];
  for (let folder = path; folder !== dirname(folder); folder = dirname(folder)) way.unshift(folder);
  for (const folder of way) {
    const found = await statOrNull(folder);
    if (found === null) return null;
    if ((found.mode & 0o001) === 0) return folder;
  }
  return null;
}

async function checkSecrets(secretsDir: string): Promise<readonly Finding[]> {
  const found = await statOrNull(secretsDir);
  if (found === null) return [await checkMissingSecrets(secretsDir)];
  if (!found.isDirectory())
    return [fail('permissions', `secrets.dir ${secretsDir} is not a folder`, 'name a folder')];
  const open: string[] = [];
  const foreign: string[] = [];
  let count = 0;
  try {
    for (const entry of await readdir(secretsDir, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      if (path !== join(secretsDir, '.key')) count += 1;
      const { mode, uid } = await lstat(path);
      if ((mode & 0o077) !== 0) open.push(path);
      if (uid !== 0 && uid !== process.geteuid?.()) foreign.push(path);
    }
  } catch {
    return [
      fail(
        'permissions',
        `${secretsDir} may not be read`,
        `run this as root, or chown ${secretsDir} to the controller's user`,
      ),
    ];
  }
  if (open.length + foreign.length === 0)
    return [ok('permissions', `${count} secret ${count === 1 ? 'file' : 'files'}, for their owner alone`)];
  return [
    ...open.map((path) => fail('permissions', `${path} can be read by others`, `chmod 600 ${path}`)),
    ...foreign.map((path) =>
      fail('permissions', `${path} belongs to another user, who can change it`, `chown root ${path}`),
    ),
  ];
}

/** The controller makes the folder, with the key of its hashes, at its first start. */
async function checkMissingSecrets(secretsDir: string): Promise<Finding> {
  const why = await whyNotMade(secretsDir);
  if (why === null) return ok('permissions', `no secrets (${secretsDir} is not there)`);
  return warn(
    'permissions',
    `secrets.dir ${secretsDir} cannot be made: ${why}; projects with secrets will not start`,
    'set secrets.dir to a folder that the controller can make, or make it',
  );
}

/** Why the folder, which is not there, cannot be made either; null when it can be. */
async function whyNotMade(path: string): Promise<string | null> {
  let above: string;
  try {
    above = dirname(missingFolders(path)[0] ?? path);
  } catch (error) {
    return messageOf(error);
  }
  if (kernelFileSystems.has((await statfs(above)).type)) return `no folder can be made in ${above}`;
  return (await isWritable(above)) ? null : `${above} may not be written to`;
}

/** Magic numbers of proc and sysfs, statfs(2): their permissions promise root more than they hold. */
const kernelFileSystems: ReadonlySet<number> = new Set([0x9fa0, 0x62656572]);

async function checkCredential(path: string): Promise<readonly Finding[]> {
  const found = await statOrNull(path);
  if (found === null || !found.isFile())
    return [fail('permissions', `${path} is not a file`, 'name the file that holds the token or key')];
  if ((found.mode & 0o077) !== 0)
    return [fail('permissions', `${path} can be read by others`, `chmod 600 ${path}`)];
  if (!(await isAllowed(path, constants.R_OK)))
    return [fail('permissions', `${path} may not be read`, `chown ${path} to the controller's user`)];
  return [ok('permissions', `${path} is for its owner alone`)];
}

async function statOrNull(path: string): Promise<Stats | null> {
  return stat(path).catch(() => null);
}

function isWritable(path: string): Promise<boolean> {
  return isAllowed(path, constants.W_OK | constants.X_OK);
}

async function isAllowed(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}
