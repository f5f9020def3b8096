import { setTimeout as delay } from 'node:timers/promises';
import { createScenario, type Scenario } from '../support/scenario.js';
import type { Controller } from '../support/controller.js';
import { drainMs, healthIntervalMs, type Deployer } from './deployer.js';
import { MeasuredProject, createApplication } from './project.js';

const lookEveryMs = 25;
const longestMs = 120_000;

/** Real commits to a config repository, and the real controller. */
export class PointsmanDeployer implements Deployer {
  readonly name = 'pointsman';
  readonly host: string;
  readonly port: number;
  readonly #project: MeasuredProject;

  private constructor(
    private readonly scenario: Scenario,
    private readonly controller: Controller,
    private readonly source: { readonly repo: string; readonly commit: string },
  ) {
    this.#project = new MeasuredProject(scenario, controller, scenario.name('swap'));
    this.host = `${this.#project.name}.localhost`;
    this.port = scenario.ports.listen;
  }

  static async create(): Promise<PointsmanDeployer> {
    const scenario = await createScenario();
    try {
      const application = await createApplication(`${scenario.folder}/application`);
      const source = { repo: application.path, commit: await application.head() };
      return new PointsmanDeployer(scenario, scenario.start(), source);
    } catch (error) {
      await scenario.cleanup();
      throw error;
    }
  }

  async deploy(version: string): Promise<void> {
    await this.#project.commit({
      source: this.source,
      run: { env: { VERSION: version }, volumes: [{ name: 'seen', path: '/seen' }] },
      health: { interval: `${healthIntervalMs}ms`, bake: '300ms' },
      rollout: { drain: `${drainMs}ms`, keepPrevious: '10m' },
    });
    const commit = await this.scenario.config.head();
    for (const end = performance.now() + longestMs; ; await delay(lookEveryMs)) {
      const found = await this.controller.project(this.#project.name);
      if (found?.state === 'live' && found.live !== null && found.desired?.configCommit === commit) return;
      if (performance.now() > end) throw new Error(`${version} is not live within ${longestMs} ms`);
    }
  }

  async rest(): Promise<void> {
    await this.#project.settled({ alone: false });
  }

  close(): Promise<void> {
    return this.scenario.cleanup();
  }
}
