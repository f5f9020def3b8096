/** Sums up what the fault tests put on the account, when all of them have run. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Account, Entry } from './report.js';

export default async function setup(): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'pointsman-faults-'));
  const file = join(folder, 'account');
  process.env['POINTSMAN_FAULTS_ACCOUNT'] = file;
  return async () => {
    const text = await readFile(file, 'utf8').catch(() => '');
    await rm(folder, { recursive: true, force: true });
    const entries = text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Entry);
    process.stdout.write(`${linesOf(entries).join('\n')}\n`);
  };
}

/** The figures of the run: what the README's table shows. */
function linesOf(entries: readonly Entry[]): readonly string[] {
  const accounts = entries.filter((entry) => entry.kind === 'account');
  const observations = entries.filter((entry) => entry.kind === 'invariants');
  const sum = (of: (entry: Account) => number): number => accounts.reduce((all, each) => all + of(each), 0);
  const broken = observations.flatMap((observation) => observation.broken);
  const checked = observations.reduce((all, each) => all + each.checked, 0);
  return [
    `faults injected: ${sum(({ faults }) => faults)}`,
    `requests sent: ${sum(({ sent }) => sent)}`,
    `requests failed: ${sum(({ failed, unavoidable }) => failed - unavoidable)}`,
    `requests failed while engine or nginx itself was down or reloaded: ${sum(({ unavoidable }) => unavoidable)}`,
    `requests answered wrongly: ${sum(({ wrong }) => wrong)}`,
    `invariants broken: ${broken.length} (checked ${checked} times)`,
    ...broken.map((sentence) => `  ${sentence}`),
    ...entries.filter((entry) => entry.kind === 'soak').map(({ line }) => line),
  ];
}
