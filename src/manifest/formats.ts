import { parseImagePrefix, parseImageReference } from './image-reference.js';
import { normaliseAbsolutePath, normaliseRelativePath } from './paths.js';
import { parseStatusRange } from './quantities.js';
import { parseRepository } from './repository.js';

/**
 * A `format` of the schemas. Null when `value` has it; otherwise what was expected, as a sentence that
 * goes on after `source.repo is "…": `.
 */
export type FormatCheck = (value: string) => string | null;

const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const domainPattern = new RegExp(`^${label}(?:\\.${label})*$`, 'i');

/** Formats of the manifest's values; the settings use them too. */
export const manifestFormats: Readonly<Record<string, FormatCheck>> = {
  'git-repository': repository,
  'git-ref': gitRef,
  'relative-path': (value) =>
    normaliseRelativePath(value) === null
      ? 'expected a relative path inside the repository, without .. and \\'
      : null,
  'relative-file': (value) => {
    const path = normaliseRelativePath(value);
    return path === null || path === '.' || value.endsWith('/')
      ? 'expected the relative path of a file, without .. and \\'
      : null;
  },
  'container-path': containerPath,
  'image-reference': (value) =>
    parseImageReference(value) === null
      ? 'expected an image such as nginx:1.27 or ghcr.io/acme/shop@sha256:…, in lower case but for the tag'
      : null,
  'image-prefix': (value) =>
    parseImagePrefix(value) === null
      ? 'expected a registry or the beginning of an image name, such as ghcr.io/acme, without a tag'
      : null,
  'source-prefix': (value) => {
    const parsed = parseRepository(value, 'prefix');
    return parsed.ok ? null : `a prefix of repository addresses that ${parsed.reason}`;
  },
  'status-range': (value) =>
    parseStatusRange(value) === null
      ? 'expected a status code such as 204 or a range such as 200-399, from 100 to 599'
      : null,
  domain,
};

function repository(value: string): string | null {
  const parsed = parseRepository(value);
  return parsed.ok ? null : `the address ${parsed.reason}`;
}

/** Lower-case letters after normalisation; no port, no wildcard, no trailing dot. */
function domain(value: string): string | null {
  if (value.includes(':') || value.includes('/')) {
    return 'expected a domain name alone, without scheme, port and path';
  }
  if (value.startsWith('*.')) return 'expected a plain domain name: wildcards are not served, list each name';
  if (value.endsWith('.')) return 'expected a domain name without the dot at the end';
  if (/[^\u0000-\u007f]/.test(value)) return 'expected ASCII: write the name in its xn-- form';
  if (/^[0-9.]+$/.test(value)) return 'expected a domain name, not an address or a number';
  return value.length <= 253 && domainPattern.test(value)
    ? null
    : 'expected a domain name such as shop.example.com, of letters, digits, hyphens and dots';
}

function containerPath(value: string): string | null {
  const path = normaliseAbsolutePath(value);
  if (path === null) return 'expected an absolute path without .. and \\';
  if (path === '/') return 'expected a folder below /';
  return value.includes(':') ? 'expected a path without a colon' : null;
}

/** The rules of `git check-ref-format --allow-onelevel`, and no leading hyphen. */
function gitRef(value: string): string | null {
  const isWrong =
    value === '' ||
    value === '@' ||
    value.startsWith('-') ||
    value.startsWith('/') ||
    value.endsWith('/') ||
    value.endsWith('.') ||
    value.includes('..') ||
    value.includes('//') ||
    value.includes('@{') ||
    /[\u0000-\u0020\u007f~^:?*[\\]/.test(value) ||
    value.split('/').some((part) => part.startsWith('.') || part.endsWith('.lock'));
  return isWrong
    ? 'expected the name of a branch or tag as git allows it, without spaces, .. and ~ ^ : ? * [ \\'
    : null;
}
