import { PointsmanError } from '../../src/errors.js';
import { parseManifests } from '../../src/manifest/parse.js';
import { encodeLine } from '../../src/record/journal-line.js';
import { scanJournal } from '../../src/record/journal-scan.js';
import { parseSite, renderSite } from '../../src/router/render.js';
import { parseSettings } from '../../src/settings/load.js';
import { hostileFiles, hostileTexts } from './corpus.js';
import type { Target } from './coverage-guided.js';
import { expectKnown, expectSite } from './directives.js';
import { filesOf, layout, plainFiles, plainSite, siteText, upstreams } from './rendering.js';

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
        expectSite(plainSite, renderSite(site, layout, ['80']), project.route.domains);
      }
    },
  },
  {
    name: 'settings',
    seeds: [
      Buffer.from('configRepo: { url: https://git.example.com/a.git }\nnginx: { listen: ["80"] }\n'),
      Buffer.from(
        'configRepo: { url: git@git.example.com:a.git, branch: x, path: y }\nstateDir: /srv/p\nnginx: { verify: "127.0.0.1:1", trustedProxies: [10.0.0.0/8, "::1"], listen: ["[::]:80"] }\n',
      ),
      ...small,
    ],
    words,
    run: (input) => {
      const loaded = parseSettings('/etc/p.yaml', input, {});
      if ('settings' in loaded) expectKnown(plainFiles, filesOf(loaded.settings));
    },
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
      answered(() => expectSite(plainSite, siteText(text), [text]));
      const back = parseSite(text);
      if (back !== null) expectSite(plainSite, renderSite(back, layout, ['80']), back.route.domains);
    },
  },
];
