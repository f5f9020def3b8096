/** The longest name that file systems take, bytes. */
const longestName = 255;

/**
 * Why no entry of a tree can have this name, said of the folder (a path, `.` for the root) that it stands
 * in, because it makes no path of its own; null when one can. Objects can be made by hand: git would check
 * out none of these.
 */
export function impossibleName(name: string, folder: string): string | null {
  if (name !== '' && name !== '.' && name !== '..' && !name.includes('/') && !isGitFolder(name)) return null;
  const what = name === '' ? 'an entry without a name' : `an entry named "${printable(name)}"`;
  return `the folder ${folder} holds ${what}: git takes no such name, and it is never followed; take it out of the commit`;
}

/** Why the entry of this name is not read, null when it is. `times`: how often the name stands in its folder. */
export function nameRefusal(name: string, times: number): string | null {
  const bytes = Buffer.byteLength(name);
  if (bytes > longestName)
    return `the name has ${bytes} bytes, and no name of a file more than ${longestName}; shorten it`;
  if (times > 1) return 'this name stands more than once in its folder, and none of them is read; keep one';
  return null;
}

/** Also as file systems that ignore case, or blanks and dots at the end, would read it. */
function isGitFolder(name: string): boolean {
  return /^(?:\.git|git~1)[ .]*$/i.test(name);
}

/** A name of a file or branch for messages, logs and terminals: control characters as `\xNN`, and not longer than a name can be. */
export function printable(name: string): string {
  const short = name.length > longestName ? `${name.slice(0, longestName)}…` : name;
  return short.replace(
    /[\u0000-\u001f\u007f-\u009f]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}
