/**
 * The statements of an nginx file, in order, each with its words, read by nginx's own rules of quotes,
 * comments and braces.
 */
export function statementsOf(text: string): readonly (readonly string[])[] {
  const statements: string[][] = [];
  let word = '';
  let atStart = true;
  const end = (): void => {
    if (word !== '' && atStart) statements.push([word]);
    else if (word !== '') statements.at(-1)?.push(word);
    if (word !== '') atStart = false;
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
  return statements;
}

/** Names of the directives of an nginx file, in order. */
export function directivesOf(text: string): readonly string[] {
  return statementsOf(text).map(([name = '']) => name);
}

/** Fails unless a site has the statements of `plain`, each with as many words, and `domains` as its names. */
export function expectSite(plain: string, text: string, domains: readonly string[]): void {
  const shape = (statements: readonly (readonly string[])[], names: number): string =>
    statements.map((words) => `${words[0]}:${words[0] === 'server_name' ? names : words.length}`).join(' ');
  const [wanted, got] = [statementsOf(plain), statementsOf(text)];
  const named = got.filter(([name]) => name === 'server_name').map(([, ...names]) => names);
  if (JSON.stringify(named) !== JSON.stringify([domains]))
    throw new Error(`other names: ${JSON.stringify(named).slice(0, 300)}`);
  if (shape(wanted, 1) !== shape(got, 1)) throw new Error(`other statements: ${shape(got, 1)}`);
}

/** Fails when a file has a directive that `plain` has not, or one with more words; addresses are `geo`'s. */
export function expectKnown(plain: string, text: string): void {
  const known = new Map<string, number>();
  for (const [name = '', ...words] of statementsOf(plain))
    known.set(name, Math.max(known.get(name) ?? 0, words.length));
  const strange = statementsOf(text).filter(([name = '', ...words]) => {
    const isAddress = /^[0-9a-fA-F.:]+(\/[0-9]+)?$/.test(name) && words.length === 1;
    return !isAddress && words.length > (known.get(name) ?? -1);
  });
  if (strange.length > 0) throw new Error(`other statements: ${JSON.stringify(strange).slice(0, 300)}`);
}
