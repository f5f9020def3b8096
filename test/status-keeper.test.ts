import { onTestFinished, expect, it } from 'vitest';
import { systemClock } from '../src/clock.js';
import type { DesiredProjects } from '../src/desired-projects.js';
import { silentLogger } from '../src/log.js';
import { noMemory } from '../src/record/port.js';
import type { JournalMemory } from '../src/record/port.js';
import { readStatus } from '../src/record/status-file.js';
import { StatusKeeper } from '../src/status-keeper.js';
import type { ProgressEvent } from '../src/status-keeper.js';
import { settingsIn, temporaryFolder } from './cli/cli.js';

async function keeper() {
  const stateDir = await temporaryFolder();
  const events: ProgressEvent[] = [];
  const source = { error: null, failures: 0, lastAttemptAt: null, lastSuccessAt: null };
  const desired = {
    commit: null,
    source,
    problems: [],
    heldRemovals: null,
    names: () => [],
    knows: () => true,
  };
  const status = new StatusKeeper({
    settings: settingsIn(stateDir),
    clock: systemClock,
    log: silentLogger,
    journal: { damage: null, fault: null, memory: { project: () => noMemory } as unknown as JournalMemory },
    desired: desired as unknown as DesiredProjects,
    version: '0',
    onProgress: (event) => events.push(event),
  });
  onTestFinished(() => status.close());
  const phases = () => events.map(({ phase }) => phase);
  return { status, stateDir, phases };
}

it('tells that what was no deployment is over, and the end of a deployment once', async () => {
  const { status, phases } = await keeper();
  status.progress('shop', { phase: 'probing' });
  status.progress('shop', { phase: null });
  status.progress('shop', { phase: 'baking' });
  status.progress('shop', { phase: null, outcome: 'rolled-back' });
  status.progress('shop', { phase: null });
  expect(phases()).toEqual(['probing', null, 'baking', 'rolled-back']);
});

it('takes credentials out of the step that it shows', async () => {
  const { status, stateDir } = await keeper();
  status.progress('shop', {
    phase: 'building',
    step: 'RUN git clone https://me:s3cret@git.example.com/a.git',
  });
  await status.close();
  const reading = await readStatus(stateDir);
  const message = 'RUN git clone https://git.example.com/a.git';
  expect(reading).toMatchObject({ status: { projects: { shop: { phase: 'building', message } } } });
});
