import type { Fields, Scenario } from '../support/scenario.js';
import { besideBareEngine, type BareEngine } from './bare-engine.js';
import type { Benchmark, Form, Result } from './benchmark.js';
import { interleave, median, timed } from './numbers.js';
import { MeasuredProject, createApplication } from './project.js';

const atHand = 'image at hand (ms)';
const cached = 'cached build (ms)';
const slotHeld = 'image at hand, idle slot held by a kept version (ms)';
const bareStart = 'bare create, start, first 200 (ms)';
const bareBuild = 'bare cached build (ms)';
const rounds: Readonly<Record<Form, number>> = { full: 25, short: 2 };

/** `git commit` returning → first answer of the new version through nginx, against the bare engine. */
export const commitToLive: Benchmark = {
  name: 'commit-to-live',
  shows: 'how long after `git commit` the new version answers, against the bare engine doing the same',
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
  const phases: Record<string, number[]> = {};
  let version = 0;
  /**
   * A project of its own, and what deploys a version of it: by its environment alone, or by a new image whose
   * every layer is in the cache. Of what has a name, the phases are kept.
   */
  const projectOf = (
    word: string,
    keepPrevious: string,
  ): ((name?: string, more?: Fields) => Promise<number>) => {
    const project = new MeasuredProject(scenario, controller, scenario.name(word));
    return async (name, more = {}) => {
      version += 1;
      const own = {
        source,
        run: { env: { VERSION: `v${version}` } },
        health: { interval: null, bake: '200ms' },
        rollout: { keepPrevious },
      };
      await project.commit({ ...own, ...more });
      const ms = await project.untilAnswered(`v${version}`);
      const { lastDeployment } = await project.settled({ alone: keepPrevious === '0s' });
      for (const [phase, took] of Object.entries(lastDeployment?.phases ?? {}))
        if (name !== undefined && phase !== 'baking') (phases[`${name}, ${phase} (ms)`] ??= []).push(took);
      return ms;
    };
  };
  say('first deployments');
  const alone = projectOf('alone', '0s');
  await alone();
  const kept = projectOf('kept', '10m');
  await kept();
  await kept();
  say(`${count} rounds`);
  const samples = await interleave(count, {
    [atHand]: () => alone('image at hand'),
    [bareStart]: (round) => bare.firstAnswer(`bare${round}`),
    [cached]: (round) => alone('cached build', { build: { args: { ROUND: `${round}` } } }),
    [bareBuild]: () => timed(() => bare.build()),
    [slotHeld]: () => kept('slot held'),
  });
  return judge({ ...samples, ...phases });
}

function judge(samples: Readonly<Record<string, readonly number[]>>): Result {
  const middle = (series: string): number => median(samples[series] ?? []);
  const floor = middle(bareStart);
  const goals = [
    { name: 'image at hand ÷ bare engine', value: middle(atHand) / floor, atMost: 1.25 },
    {
      name: 'cached build ÷ (bare engine + bare build)',
      value: middle(cached) / (floor + middle(bareBuild)),
      atMost: 1.25,
    },
  ];
  const ratios = {
    ...Object.fromEntries(goals.map(({ name, value }) => [name, value])),
    'image at hand, idle slot held by a kept version ÷ bare engine': middle(slotHeld) / floor,
  };
  const notes = [
    'a slot that is held is emptied before `starting`: the end of the kept version counts as `queued`',
  ];
  return { samples, counts: {}, mustBeZero: [], ratios, goals, notes };
}
