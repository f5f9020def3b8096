/**
 * `text` with `part` between `<!-- generated:<name> -->` and `<!-- /generated:<name> -->`, blank lines
 * around it. Throws when the markers are missing, repeated or in the wrong order.
 */
export function splice(text: string, name: string, part: string): string {
  const opening = `<!-- generated:${name} -->`;
  const closing = `<!-- /generated:${name} -->`;
  const start = text.indexOf(opening);
  const end = text.indexOf(closing);
  const isUnique = start === text.lastIndexOf(opening) && end === text.lastIndexOf(closing);
  if (start === -1 || end < start || !isUnique) {
    throw new Error(`the markers ${opening} and ${closing} must stand in the file once each, in this order`);
  }
  return `${text.slice(0, start + opening.length)}\n\n${part.trim()}\n\n${text.slice(end)}`;
}
