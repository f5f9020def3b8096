import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import CliTable from 'cli-table3';
import { engine } from '../support/engine.js';
import { git } from '../support/git.js';
import type { Benchmark, Form, Result, Table } from './benchmark.js';
import { median, percentile, rounded } from './numbers.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = join(root, 'bench-results');
const run = promisify(execFile);

/** What a figure depends on. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryMiB: number;
  readonly kernel: string;
  /** Of the minute before: a busy machine explains strange figures. */
  readonly load: number;
  /** Of Pointsman; with `+` where files differ from it, null outside of a checkout. */
  readonly commit: string | null;
  readonly versions: Readonly<Record<string, string>>;
}

export async function describeMachine(): Promise<Machine> {
  const nginx = (await run('nginx', ['-v'])).stderr;
  const gitVersion = (await run('git', ['--version'])).stdout;
  const { Version } = await engine.version();
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryMiB: Math.round(totalmem() / 1024 / 1024),
    kernel: release(),
    load: rounded(loadavg()[0] ?? 0),
    commit: await commitOfCheckout(),
    versions: {
      node: process.versions.node,
      docker: Version,
      nginx: /nginx\/(\S+)/.exec(nginx)?.[1] ?? nginx.trim(),
      git: /version (\S+)/.exec(gitVersion)?.[1] ?? gitVersion.trim(),
      chrt: await run('chrt', ['--version']).then(
        ({ stdout }) => /(\d\S*)/.exec(stdout)?.[1] ?? stdout.trim(),
        () => 'none',
      ),
    },
  };
}

async function commitOfCheckout(): Promise<string | null> {
  try {
    const isChanged = (await git(root, 'status', '--porcelain')) !== '';
    return `${await git(root, 'rev-parse', '--short', 'HEAD')}${isChanged ? '+' : ''}`;
  } catch {
    return null;
  }
}

/** Writes `bench-results/<name>.json`, of the short form `<name>.short.json`. Resolves to its path. */
export async function writeResult(
  { name, shows }: Benchmark,
  form: Form,
  machine: Machine,
  result: Result,
): Promise<string> {
  const { samples, counts, mustBeZero, ratios, goals, notes = [] } = result;
  const medians = Object.fromEntries(
    Object.entries(samples).map(([series, values]) => [series, rounded(median(values))]),
  );
  const at = new Date().toISOString();
  const content = { version: 1, name, shows, form, at, machine, medians, ratios, counts, mustBeZero, goals };
  await mkdir(folder, { recursive: true });
  const path = join(folder, `${name}${form === 'short' ? '.short' : ''}.json`);
  await writeFile(path, `${JSON.stringify({ ...content, notes, samples }, null, 1)}\n`);
  return path;
}

/** All of it as text: the benchmark's own tables, then series, counts and goals. */
export function printed(result: Result): string {
  const { samples, counts, mustBeZero, ratios, goals, tables = [], notes = [] } = result;
  const series = Object.entries(samples).map(([name, values]) => [
    name,
    values.length,
    ...[percentile(values, 0), median(values), percentile(values, 99)].map(rounded),
  ]);
  const numbers = Object.entries(counts).map(([name, count]) => [
    name,
    count,
    mustBeZero.includes(name) ? (count === 0 ? 'ok' : 'MUST BE 0') : '',
  ]);
  const met = goals.map(({ name, value, atMost }) => [
    name,
    rounded(value),
    atMost,
    value <= atMost ? 'met' : 'missed',
  ]);
  return [
    ...tables.map(drawn),
    drawn({ head: ['series', 'samples', 'least', 'median', 'p99'], rows: series }),
    drawn({ head: ['count', '', ''], rows: numbers }),
    drawn({
      head: ['ratio', ''],
      rows: Object.entries(ratios).map(([name, value]) => [name, rounded(value)]),
    }),
    drawn({ head: ['goal', 'measured', 'at most', ''], rows: met }),
    ...notes,
  ]
    .filter((part) => part !== '')
    .map((part) => `${part}\n`)
    .join('');
}

function drawn({ head, rows }: Table): string {
  if (rows.length === 0) return '';
  const table = new CliTable({ head: [...head], style: { head: [], border: [] } });
  table.push(...rows.map((row) => row.map(String)));
  return table.toString();
}
