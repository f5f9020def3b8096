import { constants } from 'node:fs';
import type * as real from 'node:fs/promises';
import type { ContractCase } from './contract.js';
import { codeOf, same } from './contract.js';

export interface DiskSubject {
  readonly fs: Pick<
    typeof real,
    'open' | 'readFile' | 'writeFile' | 'rename' | 'unlink' | 'link' | 'readdir' | 'stat' | 'mkdir'
  >;
  /** An empty folder. */
  readonly folder: string;
}

/** What journal, status and secrets count on, of any disk. */
export const diskContract: readonly ContractCase<DiskSubject>[] = [
  {
    name: 'what is not there is ENOENT',
    async run({ fs, folder }) {
      const path = `${folder}/none`;
      same(await codeOf(fs.readFile(path)), 'ENOENT');
      same(await codeOf(fs.stat(path)), 'ENOENT');
      same(await codeOf(fs.open(path, constants.O_RDWR, 0o600)), 'ENOENT');
      same(await codeOf(fs.unlink(path)), 'ENOENT');
      same(await codeOf(fs.rename(path, `${folder}/other`)), 'ENOENT');
      same(await codeOf(fs.readdir(path)), 'ENOENT');
    },
  },
  {
    name: 'a file is written at a place, cut, and read back',
    async run({ fs, folder }) {
      const file = await fs.open(`${folder}/file`, constants.O_RDWR | constants.O_CREAT, 0o600);
      const bytes = Buffer.from('0123456789');
      same((await file.write(bytes, 0, 4, 0)).bytesWritten, 4);
      await file.write(bytes, 4, 6, 4);
      await file.datasync();
      same(String(await fs.readFile(`${folder}/file`, 'utf8')), '0123456789');
      await file.truncate(3);
      same([(await file.stat()).size, (await fs.stat(`${folder}/file`)).size], [3, 3]);
      await file.close();
    },
  },
  {
    name: 'a file has the mode it was made with, and belongs to who made it',
    async run({ fs, folder }) {
      await fs.writeFile(`${folder}/private`, 'value', { mode: 0o600 });
      const file = await fs.open(`${folder}/private`, constants.O_RDONLY);
      const { mode, uid, size } = await file.stat();
      same([mode & 0o777, uid, size], [0o600, process.geteuid?.(), 5]);
      same(String(await file.readFile('utf8')), 'value');
      await file.close();
    },
  },
  {
    name: 'a rename replaces, a link is the same file, and names are listed',
    async run({ fs, folder }) {
      await fs.writeFile(`${folder}/old`, 'old');
      await fs.writeFile(`${folder}/new`, 'new');
      await fs.rename(`${folder}/new`, `${folder}/old`);
      await fs.link(`${folder}/old`, `${folder}/twin`);
      same(await codeOf(fs.link(`${folder}/old`, `${folder}/twin`)), 'EEXIST');
      same((await fs.stat(`${folder}/old`)).ino === (await fs.stat(`${folder}/twin`)).ino, true);
      same(String(await fs.readFile(`${folder}/twin`, 'utf8')), 'new');
      same((await fs.readdir(folder)).filter((name) => name !== 'file').sort(), ['old', 'twin']);
      await fs.unlink(`${folder}/old`);
      same(String(await fs.readFile(`${folder}/twin`, 'utf8')), 'new');
    },
  },
];
