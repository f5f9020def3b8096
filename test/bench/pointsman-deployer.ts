import { watch } from 'node:fs';
import type { Controller } from '../support/controller.js';
import { RefMover } from '../support/git.js';
import { createScenario, type Scenario } from '../support/scenario.js';
import { drainMs, healthIntervalMs, type Deployer } from './deployer.js';
import { MeasuredProject, createApplication } from './project.js';
import { asUnit, type AsUnit } from './unit.js';

const longestMs = 120_000;
const branch = 'refs/heads/main';

/** Real commits to a config repository, and the real controller. */
export class PointsmanDeployer implements Deployer {
  readonly name = 'pointsman';
  readonly host: string;
  readonly port: number;
  readonly #project: MeasuredProject;

  private constructor(
    private readonly scenario: Scenario,
    private readonly controller: Controller,
    project: string,
    /** Commits of the versions to come. */
    private readonly commits: string[],
    private readonly refs: RefMover,
    private readonly unit: AsUnit,
  ) {
    this.#project = new MeasuredProject(scenario, controller, project);
    this.host = `${project}.localhost`;
    this.port = scenario.ports.listen;
  }

  /**
   * For these deployments, in this order: commits are made on another machine as a rule and only arrive
   * here, so they are made before the load.
   */
  static async create(versions: readonly string[]): Promise<PointsmanDeployer> {
    const scenario = await createScenario({ settings: { log: { level: 'info' } } });
    const refs = new RefMover(scenario.config.path);
    try {
      const application = await createApplication(`${scenario.folder}/application`);
      const source = { repo: application.path, commit: await application.head() };
      const project = scenario.name('swap');
      const { config } = scenario;
      const start = await config.head();
      const commits: string[] = [];
      for (const version of versions)
        commits.push(await scenario.commitManifest(project, null, manifestOf(version, source)));
      await refs.move(branch, start);
      const controller = scenario.start();
      // The controller alone gets that share: nginx, which it has started by then, is a unit of its own as installed.
      await controller.waitFor('nginx runs', ({ status }) => status?.components.nginx.ok === true);
      const unit = await asUnit(controller.pid);
      return new PointsmanDeployer(scenario, controller, project, commits, refs, unit);
    } catch (error) {
      await refs.close();
      await scenario.cleanup();
      throw error;
    }
  }

  get notes(): readonly string[] {
    return this.unit.notes;
  }

  /** Traffic has moved when the bake begins; finished is what status calls live. */
  async deploy(version: string, acknowledged?: () => void): Promise<void> {
    const commit = this.commits.shift();
    if (commit === undefined) throw new Error(`no commit was made for ${version}`);
    const isLive = async (): Promise<boolean> => {
      const found = await this.controller.project(this.#project.name);
      if (found?.desired?.configCommit !== commit) return false;
      const isDone = found.state === 'live' && found.live !== null;
      if (isDone || found.phase === 'baking') acknowledged?.();
      return isDone;
    };
    // Looks when there is something new: a poll would be a load of its own.
    const watcher = watch(this.scenario.stateDir);
    try {
      const live = new Promise<void>((resolve, reject) => {
        watcher.on('change', (_, name) => {
          if (name === 'status.json') isLive().then((yes) => yes && resolve(), reject);
        });
        watcher.once('error', reject);
        AbortSignal.timeout(longestMs).onabort = () =>
          reject(new Error(`${version} is not live within ${longestMs} ms`));
      });
      await Promise.all([live, this.refs.move(branch, commit)]);
    } finally {
      watcher.close();
    }
  }

  async rest(): Promise<void> {
    await this.#project.settled({ alone: false });
  }

  async close(): Promise<void> {
    try {
      await this.refs.close();
      await this.scenario.cleanup();
    } finally {
      await this.unit.remove();
    }
  }
}

function manifestOf(
  version: string,
  source: { readonly repo: string; readonly commit: string },
): Record<string, unknown> {
  return {
    source,
    run: { env: { VERSION: version }, volumes: [{ name: 'seen', path: '/seen' }] },
    health: { interval: `${healthIntervalMs}ms`, bake: '300ms' },
    rollout: { drain: `${drainMs}ms`, keepPrevious: '10m' },
  };
}
