import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect } from 'vitest';
import type { JournalRecord } from '../../src/record/port.js';
import { loadSchema } from '../../src/schemas.js';
import type { Client, Counts } from './client.js';
import { engine } from './engine.js';
import type { Scenario } from './scenario.js';

/** What is there for a project, in words that do not depend on how it came to be. */
export interface EndState {
  /** `live unless-stopped running`, by role; addresses and slots left out: they depend on how often was switched. */
  readonly containers: readonly string[];
  readonly networks: number;
  /** Site and switch files of all projects. */
  readonly sites: readonly string[];
  readonly switches: number;
}

/** Sees with its own eyes what belongs to the instance. `live` is the slot of each project that should serve. */
export async function endState(scenario: Scenario): Promise<EndState> {
  const filters = { label: [`dev.pointsman.instance=${scenario.instance}`] };
  const [listed, networks, sites, switches] = await Promise.all([
    engine.listContainers({ all: true, filters }),
    engine.listNetworks({ filters }),
    filesIn(join(scenario.stateDir, 'nginx/sites')),
    filesIn(join(scenario.stateDir, 'nginx/switch')),
  ]);
  const containers = await Promise.all(
    listed.map(async ({ Id }) => {
      const { Name, HostConfig, State } = await engine.getContainer(Id).inspect();
      const word = Name.replace('/pointsman-', '').replace(`-${scenario.id}`, '');
      const role = switches.includes(Name.replace('/pointsman-', '').replace(/-(blue|green)$/, '.$1'))
        ? 'live'
        : /-release$/.test(word)
          ? 'release'
          : 'idle';
      const project = word.replace(/-(blue|green|release)$/, '');
      return `${project} ${role} ${HostConfig.RestartPolicy?.Name || 'no'} ${State.Status}`;
    }),
  );
  return {
    containers: containers.sort(),
    networks: networks.length,
    sites: sites.map((name) => name.replace(`-${scenario.id}`, '')).sort(),
    switches: switches.length,
  };
}

/** The controller has nothing more to do, `plan` says so, what it wrote is as described, and no half-written file is left. */
export async function expectSettled(scenario: Scenario): Promise<void> {
  const { code, stdout, stderr } = await scenario.pointsman('plan', '--json', '--exit-code');
  const { projects } = JSON.parse(stdout === '' ? '{"projects":[]}' : stdout) as {
    projects: readonly { readonly project: string; readonly steps: readonly unknown[] }[];
  };
  expect(projects.filter(({ steps }) => steps.length > 0)).toEqual([]);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  const temporary = (await readdir(scenario.stateDir, { recursive: true })).filter((path) =>
    path.endsWith('.tmp'),
  );
  expect(temporary).toEqual([]);
  await expectDescribed(scenario);
}

const ajv = new Ajv2020({ allowUnionTypes: true });
const schemas = { journal: ajv.compile(loadSchema('journal')), status: ajv.compile(loadSchema('status')) };

/** Every whole line of the journal and the status file are what their schemas describe. */
async function expectDescribed({ stateDir }: Scenario): Promise<void> {
  const status = await readFile(join(stateDir, 'status.json'), 'utf8');
  expect(schemas.status(JSON.parse(status)), JSON.stringify(schemas.status.errors)).toBe(true);
  const lines = (await readFile(join(stateDir, 'journal.jsonl'), 'utf8')).split('\n').slice(0, -1);
  expect(lines.length).toBeGreaterThan(0);
  for (const line of lines)
    expect(schemas.journal(JSON.parse(line)), `${line}: ${JSON.stringify(schemas.journal.errors)}`).toBe(
      true,
    );
}

/**
 * Nothing was lost and nothing was answered by the wrong version. With `reloaded`, nginx was meanwhile: that
 * may reset idle kept connections (DESIGN section 3), and no client that never retries is spared it.
 */
export function expectUnnoticed(
  client: Pick<Client, 'counts'>,
  { reloaded = false, atLeast = 50 } = {},
): void {
  const { sent, failed, wrong, reasons } = client.counts();
  const lost = failed - (reloaded ? resetsIn(reasons) : 0);
  expect({ lost, wrong }, JSON.stringify(reasons)).toEqual({ lost: 0, wrong: 0 });
  expect(sent).toBeGreaterThan(atLeast);
}

/** Requests whose kept connection was reset: what a reload of nginx does to idle ones. */
export function resetsIn(reasons: Counts['reasons']): number {
  const resets = Object.entries(reasons).filter(([reason]) =>
    / over a kept connection: ECONNRESET$/.test(reason),
  );
  return resets.reduce((sum, [, count]) => sum + count, 0);
}

/** Release containers that the engine started, and how many of them were on at most at the same time. */
export async function releases(
  scenario: Scenario,
  sinceMs?: number,
): Promise<{ readonly started: number; readonly atOnce: number }> {
  let running = 0;
  let atOnce = 0;
  let started = 0;
  for (const action of await scenario.engineActions(sinceMs)) {
    if (!action.endsWith('-release')) continue;
    if (action.startsWith('start ')) {
      started += 1;
      running += 1;
    }
    if (action.startsWith('die ')) running -= 1;
    atOnce = Math.max(atOnce, running);
  }
  return { started, atOnce };
}

/** Journal records that announce or report an effect. */
export function effects(journal: readonly JournalRecord[]): readonly JournalRecord[] {
  return journal.filter(({ type }) => type !== 'controller' && type !== 'sync');
}

/** Contents of every file below `folder`, by path. */
export async function contentsOf(folder: string): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    // Files may go while we look.
    found.set(path, await readFile(path, 'latin1').catch(() => ''));
  }
  return found;
}

async function filesIn(folder: string): Promise<readonly string[]> {
  return (await readdir(folder)).filter((name) => !name.startsWith('.'));
}
