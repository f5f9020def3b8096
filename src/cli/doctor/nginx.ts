import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { Settings } from '../../settings/settings.js';
import { isAtLeast } from '../../versions.js';
import type { Execute } from './execute.js';
import { fail, ok, warn } from './finding.js';
import type { Finding } from './finding.js';
import type { Listener, Listeners } from './ports.js';
import { vulnerabilitiesOf } from './vulnerabilities.js';

const leastVersion = '1.18';
/** What site files are made of; nginx has them unless it was built without. */
const neededModules = ['http_proxy', 'http_rewrite', 'http_map', 'http_upstream_keepalive', 'http_access'];

/** As deploy/systemd names it. */
const controllerUnit = 'pointsman.service';

/** The program: there, recent enough, and with the modules that sites need. */
export async function checkNginxProgram(
  execute: Execute,
  needsRealIp: boolean,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const { exitCode, stderr, stdout } = await execute('nginx', ['-V'], signal);
  const text = `${stderr}\n${stdout}`;
  const version = /nginx version: \S*?\/(\d+(?:\.\d+)+)/.exec(text)?.[1];
  if (exitCode !== 0 || version === undefined) {
    return [
      fail(
        'nginx',
        'the nginx program does not run',
        'install it (Debian, Ubuntu: apt-get install nginx-light)',
      ),
    ];
  }
  const findings = [
    isAtLeast(version, leastVersion)
      ? ok('nginx', `nginx ${version}`)
      : fail(
          'nginx',
          `nginx ${version} is older than ${leastVersion}`,
          `install nginx ${leastVersion} or later`,
        ),
  ];
  const missing = neededModules.filter((module) => text.includes(`--without-${module}_module`));
  if (needsRealIp && !text.includes('--with-http_realip_module'))
    missing.push('http_realip (for nginx.trustedProxies)');
  if (missing.length > 0) {
    findings.push(
      fail('nginx', `nginx was built without ${missing.join(', ')}`, 'install the nginx of the distribution'),
    );
  }
  if (isAtLeast(version, leastVersion)) findings.push(...vulnerabilitiesOf('nginx', version));
  return findings;
}

/** The ports of `nginx.listen` and `nginx.verify`: free or ours in mode managed, nginx's in mode system. */
export async function checkNginxPorts(
  nginx: Settings['nginx'],
  stateDir: string,
  listeners: Listeners,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const folder = join(stateDir, 'nginx');
  let ofController = false;
  for (const [setting, address] of [
    ...nginx.listen.map((each) => ['nginx.listen', each] as const),
    ['nginx.verify', nginx.verify] as const,
  ]) {
    const port = portOf(address);
    if (port === null) {
      findings.push(
        fail('nginx', `${setting} ${address} names no port`, 'write it like "80" or "127.0.0.1:9180"'),
      );
      continue;
    }
    const holders = await listeners(port);
    findings.push(portFinding(setting, port, nginx.mode, folder, holders));
    ofController ||= holders.some(
      ({ command, unit }) => command.includes(`${folder}/`) && unit === controllerUnit,
    );
  }
  if (ofController) {
    findings.push(
      warn(
        'nginx',
        `nginx runs as part of ${controllerUnit}: it has the controller's small share of the processor, and after a reboot nothing is served before the controller runs`,
        `systemctl stop pointsman; systemctl enable --now pointsman-nginx; kill -QUIT $(cat ${join(folder, 'nginx.pid')}); systemctl start pointsman`,
      ),
    );
  }
  if (nginx.mode === 'system') findings.push(await confDirFinding(nginx.confDir));
  return findings;
}

/** The port of `80`, `127.0.0.1:8080` or `[::]:80`. */
function portOf(address: string): number | null {
  const port = Number(/(?:^|:)(\d{1,5})$/.exec(address)?.[1] ?? Number.NaN);
  return port > 0 && port < 65_536 ? port : null;
}

function portFinding(
  setting: string,
  port: number,
  mode: Settings['nginx']['mode'],
  folder: string,
  holders: readonly Listener[],
): Finding {
  const commands = holders.map(({ command }) => command);
  const what = `port ${port} (${setting})`;
  if (commands.length === 0) {
    // The machine's nginx opens the port of `verify` when our file is in its configuration.
    if (mode === 'managed' || setting === 'nginx.verify') return ok('nginx', `${what} is free`);
    return warn(
      'nginx',
      `nobody listens on ${what}`,
      "start the machine's nginx (systemctl start nginx), or set nginx.mode to managed",
    );
  }
  // As nginx names itself: "nginx: master process nginx -c <folder>/nginx.conf".
  const holder =
    commands.find((command) => command.includes(folder)) ??
    commands.find((command) => command.startsWith('nginx')) ??
    commands[0] ??
    '';
  const isOurs = mode === 'managed' ? holder.includes(`${folder}/`) : holder.startsWith('nginx');
  if (isOurs) return ok('nginx', `${what} is held by our nginx`);
  if (holder === '')
    return warn('nginx', `${what} is held by a process of another user`, 'run this as root to see which one');
  return fail(
    'nginx',
    `${what} is held by "${holder.slice(0, 80)}"`,
    `stop that process, or set ${setting} to another port`,
  );
}

async function confDirFinding(confDir: string): Promise<Finding> {
  try {
    await access(confDir, constants.W_OK | constants.X_OK);
    return ok('nginx', `${confDir} may be written to`);
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    return fail(
      'nginx',
      `nginx.confDir ${confDir} ${isMissing ? 'is not there' : 'may not be written to'}`,
      'name the folder whose *.conf files nginx includes at its http level, and run this as a user who may write there',
    );
  }
}
