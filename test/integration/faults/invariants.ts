/**
 * The invariants that can be seen from the outside, on the real engine, nginx and state directory:
 *
 *   S4   nginx takes its files as they stand on the disk
 *   S5   at most two slots and one network a project, by name and by address
 *   S6   containers of others, one without a label and one of another instance, are as they were
 *   S8   every journal record that was seen once is still there, and there is no gap
 *   S10  a second controller is refused
 *   S11  the container that answers leads back to its commits, its image and its revision
 *   S14  status is complete by its schema, and the container that it calls live is the one that
 *        answers through nginx, with the revision and the commit that status names
 *   Q1   where nothing is wanted any more, nothing is done
 *   Q4   nothing is left of a project that was removed
 *
 * Each one that is broken is counted by the sum of the run, and fails the test. Requests that are lost
 * or answered wrongly (S1, S2, Q5) are the clients' to count, and `expectAtRest` sees Q2.
 */
import { execFile } from 'node:child_process';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type Docker from 'dockerode';
import { expect } from 'vitest';
import type { Status } from '../../../src/record/status.generated.js';
import { readJournal } from '../../../src/record/journal.js';
import { loadSchema } from '../../../src/schemas.js';
import type { Application } from '../../support/application.js';
import type { Controller } from '../../support/controller.js';
import { engine } from '../../support/engine.js';
import { git } from '../../support/git.js';
import type { Scenario } from '../../support/scenario.js';
import { expectSettled } from '../../support/settled.js';
import { note } from './report.js';

const execute = promisify(execFile);
const label = (name: string): string => `dev.pointsman.${name}`;
const isStatus = new Ajv2020({ allowUnionTypes: true }).compile<Status>(loadSchema('status'));

/** A check adds one sentence for each thing that is not as it has to be. */
type Say = (broken: string) => void;

export class Invariants {
  /** Containers that are no business of the controller's, as they were. */
  readonly #bystanders = new Map<string, string>();
  readonly #seen = new Set<string>();

  private constructor(
    private readonly scenario: Scenario,
    private readonly applications: Readonly<Record<string, Application>>,
    private readonly docker: Docker,
  ) {}

  /** `applications` by name of their project. `docker` is an engine that may die: then what runs there may stop. */
  static async watch(
    scenario: Scenario,
    applications: Readonly<Record<string, Application>>,
    docker: Docker = engine,
  ): Promise<Invariants> {
    const invariants = new Invariants(scenario, applications, docker);
    const [project = ''] = Object.keys(applications);
    const other = { [label('instance')]: `${scenario.instance}-other`, [label('project')]: project };
    await invariants.#addBystander('plain', {});
    await invariants.#addBystander('labelled', { ...other, [label('slot')]: 'blue' });
    return invariants;
  }

  /** All of them, at rest. Records that a journal lost on purpose are to be forgotten first. */
  async look(): Promise<void> {
    await this.#check([
      (say) => this.#nginxFiles(say),
      (say) => this.#slots(say),
      (say) => this.#strangers(say),
      (say) => this.#journal(say),
      (say) => this.#status(say),
    ]);
  }

  forgetJournal(): void {
    this.#seen.clear();
  }

  /** The end of a test: at rest, then stopped and without work, then removed, and nothing is left. */
  async end(controller: Controller): Promise<void> {
    const { scenario } = this;
    await this.look();
    await this.#check([(say) => this.#oneWriter(say)]);
    await controller.stop();
    await this.#check([(say) => this.#settled(say)]);
    const last = scenario.start();
    const manifests = Object.keys(this.applications).map((name) => [`projects/${name}.yaml`, null] as const);
    const commit = await scenario.config.commit(Object.fromEntries(manifests), 'Remove all');
    await last.waitFor('the removal is held', ({ status }) =>
      status?.problems.some(({ message }) => message.includes(`prune --confirm ${commit}`)),
    );
    const { code, stderr } = await scenario.pointsman('prune', '--confirm', commit);
    expect([code, stderr]).toEqual([0, '']);
    await last.waitFor(
      'all is removed',
      ({ status }) => status !== null && Object.keys(status.projects).length === 0,
    );
    await last.stop();
    await this.#check([
      (say) => this.#leftOver(say),
      (say) => this.#strangers(say),
      (say) => this.#journal(say),
    ]);
  }

  /** Takes the bystanders away. */
  async close(): Promise<void> {
    for (const id of this.#bystanders.keys())
      await this.docker
        .getContainer(id)
        .remove({ force: true })
        .catch(() => undefined);
  }

  async #check(checks: readonly ((say: Say) => Promise<void>)[]): Promise<void> {
    const broken: string[] = [];
    for (const check of checks) await check((sentence) => broken.push(sentence));
    await note({ kind: 'invariants', checked: checks.length, broken });
    expect(broken).toEqual([]);
  }

  async #addBystander(word: string, labels: Readonly<Record<string, string>>): Promise<void> {
    const container = await this.docker.createContainer({
      // A name as the controller would give it.
      name: `pointsman-${word}-${this.scenario.id}-blue`,
      Image: 'node:base',
      Cmd: ['sleep', '1000000'],
      Labels: labels,
      HostConfig: { NetworkMode: 'none' },
    });
    await container.start();
    this.#bystanders.set(container.id, await this.#looksOf(container.id));
  }

  async #looksOf(id: string): Promise<string> {
    const { Name, State, RestartCount, HostConfig } = await this.docker.getContainer(id).inspect();
    const isMortal = this.docker !== engine;
    return JSON.stringify([
      Name,
      HostConfig.RestartPolicy?.Name,
      ...(isMortal ? [] : [RestartCount, State.Status, State.StartedAt]),
    ]);
  }

  async #nginxFiles(say: Say): Promise<void> {
    const main = join(this.scenario.stateDir, 'nginx', 'nginx.conf');
    await execute('nginx', ['-t', '-q', '-c', main]).catch((error: Error) => say(`S4: ${error.message}`));
  }

  async #oneWriter(say: Say): Promise<void> {
    const { code, stderr } = await this.scenario.pointsman('run', '--once');
    if (code !== 2) say(`S10: a second controller ended with status ${code}: ${stderr}`);
  }

  async #settled(say: Say): Promise<void> {
    await expectSettled(this.scenario).catch((error: Error) => say(`Q1: ${error.message}`));
  }

  async #strangers(say: Say): Promise<void> {
    for (const [id, before] of this.#bystanders) {
      const now = await this.#looksOf(id).catch((error: unknown) => String(error));
      if (now !== before) say(`S6: somebody else's container was ${before} and is ${now}`);
    }
  }

  async #slots(say: Say): Promise<void> {
    const filters = { label: [`${label('instance')}=${this.scenario.instance}`] };
    const [containers, networks] = await Promise.all([
      this.docker.listContainers({ all: true, filters }),
      this.docker.listNetworks({ filters }),
    ]);
    for (const project of Object.keys(this.applications)) {
      const own = containers.filter(({ Labels }) => Labels[label('project')] === project);
      const names = own.map(({ Names }) => Names.join(' ')).sort();
      const slots = own.filter(({ Labels }) => /^(blue|green)$/.test(Labels[label('slot')] ?? ''));
      const allowed = ['blue', 'green', 'release'].map((role) => `/pointsman-${project}-${role}`);
      if (slots.length > 2 || names.some((name) => !allowed.includes(name)))
        say(`S5: ${project} has ${names.join(', ')}`);
      const addresses = own
        .map(({ NetworkSettings }) => Object.values(NetworkSettings.Networks)[0]?.IPAddress ?? '')
        .filter((address) => address !== '');
      if (new Set(addresses).size !== addresses.length) say(`S5: ${project} uses ${addresses.join(', ')}`);
      const nets = networks.filter(({ Labels }) => Labels?.[label('project')] === project);
      if (nets.length > 1) say(`S5: ${project} has ${nets.length} networks`);
    }
    const known = Object.keys(this.applications);
    for (const { Names, Labels } of containers)
      if (!known.includes(Labels[label('project')] ?? ''))
        say(`S5: ${Names.join(' ')} belongs to no known project`);
  }

  async #journal(say: Say): Promise<void> {
    const now = new Set<string>();
    let last: number | null = null;
    for await (const record of readJournal(this.scenario.stateDir)) {
      if (last !== null && record.seq !== last + 1) say(`S8: record ${record.seq} follows record ${last}`);
      last = record.seq;
      now.add(JSON.stringify(record));
    }
    for (const record of this.#seen) if (!now.has(record)) say(`S8: the journal lost ${record}`);
    for (const record of now) this.#seen.add(record);
  }

  async #status(say: Say): Promise<void> {
    const text = await readFile(join(this.scenario.stateDir, 'status.json'), 'utf8');
    const status = JSON.parse(text) as unknown;
    if (!isStatus(status)) return say(`S14: status is none: ${JSON.stringify(isStatus.errors)}`);
    for (const [project, application] of Object.entries(this.applications)) {
      const live = status.projects[project]?.live ?? null;
      const { status: code, headers, body } = await this.scenario.get(`${project}.localhost`, '/env');
      if (code !== 200 || live === null) {
        if ((code === 200) !== (live !== null))
          say(`S14: ${project} answers ${code}, and status says ${JSON.stringify(live)}`);
        continue;
      }
      // A container is its own host's name.
      const { HOSTNAME: answering = '' } = JSON.parse(body) as { readonly HOSTNAME?: string };
      if (answering === '' || live.container?.startsWith(answering) !== true)
        say(`S14: ${project} is answered by ${answering}, and status says ${live.container}`);
      const { Config, Image } = await this.docker.getContainer(answering).inspect();
      const runs = [label('revision'), label('source-commit')].map((key) => Config.Labels[key]);
      const said = [live.revision, live.sourceCommit, live.image];
      if ([...runs, Image].join(' ') !== said.join(' '))
        say(`S11: ${project} runs ${[...runs, Image].join(' ')}, and status says ${said.join(' ')}`);
      const configCommit = Config.Labels[label('config-commit')] ?? '';
      const kind = await git(this.scenario.config.path, 'cat-file', '-t', configCommit).catch(String);
      if (kind !== 'commit') say(`S11: ${project} runs by ${configCommit}, which is no commit: ${kind}`);
      const version = await git(application.path, 'show', `${live.sourceCommit}:version.txt`);
      if (version.trim() !== headers['x-version'])
        say(`S14: ${project} answers with ${String(headers['x-version'])}, its commit is ${version.trim()}`);
    }
  }

  async #leftOver(say: Say): Promise<void> {
    const filters = { label: [`${label('instance')}=${this.scenario.instance}`] };
    const containers = await this.docker.listContainers({ all: true, filters });
    const networks = await this.docker.listNetworks({ filters });
    for (const { Names } of containers) say(`Q4: ${Names.join(' ')} is left`);
    for (const { Name } of networks) say(`Q4: network ${Name} is left`);
    const files = await readdir(this.scenario.stateDir, { recursive: true });
    for (const file of files)
      if (file.endsWith('.tmp') || /^nginx\/(sites|switch)\/[^.]/.test(file)) say(`Q4: ${file} is left`);
  }
}
