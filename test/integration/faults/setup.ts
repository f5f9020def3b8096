/** Sums up what the fault tests put on the account, when all of them have run. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Account } from './report.js';

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
      .map((line) => JSON.parse(line) as Account);
    const sum = (of: (entry: Account) => number): number => entries.reduce((all, each) => all + of(each), 0);
    process.stdout.write(
      [
        `faults injected: ${sum(({ faults }) => faults)}`,
        `requests sent: ${sum(({ sent }) => sent)}`,
        `requests failed while something was there to serve them: ${sum(({ failed, unavoidable }) => failed - unavoidable)}`,
        `requests failed while engine or nginx itself was down: ${sum(({ unavoidable }) => unavoidable)}`,
        `requests answered wrongly: ${sum(({ wrong }) => wrong)}`,
        '',
      ].join('\n'),
    );
  };
}
