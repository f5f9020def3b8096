import { describe, expect, it } from 'vitest';
import {
  emptyManifestTree,
  readManifestTree,
  type ManifestTreeCache,
} from '../../src/source/manifest-tree.js';
import {
  mostTreeEntries,
  parseTree,
  type ObjectStore,
  type TreeEntry,
} from '../../src/source/object-store.js';

/** Trees and blobs in memory, by made-up ids, that count their reads. */
function store(
  trees: Readonly<Record<string, readonly (readonly [string, string, string])[]>>,
  sizes: Readonly<Record<string, number>> = {},
) {
  const reads: string[] = [];
  const objects: ObjectStore = {
    rootTree: async () => ('newer' in trees ? 'newer' : 'root'),
    tree: async (oid) => {
      reads.push(`tree ${oid}`);
      return (trees[oid] ?? []).map(([mode, name, child]): TreeEntry => ({ mode, name, oid: child }));
    },
    sizes: async (oids) => new Map(oids.map((oid) => [oid, sizes[oid] ?? 1])),
    async *blobs(wanted) {
      for (const oid of wanted.keys()) {
        reads.push(`blob ${oid}`);
        yield [oid, Buffer.from(oid)];
      }
    },
  };
  return { objects, reads };
}

const parse = (file: string, bytes: Uint8Array): string => `${file}=${Buffer.from(bytes).toString()}`;

async function read(
  fixture: ReturnType<typeof store>,
  cache: ManifestTreeCache<string> = emptyManifestTree(),
  folder = 'projects',
) {
  fixture.reads.length = 0;
  return readManifestTree('c0ffee', folder, { objects: fixture.objects, parse, cache });
}

describe('readManifestTree', () => {
  const before = {
    root: [
      ['040000', 'projects', 'P'],
      ['100644', 'x.yaml', 'outside'],
    ],
    P: [
      ['040000', 'a', 'A'],
      ['040000', 'b', 'B'],
      ['100644', 'one.yaml', '1'],
    ],
    A: [
      ['100644', 'two.yml', '2'],
      ['100644', 'readme.md', 'r'],
    ],
    B: [['100755', 'three.yaml', '3']],
  } as const;

  it('gives the files below the folder, in order', async () => {
    expect((await read(store(before))).files).toEqual([
      'projects/a/two.yml=2',
      'projects/b/three.yaml=3',
      'projects/one.yaml=1',
    ]);
  });

  it('reads the whole repository for the folder `.`', async () => {
    expect((await read(store(before), undefined, '.')).files).toContain('x.yaml=outside');
  });

  it('leaves hidden folders out but for the one that is named, and reads hidden files', async () => {
    const hiding = {
      root: [['040000', '.deploy', 'D']],
      D: [
        ['040000', '.github', 'B'],
        ['040000', 'a', 'A'],
        ['100644', '.one.yaml', '1'],
      ],
      A: [
        ['040000', '.idea', 'B'],
        ['100644', 'two.yml', '2'],
      ],
      B: [['100644', 'three.yaml', '3']],
    } as const;
    const fixture = store(hiding);
    expect((await read(fixture, undefined, '.deploy')).files).toEqual([
      '.deploy/a/two.yml=2',
      '.deploy/.one.yaml=1',
    ]);
    expect(fixture.reads).not.toContain('tree B');
    expect((await read(store({ ...hiding, root: hiding.D }), undefined, '.')).files).toHaveLength(2);
  });

  it('reads only what changed, and forgets what is gone', async () => {
    const first = await read(store(before));
    const after = store({
      ...before,
      newer: [['040000', 'projects', 'P2']],
      P2: [
        ['040000', 'a', 'A'],
        ['040000', 'b', 'B2'],
      ],
      B2: [['100644', 'three.yaml', '3b']],
    });
    const second = await read(after, first.cache);
    expect(after.reads).toEqual(['tree newer', 'tree P2', 'tree B2', 'blob 3b']);
    expect(second.files).toEqual(['projects/a/two.yml=2', 'projects/b/three.yaml=3b']);
    const again = store(before);
    await read(again, second.cache);
    expect(again.reads).toEqual(['tree root', 'tree P', 'tree B', 'blob 3', 'blob 1']);
  });

  it('parses the same content anew under another name', async () => {
    const first = await read(store(before));
    const moved = store({
      newer: [['040000', 'projects', 'Q']],
      Q: [['100644', 'moved.yaml', '1']],
    });
    expect((await read(moved, first.cache)).files).toEqual(['projects/moved.yaml=1']);
  });

  it('takes a file of 64 KiB and makes a longer one a problem without reading it', async () => {
    const fixture = store(
      {
        root: [['040000', 'projects', 'P']],
        P: [
          ['100644', 'fits.yaml', 'f'],
          ['100644', 'long.yaml', 'l'],
        ],
      },
      { f: 65_536, l: 65_537 },
    );
    const { files, problems } = await read(fixture);
    expect(files).toEqual(['projects/fits.yaml=f']);
    expect(problems).toMatchObject([
      {
        file: 'projects/long.yaml',
        line: 0,
        column: 0,
        path: '',
        message: expect.stringContaining('65537 bytes'),
      },
    ]);
    expect(fixture.reads).not.toContain('blob l');
  });

  it.each(['', '.', '..', '.git', 'a/b.yaml', '../x.yaml', '\u001b[2J/x.yaml'])(
    'says of an entry named %j in which folder it stands',
    async (name) => {
      const tree = [
        ['040000', name, 'E'],
        ['100644', 'one.yaml', '1'],
      ] as const;
      const of = async (trees: Parameters<typeof store>[0], folder: string) =>
        (await read(store({ E: [], ...trees }), undefined, folder)).problems;
      const shown =
        name === '' ? 'an entry without a name' : `an entry named "${name.replace('\u001b', '\\x1b')}"`;
      const found = [
        ['projects', await of({ root: [['040000', 'projects', 'P']], P: tree }, 'projects')],
        ['.', await of({ root: tree }, '.')],
        ['a/b', await of({ root: [['040000', 'a', 'A']], A: [['040000', 'b', 'B']], B: tree }, 'a')],
      ] as const;
      for (const [folder, problems] of found) {
        expect(problems).toHaveLength(1);
        expect(problems[0]).toMatchObject({ file: folder, line: 0, column: 0, path: '' });
        expect(problems[0]?.message).toContain(`the folder ${folder} holds ${shown}: git takes no such name`);
      }
    },
  );

  it('bounds depth and number', async () => {
    const endless = store({
      root: [['040000', 'projects', 'P']],
      P: [
        ['040000', 'p', 'P'],
        ['040000', 'q', 'P'],
      ],
    });
    await expect(read(endless)).rejects.toMatchObject({ code: 'UnsupportedRepository' });
  });
});

describe('parseTree', () => {
  const entry = (mode: string, name: string | Buffer) =>
    Buffer.concat([Buffer.from(`${mode} `), Buffer.from(name), Buffer.from([0]), Buffer.alloc(20, 0xab)]);

  it('takes any name', () => {
    const names = ['a\\b', '.git', '..', 'x:y', 'é', 'new\nline'];
    expect(parseTree(Buffer.concat(names.map((name) => entry('100644', name))))).toEqual(
      names.map((name) => ({ mode: '100644', name, oid: 'ab'.repeat(20) })),
    );
    expect(parseTree(entry('40000', Buffer.from([0xff])))).toEqual([
      { mode: '040000', name: '\uFFFD', oid: 'ab'.repeat(20) },
    ]);
  });

  it('reads one entry more than it may, and no further', () => {
    const one = entry('100644', 'x');
    expect(parseTree(Buffer.alloc(one.length * 300_000, one))).toHaveLength(mostTreeEntries + 1);
  });

  it.each([
    entry('100644', 'x').subarray(0, 20),
    Buffer.from('100644'),
    Buffer.from('999999 x\0'),
    entry('10a644', 'x'),
  ])('says that %j is no tree', (bytes) => {
    expect(parseTree(bytes)).toBeNull();
  });
});
