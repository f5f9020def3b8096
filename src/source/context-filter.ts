import type { Header } from 'tar-stream';
import type { Ignores } from './dockerignore.js';

/** What is sent: everything that decides an entry's bytes in the tar stream. */
export type ContextHeader = Pick<Header, 'name' | 'type' | 'size' | 'mode' | 'uid' | 'gid' | 'mtime'> & {
  readonly linkname?: string;
};

/** What the filter looks at. */
export type ArchiveHeader = Pick<Header, 'name' | 'type' | 'size' | 'mode'> & {
  readonly linkname?: string | null;
};

/** The same for every file of every commit, so that the builder's cache does not miss for it. */
const fixedTime = new Date('1980-01-01T00:00:00Z');

/** Reads the headers of `git archive` in order and says what goes into the build context. */
export class ContextFilter {
  readonly #ignores: Ignores;
  readonly #always: ReadonlySet<string>;
  readonly #onLeftOut: (line: string) => void;
  /** Ignored folders above the place we are at, not sent unless something in them is. */
  #pending: ContextHeader[] = [];
  /** Symbolic links that were sent. A tree made by hand may hold a folder of the same name. */
  readonly #links = new Set<string>();

  constructor(ignores: Ignores, always: ReadonlySet<string>, onLeftOut: (line: string) => void) {
    this.#ignores = ignores;
    this.#always = always;
    this.#onLeftOut = onLeftOut;
  }

  /** The headers to send for this entry: none, or its own as the last one. */
  take(header: ArchiveHeader): readonly ContextHeader[] {
    const path = header.name.replace(/\/+$/, '');
    this.#pending = this.#pending.filter(({ name }) => path.startsWith(name));
    if (!this.#always.has(path) && this.#ignores(path)) {
      if (header.type === 'directory') this.#pending.push(normalised(header, path));
      return [];
    }
    const reason =
      whyNot(header, path) ?? (this.#isBelowLink(path) ? 'it is at or below a symbolic link' : null);
    if (reason !== null) {
      this.#onLeftOut(`${JSON.stringify(path)} is left out of the build context: ${reason}`);
      return [];
    }
    const parents = this.#pending;
    this.#pending = [];
    if (header.type === 'symlink') this.#links.add(path);
    return [...parents, normalised(header, path)];
  }

  #isBelowLink(path: string): boolean {
    if (this.#links.size === 0) return false;
    const parts = path.split('/');
    return parts.some((_, index) => this.#links.has(parts.slice(0, index + 1).join('/')));
  }
}

/** Null when the entry may go into the context. */
function whyNot(header: ArchiveHeader, path: string): string | null {
  if (path.includes('\uFFFD')) return 'its name is not UTF-8';
  if (path.startsWith('/') || path.split('/').some((part) => part === '..' || part === '.' || part === '')) {
    return 'its name leads out of it';
  }
  const target = header.linkname ?? '';
  switch (header.type) {
    case 'file':
    case 'contiguous-file':
    case 'directory':
      return null;
    case 'symlink':
      return leadsOut(target, path.split('/').length - 1)
        ? `the symbolic link leads out of it, to ${JSON.stringify(target)}`
        : null;
    case 'link':
      return leadsOut(target, 0) ? `the hard link leads out of it, to ${JSON.stringify(target)}` : null;
    default:
      return `it is a ${header.type}`;
  }
}

/**
 * Whether a link `depth` folders below the context's root may lead out of it. Only leading `..` can be
 * counted: after a name, which may be a link itself, `..` could lead anywhere.
 */
export function leadsOut(target: string, depth: number): boolean {
  if (target === '' || target.startsWith('/') || target.includes('\uFFFD')) return true;
  const parts = target.split('/').filter((part) => part !== '' && part !== '.');
  const firstName = parts.findIndex((part) => part !== '..');
  const climbs = firstName === -1 ? parts.length : firstName;
  return climbs > depth || parts.slice(climbs).includes('..');
}

function normalised(header: ArchiveHeader, path: string): ContextHeader {
  const isFolder = header.type === 'directory';
  const isFile = header.type === 'file' || header.type === 'contiguous-file';
  return {
    name: isFolder ? `${path}/` : path,
    type: isFile ? 'file' : header.type,
    size: isFile ? header.size : 0,
    mode: isFolder ? 0o755 : header.type === 'symlink' ? 0o777 : (header.mode & 0o111) === 0 ? 0o644 : 0o755,
    uid: 0,
    gid: 0,
    mtime: fixedTime,
    ...(header.linkname === undefined || header.linkname === null ? {} : { linkname: header.linkname }),
  };
}
