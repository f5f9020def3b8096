/** The longest name that file systems take, bytes. */
const longestName = 255;

/**
 * Why an entry of a tree cannot be taken for the file or folder of that name, null when it can. Objects
 * can be made by hand: git would check out none of these. `times`: how often the name stands in its folder.
 */
export function nameRefusal(name: string, times: number): string | null {
  if (name === '' || name === '.' || name === '..' || name.includes('/') || isGitFolder(name))
    return `git takes no name like this one, and it is never followed; take it out of the commit`;
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
