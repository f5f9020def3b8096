/**
 * `path` without empty and `.` segments: `.` for the folder itself. Null when it is absolute, leads out
 * by `..`, or holds control characters or a backslash.
 */
export function normaliseRelativePath(path: string): string | null {
  if (path === '' || path.startsWith('/') || hasForbiddenCharacter(path)) return null;
  const segments = plainSegments(path);
  if (segments === null) return null;
  return segments.length === 0 ? '.' : segments.join('/');
}

/** The same for an absolute path: `/` for the root. Null when it is relative or leads out by `..`. */
export function normaliseAbsolutePath(path: string): string | null {
  if (!path.startsWith('/') || hasForbiddenCharacter(path)) return null;
  const segments = plainSegments(path);
  return segments === null ? null : `/${segments.join('/')}`;
}

function plainSegments(path: string): readonly string[] | null {
  const segments = path.split('/').filter((segment) => segment !== '' && segment !== '.');
  return segments.includes('..') ? null : segments;
}

function hasForbiddenCharacter(path: string): boolean {
  return /[\u0000-\u001f\u007f-\u009f\\]/.test(path);
}
