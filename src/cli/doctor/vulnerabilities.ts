import { isAtLeast } from '../../versions.js';
import { warn } from './finding.js';
import type { Finding } from './finding.js';

type Component = 'runc' | 'engine' | 'nginx';

interface Vulnerability {
  readonly component: Component;
  readonly ids: readonly string[];
  /** What it lets happen here. */
  readonly what: string;
  /** First sound version of each branch, oldest first; from the last on all are sound. */
  readonly fixed: readonly [string, ...string[]];
}

/** Published weaknesses of what Pointsman stands on, as upstream numbers the versions that mend them. */
const known: readonly Vulnerability[] = [
  {
    component: 'runc',
    ids: ['CVE-2024-21626'],
    what: 'an image or Dockerfile can reach the files of the host',
    fixed: ['1.1.12'],
  },
  {
    component: 'runc',
    ids: ['CVE-2025-31133', 'CVE-2025-52565', 'CVE-2025-52881'],
    what: 'a container can write where it can take over the host',
    fixed: ['1.2.8', '1.3.3'],
  },
  {
    // BuildKit 0.12.5 mends them; the engine carries its own BuildKit.
    component: 'engine',
    ids: ['CVE-2024-23651', 'CVE-2024-23652', 'CVE-2024-23653'],
    what: 'a Dockerfile can reach and remove files of the host while it is built (BuildKit)',
    fixed: ['24.0.9', '25.0.2'],
  },
  {
    component: 'engine',
    ids: ['CVE-2025-54410'],
    what: 'where firewalld runs, its reload ends the isolation of projects from each other',
    fixed: ['28.0.0'],
  },
  {
    component: 'engine',
    ids: ['CVE-2025-54388'],
    what: 'where firewalld runs, its reload opens ports published on loopback to the network (Pointsman publishes none)',
    fixed: ['28.3.3'],
  },
  {
    component: 'nginx',
    ids: ['CVE-2025-23419'],
    what: 'TLS client certificates of one site can count for another one at the same address',
    fixed: ['1.26.3', '1.27.4'],
  },
  {
    component: 'nginx',
    ids: ['CVE-2026-42945', 'CVE-2026-9256'],
    what: 'a request can overflow a buffer of the rewrite module where a site has such rewrites (ours have none)',
    fixed: ['1.30.2', '1.31.1'],
  },
];

/** One warning of all known weaknesses of `version`; none when the version cannot be read. Ask for versions that are supported. */
export function vulnerabilitiesOf(component: Component, version: string): readonly Finding[] {
  if (!/^v?\d+\.\d+/.test(version)) return [];
  const plain = version.replace(/^v/, '');
  const found = known.filter((each) => each.component === component && !isSound(plain, each.fixed));
  if (found.length === 0) return [];
  const each = found.map(
    ({ ids, what, fixed }) => `${ids.join(', ')}: ${what} (mended in ${fixed.join(', ')})`,
  );
  return [
    warn(
      'weaknesses',
      `${component} ${version} has, by its version number, published weaknesses: ${each.join('; ')}`,
      'keep the package current; a distribution may have mended them under the old number: its security tracker tells',
    ),
  ];
}

function isSound(version: string, fixed: Vulnerability['fixed']): boolean {
  const branch = (of: string): string => of.split('.').slice(0, 2).join('.');
  return (
    isAtLeast(version, fixed[fixed.length - 1] ?? fixed[0]) ||
    fixed.some((each) => branch(each) === branch(version) && isAtLeast(version, each))
  );
}
