/** What is rendered for nginx of values that nobody would mind, to compare hostile ones with. */
import { layoutOf } from '../../src/router/layout.js';
import { renderMain, renderShared, renderSite } from '../../src/router/render.js';
import type { Settings } from '../../src/settings/settings.js';

export const upstreams = { blue: '10.213.0.2:3000', green: '10.213.0.3:3000' };
const nginx: Settings['nginx'] = {
  mode: 'managed',
  listen: ['80'],
  confDir: '/etc/nginx/conf.d',
  verify: '127.0.0.1:9180',
  baseDomain: 'localhost',
  trustedProxies: ['10.0.0.0/8'],
};
export const layout = layoutOf({ stateDir: '/var/lib/pointsman', nginx });

export function siteText(domain: string): string {
  const route = { domains: [domain], maxBodyBytes: 1, readTimeoutMs: 1 };
  return renderSite({ project: 'shop', route, upstreams }, layout, ['80']);
}

/** All that settings decide: the main file and the shared one. */
export function filesOf(settings: Pick<Settings, 'stateDir' | 'nginx'>): string {
  const at = layoutOf(settings);
  const { listen } = settings.nginx;
  const { shared, pid } = at;
  const main = { user: 'www-data', shared, names: 1, keepaliveMinTimeout: false, listen, pid };
  return `${renderShared(settings.nginx, at, { generation: 'ab', sites: null })}${renderMain(at, main)}`;
}

export const plainSite = siteText('shop.example.com');
export const plainFiles = filesOf({ stateDir: '/var/lib/pointsman', nginx });
