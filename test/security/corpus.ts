/** Hostile text: what a stranger may write where a name, address, path or value is wanted. */
export const hostileTexts: readonly string[] = [
  '; rm -rf /',
  '$(id)',
  '`id`',
  '${IFS}id',
  '$pointsman_slot',
  '|| id',
  '& id',
  '> /tmp/x',
  '"; return 200 "x',
  "'; return 200 'x",
  'a; } server { listen 81; }',
  'a { }',
  'a;\ninclude /etc/passwd;',
  'a\nb',
  'a\r\nX-Injected: 1',
  'a\u0000b',
  'a\u001b[2Jb',
  'a\u2028b',
  'a\u009b2Jb',
  'a\u0085b',
  'a\u202eb',
  '\ufeffa',
  'аdmin', // Cyrillic а
  'ｅxample.com', // full-width e
  'shop。example.com', // ideographic full stop
  'ß.example.com',
  '-',
  '-rf',
  '--help',
  '--upload-pack=touch /tmp/x',
  '--exec=id',
  '-oProxyCommand=id',
  'ssh://-oProxyCommand=id/x',
  'git@-oProxyCommand=id:x',
  'ext::sh -c id',
  'fd::7',
  'file:///etc/passwd',
  'javascript:alert(1)',
  'data:text/plain,x',
  'https://user:password@git.example.com/x.git',
  'https://git.example.com@evil.example/x.git',
  'https://git.example.com/x.git?a#b',
  '..',
  '../../etc/passwd',
  'a/../../b',
  '%2e%2e/%2e%2e/etc/passwd',
  '/etc/passwd',
  '/proc/self/environ',
  '\\\\host\\share',
  'C:\\x',
  '~/.ssh/id_rsa',
  '*',
  '?',
  '~^.*$',
  '.',
  '',
  ' ',
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  'null',
  'NaN',
  '1e999',
  '-1',
  '0x10',
  '99999999999999999999999999',
  '9007199254740993',
  '10.213.0.2:3000; deny all',
  'refs/heads/a;b$(id)',
  '@{-1}',
  'a..b',
  'x'.repeat(300),
  'x'.repeat(60_000),
  'a.'.repeat(2_000),
  '%s%n%x',
  '{{7*7}}',
  '<script>alert(1)</script>',
  '{"level":"fatal"}\n{"level":"info"}',
];

/** A text as it stands in YAML, in printable characters: what is not would be a problem of its whole file. */
export function written(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\u009f]/g,
    (character) => `\\u00${character.charCodeAt(0).toString(16)}`,
  );
}

/** Values that are no text, as they stand in YAML. */
export const hostileValues: readonly string[] = [
  'null',
  'true',
  '-0',
  '.inf',
  '.nan',
  '1e999',
  '99999999999999999999999999',
  '[]',
  '{}',
  '[[[[[]]]]]',
  '{ __proto__: { polluted: true } }',
  '{ constructor: { prototype: { polluted: true } } }',
  '!!js/function "function () { return 1 }"',
  '!!binary aGk=',
  '!!python/object/apply:os.system ["id"]',
  '2026-01-01',
  '&a [*a]',
  '<<: { a: 1 }',
];

const manifestHead = 'apiVersion: pointsman.dev/v1\nkind: Project\nname: shop\n';

/** Whole files. */
export const hostileFiles: readonly (readonly [string, Uint8Array])[] = [
  ['nothing', new Uint8Array()],
  ['NUL', new Uint8Array(1_000)],
  ['invalid UTF-8', new Uint8Array([0xff, 0xfe, 0xc3, 0x28, 0xf0, 0x28, 0x8c, 0x28])],
  ['a lone surrogate', Buffer.from('name: \xed\xa0\x80', 'latin1')],
  ['UTF-16', Buffer.from('\ufeffname: shop\n', 'utf16le')],
  ['10 MB', Buffer.alloc(10 * 1024 * 1024, 'a: b\n')],
  ['100,000 opening brackets', Buffer.alloc(100_000, '[')],
  ['60,000 opening brackets', Buffer.alloc(60_000, '[')],
  ['60,000 opening braces', Buffer.alloc(60_000, '{')],
  // Read again and again, they end a process whose parser they reach.
  ['1,000 brackets in each other', Buffer.from(`${'['.repeat(1_000)}${']'.repeat(1_000)}`)],
  ['30,000 dashes', Buffer.from('- '.repeat(30_000))],
  [
    '300 nested maps',
    Buffer.from(Array.from({ length: 300 }, (_, depth) => `${' '.repeat(depth)}a:\n`).join('')),
  ],
  ['60,000 documents', Buffer.from('---\n'.repeat(15_000))],
  ['question marks', Buffer.from('? '.repeat(30_000))],
  ['quotes that never end', Buffer.from(`a: "${'\\'.repeat(60_001)}`)],
  ['block scalar headers', Buffer.from('|>'.repeat(30_000))],
  [
    'alias bomb',
    Buffer.from('a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nd: [*c,*c,*c,*c]\n'),
  ],
  [
    'a billion laughs',
    Buffer.from(
      Array.from({ length: 12 }, (_, level) => {
        const items = level === 0 ? 'lol' : `*a${level - 1}`;
        return `a${level}: &a${level} [${Array<string>(10).fill(items).join(',')}]\n`;
      }).join(''),
    ),
  ],
  [
    'prototype',
    Buffer.from(
      `${manifestHead}__proto__: { polluted: true }\nconstructor: { prototype: { polluted: 1 } }\n`,
    ),
  ],
  ['the same key twice', Buffer.from(`${manifestHead}name: evil\n`)],
  ['10,000 keys', Buffer.from(Array.from({ length: 6_000 }, (_, key) => `k${key}: 1\n`).join(''))],
  ['tags', Buffer.from('!!js/undefined a: !!js/regexp /(a+)+$/\n%TAG ! tag:x,2000:\n')],
  ['directives', Buffer.from('%YAML 9.9\n---\na: 1\n')],
  ['tabs', Buffer.from('\ta:\t\t1\n\t- b\n')],
];
