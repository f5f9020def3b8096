import { PointsmanError } from '../errors.js';
import { routeKey } from '../manifest/keys.js';
import type { Slot } from '../manifest/project.js';
import { slots } from '../manifest/project.js';
import type { Settings } from '../settings/settings.js';
import type { Layout } from './layout.js';
import { isProjectName, switchFile } from './layout.js';
import type { Site } from './port.js';

/** Of the format of site files: another one is rendered anew. */
const siteVersion = 1;
const header = `# pointsman site ${siteVersion}`;

export function upstreamName(project: string, slot: Slot): string {
  return `pointsman-${project}-${slot}`;
}

/**
 * The site file of one project. Its first line holds the Site itself, so that what is on disk can be
 * read back. Every value is checked against its type's grammar before it becomes part of a directive.
 */
export function renderSite(site: Site, layout: Layout, listen: readonly string[]): string {
  checkSite(site);
  const { project, route } = site;
  const upstreams = slots.map(
    (slot) =>
      `upstream ${upstreamName(project, slot)} {\n    server ${site.upstreams[slot]} max_fails=0;\n    keepalive 16;\n    keepalive_timeout 2s;\n}\n`,
  );
  const tests = slots.map(
    (slot) =>
      `    if (-f ${quotePath(switchFile(layout, project, slot))}) {\n        set $pointsman_slot ${upstreamName(project, slot)};\n    }\n`,
  );
  return `${header} ${routeKey(route, site.upstreams)} ${JSON.stringify(normalSite(site))}
${upstreams.join('')}server {
${listenLines(listen, '')}    server_name ${route.domains.join(' ')};
    client_max_body_size ${route.maxBodyBytes};
    # \`if (-f)\` honours the cache, and would be stale for its whole validity.
    open_file_cache off;
    set $pointsman_slot "";
${tests.join('')}    # Neither file: never another version by accident.
    if ($pointsman_slot = "") {
        return 503;
    }
    location / {
        proxy_pass http://$pointsman_slot;
        proxy_http_version 1.1;
        # The slot is chosen when the headers arrive; the connection has to be made then too.
        proxy_request_buffering off;
        proxy_buffering off;
        # A pooled connection that the application just closed: tried once more, only where that is safe.
        proxy_next_upstream error;
        proxy_connect_timeout 5s;
        proxy_read_timeout ${route.readTimeoutMs}ms;
        proxy_send_timeout ${route.readTimeoutMs}ms;
        proxy_set_header Host $http_host;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $pointsman_connection;
        proxy_set_header X-Real-IP $pointsman_client;
        proxy_set_header X-Forwarded-For $pointsman_forwarded_for;
        proxy_set_header X-Forwarded-Proto $pointsman_forwarded_proto;
        proxy_set_header X-Forwarded-Host $http_host;
        proxy_set_header X-Forwarded-Port $server_port;
    }
}
`;
}

/** The Site that a site file says it is; null when its first line cannot be read. */
export function parseSite(text: string): Site | null {
  const line = text.slice(0, text.indexOf('\n') + 1 || undefined).trimEnd();
  const match = /^# pointsman site 1 [0-9a-f]+ (\{.*\})$/.exec(line);
  if (match === null) return null;
  try {
    const site = JSON.parse(match[1] ?? '') as Site;
    checkSite(site);
    return normalSite(site);
  } catch {
    return null;
  }
}

function normalSite({ project, route, upstreams }: Site): Site {
  const { domains, maxBodyBytes, readTimeoutMs } = route;
  return {
    project,
    route: { domains, maxBodyBytes, readTimeoutMs },
    upstreams: { blue: upstreams.blue, green: upstreams.green },
  };
}

const domainPattern =
  /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/;
const upstreamPattern = /^(\d{1,3}\.){3}\d{1,3}:\d{1,5}$/;

function checkSite({ project, route, upstreams }: Site): void {
  check(isProjectName(project), 'project', project);
  check(Array.isArray(route.domains) && route.domains.length > 0, 'domains', route.domains);
  for (const domain of route.domains)
    check(typeof domain === 'string' && domainPattern.test(domain), 'domain', domain);
  for (const number of [route.maxBodyBytes, route.readTimeoutMs])
    check(Number.isSafeInteger(number) && number >= 0, 'number', number);
  for (const slot of slots) check(upstreamPattern.test(String(upstreams[slot])), 'upstream', upstreams[slot]);
}

function check(holds: boolean, what: string, value: unknown): void {
  if (!holds)
    throw new PointsmanError(
      'RouteRefused',
      `${what} ${JSON.stringify(value)} cannot stand in an nginx file`,
    );
}

/** A path in double quotes. What could end the quotes or be taken for a variable is refused. */
export function quotePath(path: string): string {
  if (/["\\$;{}\n\r\0]/.test(path)) {
    throw new PointsmanError(
      'NginxUnavailable',
      `path ${JSON.stringify(path)} cannot stand in an nginx file: choose a plainer stateDir`,
    );
  }
  return `"${path}"`;
}

function listenLines(listen: readonly string[], flags: string): string {
  return listen.map((address) => `    listen ${checkListen(address)}${flags};\n`).join('');
}

function checkListen(address: string): string {
  check(/^([0-9a-fA-F.:[\]]+:)?\d{1,5}$/.test(address), 'listen', address);
  return address;
}

export interface SharedOptions {
  readonly generation: string;
  /** Site files to include instead of the whole folder: for a test of staged ones. */
  readonly sites: readonly string[] | null;
}

/** What stands once in `http`: maps, the verify server, and the sites. */
export function renderShared(settings: Settings['nginx'], layout: Layout, options: SharedOptions): string {
  const trusted = settings.trustedProxies.map((address) => `    ${checkAddress(address)} 1;\n`).join('');
  const tests = slots
    .map(
      (slot) =>
        `        if (-f ${quotePath(`${layout.switches}/`).slice(0, -1)}\${pointsman_project}.${slot}") {\n            set $pointsman_live ${slot};\n        }\n`,
    )
    .join('');
  const includes = (options.sites ?? [`${layout.sites}/*.conf`])
    .map((site) => `include ${quotePath(site)};\n`)
    .join('');
  return `# Written by Pointsman, generation ${options.generation}. Changes are undone.
map $http_upgrade $pointsman_connection {
    default upgrade;
    '' '';
}
geo $pointsman_trusted {
    default 0;
${trusted}}
map $pointsman_trusted $pointsman_forwarded_for {
    default $remote_addr;
    1 $proxy_add_x_forwarded_for;
}
map "$pointsman_trusted $http_x_real_ip" $pointsman_client {
    default $remote_addr;
    "~^1 (?<pointsman_real_ip>[0-9a-fA-F.:]+)$" $pointsman_real_ip;
}
map "$pointsman_trusted $http_x_forwarded_proto" $pointsman_forwarded_proto {
    default $scheme;
    "1 https" https;
    "1 http" http;
}
server {
    listen ${checkListen(settings.verify)};
    server_name pointsman-verify;
    access_log off;
    default_type text/plain;
    keepalive_timeout 0;
    open_file_cache off;
    location = /generation {
        return 200 "${options.generation}\\n";
    }
    location = /pid {
        return 200 "$pid\\n";
    }
    location ~ "^/live/(?<pointsman_project>[a-z][a-z0-9-]{0,39})$" {
        set $pointsman_live none;
${tests}        return 200 "$pointsman_live\\n";
    }
    # Kept alive by the controller: its end says that nginx went away or reloaded. An idle connection
    # that never asked anything would hold the old worker up.
    location = /hold {
        keepalive_timeout 1d;
        return 204;
    }
    location / {
        return 404;
    }
}
${includes}`;
}

function checkAddress(address: string): string {
  check(/^[0-9a-fA-F.:]+(\/\d{1,3})?$/.test(address), 'trusted proxy', address);
  return address;
}

export interface MainOptions {
  /** Of the workers; null when nginx does not run as root. */
  readonly user: string | null;
  readonly shared: string;
  /** Server names in all sites: sizes nginx's hash. */
  readonly names: number;
  /** nginx ≥ 1.27.4 closes no idle client connection at a reload before this time. */
  readonly keepaliveMinTimeout: boolean;
  readonly listen: readonly string[];
  /** `include` the machine's configuration as it is (system mode test): only our part is rendered. */
  readonly pid: string;
}

/** The whole configuration of a managed nginx. */
export function renderMain(layout: Layout, options: MainOptions): string {
  const hashSize = Math.max(1024, 2 ** Math.ceil(Math.log2(Math.max(1, options.names) * 4)));
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `# Written by Pointsman. Changes are undone.
${options.user === null ? '' : `user ${options.user};\nworker_rlimit_nofile 65536;\n`}worker_processes auto;
pid ${quotePath(options.pid)};
error_log ${quotePath(`${layout.logs}/error.log`)} warn;
events {
    worker_connections ${options.user === null ? 1024 : 16384};
}
http {
    access_log off;
    server_tokens off;
    server_names_hash_bucket_size 512;
    server_names_hash_max_size ${hashSize};
${options.keepaliveMinTimeout ? '    keepalive_min_timeout 5s;\n' : ''}${temporary.map((name) => `    ${name}_temp_path ${quotePath(`${layout.temporary}/${name}`)};\n`).join('')}    server {
${listenLines(options.listen, ' default_server').replaceAll('    listen', '        listen')}        server_name _;
        return 404;
    }
    include ${quotePath(options.shared)};
}
`;
}
