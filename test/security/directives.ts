/**
 * Names of the directives of an nginx file, in order: the first word of each statement, read by nginx's
 * own rules of quotes, comments and braces.
 */
export function directivesOf(text: string): readonly string[] {
  const names: string[] = [];
  let word = '';
  let atStart = true;
  const end = (): void => {
    if (word !== '' && atStart) {
      names.push(word);
      atStart = false;
    }
    word = '';
  };
  for (let index = 0; index < text.length; index += 1) {
    const sign = text.charAt(index);
    if (sign === '#' && word === '') {
      const newline = text.indexOf('\n', index);
      index = newline === -1 ? text.length : newline;
    } else if ((sign === '"' || sign === "'") && word === '') {
      const start = index;
      for (index += 1; index < text.length && text.charAt(index) !== sign; index += 1)
        if (text.charAt(index) === '\\') index += 1;
      word = text.slice(start, index + 1);
      end();
    } else if (sign === '$' && text.charAt(index + 1) === '{') {
      const close = text.indexOf('}', index);
      word += text.slice(index, close + 1);
      index = close === -1 ? text.length : close;
    } else if (sign === ';' || sign === '{' || sign === '}') {
      end();
      atStart = true;
    } else if (/\s/.test(sign)) end();
    else word += sign;
  }
  end();
  return names;
}
