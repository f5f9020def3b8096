import { PointsmanError } from '../../src/errors.js';
import { parseManifests } from '../../src/manifest/parse.js';
import { encodeLine } from '../../src/record/journal-line.js';
import { scanJournal } from '../../src/record/journal-scan.js';
import { layoutOf } from '../../src/router/layout.js';
import { parseSite, renderSite } from '../../src/router/render.js';
import { parseSettings } from '../../src/settings/load.js';
import type { Settings } from '../../src/settings/settings.js';
import { hostileFiles, hostileTexts } from './corpus.js';
import type { Target } from './coverage-guided.js';
import { directivesOf } from './directives.js';

const upstreams = { blue: '10.213.0.2:3000', green: '10.213.0.3:3000' };
const nginx: Settings['nginx'] = {
  mode: 'managed',
  listen: ['80'],
  confDir: '/etc/nginx/conf.d',
  verify: '127.0.0.1:9180',
  baseDomain: 'localhost',
  trustedProxies: [],
};
const layout = layoutOf({ stateDir: '/var/lib/pointsman', nginx });
const words = [
  ...hostileTexts.filter(({ length }) => length < 100),
  ...[
    '---\n',
    '? ',
    '- ',
    ': ',
    '|',
    '>',
    '&a',
    '*a',
    '!!',
    '<<',
    '%YAML',
    '#',
    '{',
    '}',
    '[',
    ']',
    '"',
    "'",
    '\t',
    '\n  ',
  ],
  ...[
    'name:',
    'source:',
    'repo:',
    'run:',
    'env:',
    'route:',
    'domains:',
    'configRepo:',
    'policy:',
    'nginx:',
    'listen:',
  ],
];
const manifest =
  'apiVersion: pointsman.dev/v1\nkind: Project\nname: shop\nsource: { repo: https://git.example.com/a.git }\n';
const full = `${manifest}run: { port: 80, env: { A: b }, memory: 1Gi }\nhealth: { path: /, status: 200-399 }\nroute: { domains: [a.example.com], maxBody: 1m }\n`;
const small = hostileFiles.map(([, bytes]) => Buffer.from(bytes)).filter(({ length }) => length < 2_000);

const siteText = (domain: string): string =>
  renderSite(
    { project: 'shop', route: { domains: [domain], maxBodyBytes: 1, readTimeoutMs: 1 }, upstreams },
    layout,
    ['80'],
  );
const siteDirectives = directivesOf(siteText('shop.example.com')).join(' ');

function expectFixed(text: string): void {
  if (directivesOf(text).join(' ') !== siteDirectives) throw new Error('other directives were rendered');
}

/** What a PointsmanError says is an answer; all else is a finding. */
function answered(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof PointsmanError)) throw error;
  }
}

const record = (seq: number): Buffer =>
  Buffer.from(
    `${encodeLine({ version: 1, seq, at: '2026-01-01T00:00:00.000Z', type: 'retry', project: 'shop', detail: {} } as never).line}\n`,
  );

export const targets: readonly Target[] = [
  {
    name: 'manifest',
    seeds: [Buffer.from(manifest), Buffer.from(full), ...small],
    words,
    run: (input) => {
      for (const { project } of parseManifests('projects/a.yaml', input).projects) {
        if (project.route.domains.length === 0) continue;
        const site = { project: project.name, route: project.route, upstreams };
        expectFixed(renderSite(site, layout, ['80']));
      }
    },
  },
  {
    name: 'settings',
    seeds: [
      Buffer.from('configRepo: { url: https://git.example.com/a.git }\nnginx: { listen: ["80"] }\n'),
      ...small,
    ],
    words,
    run: (input) => void parseSettings('/etc/p.yaml', input, {}),
  },
  {
    name: 'journal',
    seeds: [Buffer.concat([record(1), record(2)]), record(1).subarray(0, 40), Buffer.alloc(100)],
    words: ['{"version":1,', '"seq":', ',"crc":"00000000"}', '\n', '1e999', 'null', '__proto__'],
    run: (input) => {
      let records = 0;
      const scan = scanJournal(input, () => (records += 1));
      if (scan.end > input.length || scan.records > records) throw new Error('a scan that does not add up');
    },
  },
  {
    name: 'nginx',
    seeds: [Buffer.from('shop.example.com'), Buffer.from(siteText('a.b'))],
    words: [...words, 'server_name ', '# pointsman site 1 ', '"domains":["', '"maxBodyBytes":'],
    run: (input) => {
      const text = input.toString('utf8');
      answered(() => expectFixed(siteText(text)));
      const back = parseSite(text);
      if (back !== null && back.route.domains.length === 1) expectFixed(renderSite(back, layout, ['80']));
    },
  },
];
