import { createScenario, type Fields, type Scenario } from '../support/scenario.js';
import { BareEngine } from './bare-engine.js';
import type { Benchmark, Form, Result } from './benchmark.js';
import { interleave, median, timed } from './numbers.js';
import { MeasuredProject, createApplication, phasesOf } from './project.js';

const rounds: Readonly<Record<Form, number>> = { full: 25, short: 2 };

/** `git commit` returning → first answer of the new version through nginx, against the bare engine. */
export const commitToLive: Benchmark = {
  name: 'commit-to-live',
  shows: 'how long after `git commit` the new version answers, against the bare engine doing the same',
  async run(form, say) {
    const bare = await BareEngine.create();
    const scenario = await createScenario();
    try {
      return await measure(scenario, bare, rounds[form], say);
    } finally {
      await scenario.cleanup();
      await bare.close();
    }
  },
};

async function measure(
  scenario: Scenario,
  bare: BareEngine,
  count: number,
  say: (line: string) => void,
): Promise<Result> {
  const application = await createApplication(`${scenario.folder}/application`);
  const repo = { repo: application.path, commit: await application.head() };
  const controller = scenario.start();
  const project = new MeasuredProject(scenario, controller, scenario.name('live'));
  let version = 0;
  /** A version by its environment alone, or by a new image whose every layer is in the cache. */
  const live = async (more: Fields, alone: boolean): Promise<number> => {
    version += 1;
    const own = {
      source: repo,
      run: { env: { VERSION: `v${version}` } },
      health: { interval: null, bake: '200ms' },
      rollout: { keepPrevious: alone ? '0s' : '10m' },
      ...more,
    };
    await project.commit(own);
    const ms = await project.untilAnswered(`v${version}`);
    await project.settled({ alone });
    return ms;
  };
  say('first deployment');
  await live({}, true);
  say(`${count} rounds`);
  const samples = await interleave(count, {
    'image at hand (ms)': () => live({}, true),
    'bare create, start, first 200 (ms)': (round) => bare.firstAnswer(`bare${round}`),
    'cached build (ms)': (round) => live({ build: { args: { ROUND: `${round}` } } }, true),
    'bare cached build (ms)': () => timed(() => bare.build()),
  });
  // The slot still holds the version before the last, kept for a revert: it is cleared first.
  await live({}, false);
  const occupied = await interleave(count, {
    'image at hand, idle slot held by a kept version (ms)': () => live({}, false),
  });
  return judge({ ...samples, ...occupied, ...(await phasesOf(controller, project.name)) });
}

function judge(samples: Readonly<Record<string, readonly number[]>>): Result {
  const middle = (series: string): number => median(samples[series] ?? []);
  const bare = middle('bare create, start, first 200 (ms)');
  const withBuild = bare + middle('bare cached build (ms)');
  const goals = [
    { name: 'image at hand ÷ bare engine', value: middle('image at hand (ms)') / bare, atMost: 1.25 },
    {
      name: 'cached build ÷ (bare engine + bare build)',
      value: middle('cached build (ms)') / withBuild,
      atMost: 1.25,
    },
  ];
  const ratios = Object.fromEntries(goals.map(({ name, value }) => [name, value]));
  return { samples, counts: {}, mustBeZero: [], ratios, goals };
}
