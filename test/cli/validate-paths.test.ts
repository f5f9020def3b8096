import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { validatePaths } from '../../src/cli/validate.js';
import { manifest } from '../manifest/support.js';

describe('validatePaths', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pointsman-validate-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function write(path: string, text: string): void {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }

  const files = async (paths: readonly string[] = []) =>
    (await validatePaths(paths, folder)).problems.map(({ file }) => file);

  it('checks every .yaml and .yml below projects/ when it is there', async () => {
    write('projects/shop.yaml', manifest());
    write('projects/team/blog.yml', manifest('', 'blog'));
    write('projects/README.md', 'not yaml: [');
    write('other.yaml', 'wrong: [');
    expect(await validatePaths([], folder)).toEqual({ problems: [], projects: 2 });
  });

  it('checks the current folder without projects/, but not its hidden folders', async () => {
    write('shop.yaml', manifest());
    for (const name of ['.git', '.github/workflows', 'team/.idea']) write(`${name}/config.yaml`, 'wrong: [');
    expect(await validatePaths([], folder)).toEqual({ problems: [], projects: 1 });
    expect(await validatePaths(['.'], folder)).toEqual({ problems: [], projects: 1 });
  });

  it('checks hidden files, and a hidden folder that is named', async () => {
    write('.hidden.yaml', manifest());
    write('.team/blog.yaml', manifest('', 'blog'));
    expect(await validatePaths(['.', '.team'], folder)).toEqual({ problems: [], projects: 2 });
  });

  it('checks named files whatever their name, once each', async () => {
    write('shop.txt', manifest());
    expect(await validatePaths(['shop.txt', './shop.txt', join(folder, 'shop.txt')], folder)).toEqual({
      problems: [],
      projects: 1,
    });
  });

  it('applies the rules between files', async () => {
    write('a.yaml', manifest());
    write('b.yaml', manifest());
    write('c.yaml', manifest('route: { domains: [x.example.com] }', 'c'));
    write('d.yaml', manifest('route: { domains: [x.example.com] }', 'd'));
    expect(await files(['.'])).toEqual(['a.yaml', 'b.yaml', 'c.yaml', 'd.yaml']);
  });

  it('reports symbolic links and follows none', async () => {
    write('a.yaml', manifest());
    write('elsewhere/b.txt', manifest('', 'b'));
    symlinkSync(join(folder, 'elsewhere/b.txt'), join(folder, 'b.yaml'));
    symlinkSync(join(folder, 'nowhere'), join(folder, 'c.yaml'));
    symlinkSync(join(folder, 'elsewhere'), join(folder, 'folder.yaml'));
    const { problems, projects } = await validatePaths(['.'], folder);
    expect(projects).toBe(1);
    expect(problems.map(({ file }) => file)).toEqual(['b.yaml', 'c.yaml', 'folder.yaml']);
    for (const { message } of problems) expect(message).toContain('symbolic link');
  });

  it('does not wait for a pipe', async () => {
    write('a.yaml', manifest());
    execFileSync('mkfifo', ['--', join(folder, 'b.yaml')]);
    expect(await files(['.'])).toEqual(['b.yaml']);
    expect(await files(['b.yaml'])).toEqual(['b.yaml']);
  });

  it('reports paths that are not there and folders without manifests', async () => {
    mkdirSync(join(folder, 'projects'));
    expect(await files(['none'])).toEqual(['none']);
    expect(await files()).toEqual(['projects']);
    expect((await validatePaths(['none'], folder)).problems).toMatchObject([{ line: 0, column: 0 }]);
  });

  it.each(['', '# nothing but this\n'])('says that a file is empty: %j', async (text) => {
    write('a.yaml', text);
    expect((await validatePaths(['a.yaml'], folder)).problems).toMatchObject([
      { file: 'a.yaml', line: 0, message: expect.stringContaining('the file is empty') as string },
    ]);
  });

  it('leaves out what a package manager installed', async () => {
    write('shop.yaml', manifest());
    write('node_modules/some/config.yaml', 'wrong: [');
    expect(await validatePaths([], folder)).toEqual({ problems: [], projects: 1 });
  });

  it('reads no more of a large file than it needs', async () => {
    write('a.yaml', '#'.repeat(1_000_000));
    expect((await validatePaths(['a.yaml'], folder)).problems).toMatchObject([
      { message: expect.stringContaining('the file has more than 65536 bytes') as string },
    ]);
  });
});
