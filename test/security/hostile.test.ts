import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { promisify } from 'node:util';
import PQueue from 'p-queue';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { prettyLog } from '../../src/cli/pretty-log.js';
import { PointsmanError, redact } from '../../src/errors.js';
import { createLogger } from '../../src/log.js';
import { parseManifests } from '../../src/manifest/parse.js';
import { decodeLine, encodeLine } from '../../src/record/journal-line.js';
import { parseProjectEntry, projectEntry } from '../../src/record/status-file.js';
import { Git } from '../../src/source/git.js';
import { parseLocation } from '../../src/source/location.js';
import { Remote } from '../../src/source/remote.js';
import { manifest } from '../support/crafted-world.js';
import { hostileTexts, written } from './corpus.js';
import { directivesOf } from './directives.js';

const execute = promisify(execFile);
const projectStatus = { state: 'failed', phase: null };
const parseRounds = 200;
const fieldRounds = 10;
/** What a parse may leave behind, all 200 rounds of all inputs together, bytes. */
const mostGrowth = 16 * 1024 * 1024;

interface Report {
  readonly inputs: number;
  readonly parses: number;
  readonly readings: number;
  readonly refused: number;
  readonly harmless: number;
  readonly fields: number;
  /** Bytes in use, along the way. */
  readonly memory: readonly number[];
  readonly found: readonly string[];
}

/** One share of the inputs, all rounds of it in one process. */
async function readShare(share: number, shares: number): Promise<Report> {
  const script = new URL('./hostile-process.ts', import.meta.url).pathname;
  const numbers = [parseRounds, fieldRounds, share, shares].map(String);
  const { stdout } = await execute(process.execPath, ['--expose-gc', '--import', 'tsx', script, ...numbers], {
    maxBuffer: 1024 * 1024,
  });
  return JSON.parse(stdout) as Report;
}

describe('hostile input', () => {
  it(
    `is a problem or harmless in every field and file, and never ends a process that parses each ${parseRounds} times`,
    { timeout: 1_800_000 },
    async () => {
      const shares = Math.min(4, availableParallelism());
      const reports = await Promise.all(
        Array.from({ length: shares }, (_, share) => readShare(share, shares)),
      );
      const sum = (field: 'inputs' | 'parses' | 'readings' | 'refused' | 'harmless'): number =>
        reports.reduce((total, report) => total + report[field], 0);
      const growths = reports.map(({ memory: [first = 0, ...later] }) => (later.at(-1) ?? 0) - first);
      process.stdout.write(
        `hostile input: ${sum('inputs')} inputs in ${reports[0]?.fields} fields, ${sum('parses')} parses, ` +
          `${sum('readings')} of them with schema and rendering, ${sum('refused')} refused, ${sum('harmless')} harmless; ` +
          `memory grew by ${growths.map((bytes) => Math.round(bytes / 1024)).join(' and ')} KiB\n`,
      );
      expect(reports.flatMap(({ found }) => found)).toEqual([]);
      for (const { fields, inputs, parses, memory } of reports) {
        expect(fields).toBeGreaterThan(60);
        expect(parses).toBe(inputs * parseRounds);
        expect(memory.length).toBeGreaterThan(5);
      }
      expect(sum('inputs')).toBeGreaterThan(10_000);
      for (const growth of growths) expect(growth).toBeLessThan(mostGrowth);
    },
  );

  it('in one document leaves the others alone', () => {
    for (const text of hostileTexts) {
      const bad = manifest('bad').replace('https://git.example.com/a.git', written(`${text}\u0001`));
      const { projects, problems } = parseManifests(
        'projects/a.yaml',
        Buffer.from(`${manifest('one')}---\n${bad}---\n${manifest('two')}`),
      );
      if (bad.length > 60_000) continue;
      expect(projects.map(({ project }) => project.name)).toEqual(['one', 'two']);
      expect(problems.length).toBeGreaterThan(0);
    }
  });

  it('as the name of a file stays text in problems', () => {
    for (const text of hostileTexts) {
      const { problems } = parseManifests(text, Buffer.from('name: 1'));
      expect(problems.length).toBeGreaterThan(0);
      for (const { file } of problems) expect(file).toBe(text);
    }
  });

  it('stays one line in the log for people, and moves no cursor', () => {
    for (const text of hostileTexts) {
      const people = new PassThrough();
      const log = createLogger({ level: 'info', output: prettyLog(people, { colour: false }) });
      const writes: readonly (() => void)[] = [
        () => log.warn({ project: text, error: text, [text]: text, deep: [{ [text]: text }] }, text),
        () => log.child({ project: text }).error(new PointsmanError('BuildFailed', text, { cause: text })),
        () => log.info({ file: text, path: text, [`${text}x`]: true }, 'x'),
      ];
      for (const write of writes) {
        write();
        expect(String(people.read())).toMatch(/^[^\u0000-\u001f\u007f-\u009f\u2028-\u202e]+\n$/);
      }
    }
  });

  it('stays one line of the journal and whole JSON in the status, and is read back', () => {
    for (const text of hostileTexts) {
      const record = (value: string): object => ({
        version: 1,
        seq: 1,
        at: '2026-01-01T00:00:00.000Z',
        type: 'problem',
        project: value,
        detail: { message: value, [`of ${text}`]: [value] },
      });
      const { line } = encodeLine(record(text) as never);
      expect(line).not.toContain('\n');
      expect(decodeLine(Buffer.from(line))).toEqual({ kind: 'record', record: record(redact(text)) });
      const status = { ...projectStatus, reason: text, message: text, urls: [text] };
      const entry = projectEntry(text, status as never);
      expect(entry.toString('utf8')).not.toContain('\n');
      expect(parseProjectEntry(entry)).toMatchObject({
        state: 'failed',
        message: redact(text),
      });
    }
  });

  it('stays one JSON line in the log', () => {
    for (const text of hostileTexts) {
      const output = new PassThrough();
      const log = createLogger({ level: 'info', output });
      log.warn({ project: text, error: text, [text]: text }, text);
      log.child({ project: text }).error(new PointsmanError('BuildFailed', text));
      const lines = String(output.read()).split('\n');
      expect(lines).toHaveLength(3);
      for (const line of lines.slice(0, 2)) expect(() => JSON.parse(line) as unknown).not.toThrow();
    }
  });
});

describe('directivesOf', () => {
  it('sees what would be injected', () => {
    expect(directivesOf('server_name a; return 200 "x;y{";\n# b c;\nlocation / { deny all; }')).toEqual([
      'server_name',
      'return',
      'location',
      'deny',
    ]);
  });
});

describe('the git program', () => {
  let folder: string;
  let path: string | undefined;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pointsman-git-'));
    path = process.env['PATH'];
    // It records what it was started with, and fails.
    const program = `#!${process.execPath}
const { writeFileSync } = require('node:fs');
writeFileSync(${JSON.stringify(folder)} + '/call-' + process.pid + '.json', JSON.stringify({ argv: process.argv.slice(2), env: process.env }));
process.exit(128);
`;
    await writeFile(join(folder, 'git'), program);
    await chmod(join(folder, 'git'), 0o755);
    process.env['PATH'] = `${folder}:${path}`;
  });

  afterEach(async () => {
    process.env['PATH'] = path;
    await rm(folder, { recursive: true, force: true });
  });

  async function calls(): Promise<
    readonly { readonly argv: string[]; readonly env: Record<string, string> }[]
  > {
    const names = (await readdir(folder)).filter((name) => name.startsWith('call-'));
    const found = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
    for (const name of names) await rm(join(folder, name));
    return found.map((text) => JSON.parse(text) as { argv: string[]; env: Record<string, string> });
  }

  it('gets a hostile address after "--" as one argument or not at all, in a clean environment', async () => {
    const poison = {
      GIT_SSH_COMMAND: 'id',
      GIT_EXTERNAL_DIFF: 'id',
      GIT_DIR: '/etc',
      LD_PRELOAD: '/tmp/x.so',
      CANARY: 'c',
    };
    Object.assign(process.env, poison);
    let asked = 0;
    let refused = 0;
    try {
      const git = new Git({ folder: join(folder, 'home') });
      for (const text of [
        ...hostileTexts.filter(({ length }) => length < 1_000),
        'https://git.example.com/a;b$(id).git',
      ]) {
        for (const address of [
          text,
          `https://git.example.com/${text}`,
          `git@git.example.com:${text}`,
          `/srv/${text}`,
        ]) {
          let location;
          try {
            location = parseLocation(address);
          } catch (error) {
            expect(error).toBeInstanceOf(PointsmanError);
            refused += 1;
            continue;
          }
          if (asked >= 60) continue;
          asked += 1;
          await expect(
            new Remote({ git, location, credential: null, queue: new PQueue() }).list(
              'all',
              AbortSignal.timeout(30_000),
            ),
          ).rejects.toBeInstanceOf(PointsmanError);
          const [call] = await calls();
          expect(call).toBeDefined();
          const { argv, env } = call as { argv: string[]; env: Record<string, string> };
          expect(argv.slice(argv.indexOf('ls-remote'))).toEqual([
            'ls-remote',
            '--symref',
            '--',
            location.url,
          ]);
          expect(location.url).toMatch(/^(https?:\/\/|ssh:\/\/|\/|[^-/:][^/:]*:)/);
          for (const [name, value] of Object.entries(poison)) expect(env[name]).not.toBe(value);
          expect(env['GIT_ALLOW_PROTOCOL']).toBe('http:https:ssh:file');
          expect(env['GIT_TERMINAL_PROMPT']).toBe('0');
        }
      }
    } finally {
      for (const name of Object.keys(poison)) Reflect.deleteProperty(process.env, name);
    }
    process.stdout.write(`fake git: ${asked} addresses asked, ${refused} refused\n`);
    expect(asked).toBeGreaterThan(10);
    expect(refused).toBeGreaterThan(50);
  });
});
