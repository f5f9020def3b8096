import type { Scenario } from '../support/scenario.js';
import { besideBareEngine, type BareEngine } from './bare-engine.js';
import type { Benchmark, Form, Result } from './benchmark.js';
import { interleave, median, timed } from './numbers.js';
import { MeasuredProject, createApplication } from './project.js';

const rounds: Readonly<Record<Form, number>> = { full: 25, short: 2 };

/** `git revert` returning → first answer of the old version through nginx. */
export const rollback: Benchmark = {
  name: 'rollback',
  shows: 'how long after `git revert` the old version answers, inside and outside of `keepPrevious`',
  run: (form, say) => besideBareEngine((scenario, bare) => measure(scenario, bare, rounds[form], say)),
};

async function measure(
  scenario: Scenario,
  bare: BareEngine,
  count: number,
  say: (line: string) => void,
): Promise<Result> {
  const application = await createApplication(`${scenario.folder}/application`);
  const source = { repo: application.path, commit: await application.head() };
  const controller = scenario.start();
  /** A project between two versions; every revert goes to the other one. */
  const between = async (word: string, keepPrevious: string): Promise<() => Promise<number>> => {
    const alone = keepPrevious === '0s';
    const project = new MeasuredProject(scenario, controller, scenario.name(word));
    const of = (version: string): Parameters<typeof project.commit>[0] => ({
      source,
      run: { env: { VERSION: version } },
      health: { interval: null, bake: '200ms' },
      rollout: { keepPrevious },
    });
    let version = 0;
    for (; version < 2; version += 1) {
      await project.commit(of(`v${version}`));
      await project.settled({ alone });
    }
    return async () => {
      await project.revert();
      const ms = await project.untilAnswered(`v${version % 2}`);
      version += 1;
      await project.settled({ alone });
      return ms;
    };
  };
  say('first deployments');
  const warm = await between('warm', '10m');
  const cold = await between('cold', '0s');
  const container = await bare.make('bare');
  try {
    say(`${count} rounds`);
    const samples = await interleave(count, {
      'warm (ms)': warm,
      'bare docker start (ms)': async () => {
        const ms = await timed(() => container.start());
        await container.kill();
        await container.wait();
        return ms;
      },
      'cold (ms)': cold,
      'bare create, start, first 200 (ms)': (round) => bare.firstAnswer(`bare${round}`),
    });
    return judge(samples);
  } finally {
    await container.remove({ force: true });
  }
}

function judge(samples: Readonly<Record<string, readonly number[]>>): Result {
  const middle = (series: string): number => median(samples[series] ?? []);
  const goals = [
    {
      name: 'warm ÷ bare docker start',
      value: middle('warm (ms)') / middle('bare docker start (ms)'),
      atMost: 0.3,
    },
    {
      name: 'cold ÷ bare engine',
      value: middle('cold (ms)') / middle('bare create, start, first 200 (ms)'),
      atMost: 1.25,
    },
  ];
  const ratios = Object.fromEntries(goals.map(({ name, value }) => [name, value]));
  return { samples, counts: {}, mustBeZero: [], ratios, goals };
}
