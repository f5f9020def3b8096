import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PointsmanError } from '../../src/errors.js';
import { layoutOf } from '../../src/router/layout.js';
import type { Site } from '../../src/router/port.js';
import { parseSite, quotePath, renderMain, renderShared, renderSite } from '../../src/router/render.js';
import type { Settings } from '../../src/settings/settings.js';

const nginx: Settings['nginx'] = {
  mode: 'managed',
  listen: ['80'],
  confDir: '/etc/nginx/conf.d',
  verify: '127.0.0.1:9180',
  baseDomain: 'localhost',
  trustedProxies: [],
};
const layout = layoutOf({ stateDir: '/var/lib/pointsman', nginx });
const site: Site = {
  project: 'shop',
  route: {
    domains: ['shop.example.com', 'www.example.com'],
    maxBodyBytes: 10_485_760,
    readTimeoutMs: 60_000,
  },
  upstreams: { blue: '10.213.0.2:3000', green: '10.213.0.3:3000' },
};

function refusal(work: () => unknown): PointsmanError {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(PointsmanError);
    return error as PointsmanError;
  }
  throw new Error('it was taken');
}

describe('a site file', () => {
  const text = renderSite(site, layout, ['80', '[::]:80']);

  it('holds both slots, both tests and every limit', () => {
    expect(text).toContain('upstream pointsman-shop-blue {\n    server 10.213.0.2:3000 ');
    expect(text).toContain('upstream pointsman-shop-green {\n    server 10.213.0.3:3000 ');
    expect(text).toContain('if (-f "/var/lib/pointsman/nginx/switch/shop.blue")');
    expect(text).toContain('server_name shop.example.com www.example.com;');
    expect(text).toContain('client_max_body_size 10485760;');
    expect(text).toContain('proxy_read_timeout 60000ms;');
    expect(text).toContain('    listen 80;\n    listen [::]:80;\n');
  });

  it('lets green win: it is tested after blue', () => {
    expect(text.indexOf('shop.green"')).toBeGreaterThan(text.indexOf('shop.blue"'));
  });

  it('connects before the body, and caches no look at a switch file', () => {
    expect(text).toContain('proxy_request_buffering off;');
    expect(text).toContain('open_file_cache off;');
    expect(text).toContain('proxy_http_version 1.1;');
  });

  it('is read back as the site it was made of', () => {
    expect(parseSite(text)).toEqual(site);
  });

  it('is read back for every site that can be rendered', () => {
    const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/);
    const upstream = fc
      .tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(65_535))
      .map(([a, b, c, d, port]) => `${a}.${b}.${c}.${d}:${port}`);
    const any = fc.record({
      project: fc.stringMatching(/^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/),
      route: fc.record({
        domains: fc.array(
          fc.tuple(label, label).map((parts) => parts.join('.')),
          { minLength: 1 },
        ),
        maxBodyBytes: fc.maxSafeNat(),
        readTimeoutMs: fc.maxSafeNat(),
      }),
      upstreams: fc.record({ blue: upstream, green: upstream }),
    });
    fc.assert(
      fc.property(any, (each) => {
        expect(parseSite(renderSite(each, layout, ['80']))).toEqual(each);
      }),
    );
  });

  it.each([
    '',
    '\n',
    '# pointsman site 1 ab',
    '# pointsman site 1 ab {',
    '# pointsman site 1 ab {}\n',
    'server {}',
  ])('%j is not taken for one', (damaged) => expect(parseSite(damaged)).toBeNull());

  it('is not taken for one when its first line holds what could not be rendered', () => {
    expect(parseSite(text.replace('"project":"shop"', '"project":"../shop"'))).toBeNull();
    expect(parseSite(text.replace('# pointsman site 1', '# pointsman site 2'))).toBeNull();
  });
});

describe('hostile values', () => {
  const hostile = [
    'a;b',
    'a b',
    'a\nb',
    'a{b',
    'a}b',
    '$host',
    '"a"',
    "'a'",
    'a\\b',
    'a#b',
    '~^.*$',
    '*.example.com',
    '.example.com',
    'a..b',
    '-a',
    'a-',
    '',
    'a\0b',
    'ä.example.com',
    'A.example.com',
    'x'.repeat(64),
    `${'a.'.repeat(126)}aa`,
  ];

  it.each(hostile)('domain %j is refused', (domain) => {
    const error = refusal(() =>
      renderSite({ ...site, route: { ...site.route, domains: [domain] } }, layout, ['80']),
    );
    expect(error.code).toBe('RouteRefused');
    expect(error.message).toContain(JSON.stringify(domain));
  });

  it.each([...hostile, '10.0.0.1', 'localhost:80', '10.0.0.1:80;', 'unix:/run/x', '10.0.0.1:80 backup'])(
    'upstream %j is refused',
    (blue) => {
      const upstreams = { ...site.upstreams, blue };
      expect(refusal(() => renderSite({ ...site, upstreams }, layout, ['80'])).code).toBe('RouteRefused');
    },
  );

  it.each(['../x', 'a/b', 'a.b', 'A', '1a', 'a_b', 'a'.repeat(41), ''])(
    'project %j is refused',
    (project) => {
      expect(refusal(() => renderSite({ ...site, project }, layout, ['80'])).code).toBe('RouteRefused');
    },
  );

  it.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '1; return 200' as unknown as number])(
    'number %j is refused',
    (maxBodyBytes) => {
      const route = { ...site.route, maxBodyBytes };
      expect(refusal(() => renderSite({ ...site, route }, layout, ['80'])).code).toBe('RouteRefused');
    },
  );

  it('no domains are refused', () => {
    expect(
      refusal(() => renderSite({ ...site, route: { ...site.route, domains: [] } }, layout, ['80'])).code,
    ).toBe('RouteRefused');
  });

  it.each(['80 default_server', '80;', 'unix:/run/x', 'host:80', ''])('listen %j is refused', (listen) => {
    expect(refusal(() => renderSite(site, layout, [listen])).code).toBe('RouteRefused');
  });

  it.each(['10.0.0.0/8 1; }', 'default', '10.0.0.0/1000'])('trusted proxy %j is refused', (address) => {
    const settings = { ...nginx, trustedProxies: [address] };
    expect(refusal(() => renderShared(settings, layout, { generation: 'ab', sites: null })).code).toBe(
      'RouteRefused',
    );
  });

  it.each(['/a"b', '/a$b', '/a;b', '/a{b', '/a\\b', '/a\nb'])('path %j is refused', (path) => {
    expect(refusal(() => quotePath(path)).message).toContain('choose a plainer stateDir');
  });

  it('a path with a space is quoted', () => {
    expect(quotePath('/var/lib/my app')).toBe('"/var/lib/my app"');
  });

  it('nothing that is rendered has a line, a brace or a semicolon more than its grammar allows', () => {
    const shape = (text: string): string => text.replace(/[^\n{};]/g, '');
    const plain = shape(renderSite(site, layout, ['80']).split('\n').slice(1).join('\n'));
    fc.assert(
      fc.property(fc.string(), fc.string(), (domain, blue) => {
        let text: string;
        try {
          const route = { ...site.route, domains: [domain] };
          text = renderSite({ ...site, route, upstreams: { ...site.upstreams, blue } }, layout, ['80']);
        } catch (error) {
          expect((error as PointsmanError).code).toBe('RouteRefused');
          return;
        }
        expect(shape(text.split('\n').slice(1).join('\n'))).toBe(plain);
      }),
    );
  });
});

describe('the main file', () => {
  const options = {
    user: 'www-data',
    shared: layout.shared,
    names: 10,
    keepaliveMinTimeout: false,
    listen: ['80'],
    pid: layout.pid,
  };

  it('has room for a long server name and for ten thousand of them', () => {
    expect(renderMain(layout, options)).toContain('server_names_hash_bucket_size 512;');
    expect(renderMain(layout, options)).toContain('server_names_hash_max_size 1024;');
    expect(renderMain(layout, { ...options, names: 10_000 })).toContain('server_names_hash_max_size 65536;');
  });

  it('names no user when nginx does not run as root', () => {
    expect(renderMain(layout, options)).toContain('user www-data;');
    expect(renderMain(layout, { ...options, user: null })).not.toMatch(/^user /m);
  });

  it('keeps idle connections at a reload where nginx can', () => {
    expect(renderMain(layout, options)).not.toContain('keepalive_min_timeout');
    expect(renderMain(layout, { ...options, keepaliveMinTimeout: true })).toContain(
      'keepalive_min_timeout 5s;',
    );
  });
});
