import { assembleDesired } from '../../src/manifest/assemble.js';
import { parseManifests } from '../../src/manifest/parse.js';
import type { DesiredState, Project } from '../../src/manifest/project.js';
import type { Behaviour } from './world/engine.js';
import { behaviourOf, idOf } from './world/runtime.js';
import type { World } from './world/world.js';

/** Without an effect for this long, a full look included, the world is at rest. */
const quietMs = 6 * 60_000;
/** Q1: within this much it has to come to rest. */
const longestMs = 4 * 3_600_000;
const mostEffects = 2_000;

/** Runs until nothing happens any more (Q1). */
export async function runToRest(world: World): Promise<void> {
  const { scheduler, effects } = world;
  const end = scheduler.time + longestMs;
  effects.lastMutationAt = scheduler.time;
  const before = effects.mutations;
  while (scheduler.time < end && effects.violations.length === 0) {
    await scheduler.runUntil(
      Math.min(end, effects.lastMutationAt + quietMs),
      () => effects.violations.length > 0 || effects.mutations - before > mostEffects,
    );
    if (scheduler.time >= effects.lastMutationAt + quietMs) return;
    if (effects.mutations - before > mostEffects) break;
  }
  if (effects.violations.length === 0)
    effects.violate('Q1 it does not come to rest within 4 hours and 2,000 effects');
}

export function desiredOf(world: World): DesiredState {
  const { tip, commits } = world.git;
  const files = [...(commits.get(tip ?? '') ?? [])].map(([file, text]) =>
    parseManifests(file, Buffer.from(text)),
  );
  const sites = [...world.router.sites.values()].map(({ site }) => site);
  const live = {
    names: new Map(sites.map(({ project }) => [project, null])),
    domains: new Map(
      sites.flatMap(({ project, route }) => route.domains.map((domain) => [domain, project] as const)),
    ),
  };
  return assembleDesired(tip ?? '', files, { baseDomain: 'example.com', live });
}

/** What has to hold when desired is fixed and faults are over (Q1, Q2, Q4). */
export function checkRest(world: World): void {
  const { effects, router, engine } = world;
  const desired = desiredOf(world);
  for (const { project } of desired.projects.values()) if (!project.suspend) checkProject(world, project);
  const known = new Set([...desired.projects.keys(), ...desired.invalid.keys()]);
  const isHeld =
    desired.removalsHeldBecause !== null || (world.git.commits.get(world.git.tip ?? '')?.size ?? 0) === 0;
  const there = [
    ...engine.ours().map(({ labels }) => labels?.project ?? ''),
    ...engine.networks.keys(),
    ...router.sites.keys(),
  ];
  // A domain that a partner who cannot become live waits for holds up the removal of its owner too.
  const waits =
    !areAllSound(world) &&
    Object.values(world.status?.projects ?? {}).some(({ reason }) => reason === 'DomainHeld');
  for (const project of there)
    if (!known.has(project) && !isHeld && !waits)
      effects.violate(`Q4 ${project} is gone from the repository and still here`);
  for (const path of world.disk.names.keys())
    if (path.endsWith('.tmp')) effects.violate(`Q4 left behind: ${path}`);
}

/** Whether the newest source of the project can become live at all. */
export function isSound(world: World, project: Project): boolean {
  const behaviour = behaviourOfProject(world, project);
  return (
    behaviour === 'ok' || behaviour === 'slow' || (behaviour === 'bad-release' && project.release === null)
  );
}

function behaviourOfProject({ git }: World, { source }: Project): Behaviour | undefined {
  if (source.kind === 'image') return behaviourOf(source.image);
  const app = git.apps.get(source.repo);
  return app?.commits.get(source.commit ?? app.tip)?.behaviour;
}

/** What falls ill later: a first deployment has no bake. */
function mayBeLive(world: World, project: Project): boolean {
  return behaviourOfProject(world, project) === 'sick';
}

function areAllSound(world: World): boolean {
  const { projects, invalid } = desiredOf(world);
  return (
    invalid.size === 0 &&
    [...projects.values()].every(({ project }) => !project.suspend && isSound(world, project))
  );
}

function checkProject(world: World, project: Project): void {
  const { effects, router, engine, status, git } = world;
  const { name } = project;
  const stand = status?.projects[name];
  const upstream = router.upstream(name);
  const live = upstream === null ? null : engine.at(upstream.split(':')[0] as string);
  if (isSound(world, project)) {
    // A domain that moves waits for a partner that cannot become live, also with a first route.
    if (live === null && stand?.state === 'progressing' && !areAllSound(world)) return;
    if (live === null)
      return effects.violate(`Q1 ${name} is not served (${stand?.state}: ${stand?.message})`);
    const app = project.source.kind === 'git' ? git.apps.get(project.source.repo) : undefined;
    const wanted = project.source.kind === 'git' ? (project.source.commit ?? app?.tip) : null;
    if (live.labels?.sourceCommit !== wanted)
      effects.violate(
        `Q1 ${name} serves source ${live.labels?.sourceCommit?.slice(0, 7)}, not ${wanted?.slice(0, 7)} (${stand?.state}: ${stand?.message})`,
      );
    if (project.source.kind === 'image' && live.facts.image !== idOf(project.source.image))
      effects.violate(`Q1 ${name} does not run ${project.source.image}`);
    if (live.labels?.revision !== stand?.desired?.revision)
      effects.violate(
        `Q1 ${name} serves another revision than is wanted (${stand?.state}: ${stand?.message})`,
      );
    // A trade of domains waits for a partner that cannot become live.
    if (stand?.state === 'progressing' && !areAllSound(world)) return;
    if (stand?.state !== 'live')
      effects.violate(`S14 ${name} is live, status says ${stand?.state}: ${stand?.message}`);
    const domains = router.loaded.get(name)?.route.domains.join(' ');
    if (domains !== project.route.domains.join(' ')) effects.violate(`Q1 ${name} is served at ${domains}`);
  } else if (stand?.state === 'live' && !mayBeLive(world, project))
    effects.violate(`S14 ${name} cannot be live, status says so`);
  if (live !== null && live.facts.restartPolicy !== 'unless-stopped')
    effects.violate(`Q1 ${name}: the live container has restart policy ${live.facts.restartPolicy}`);
  const others = engine.ours(name).filter((container) => container !== live);
  // A revision that failed keeps what it would go back to, as long as that does not pass its probes.
  if (isSound(world, project))
    for (const { facts } of others) effects.violate(`Q4 ${facts.name} (${facts.state}) is left over`);
  const files = (['blue', 'green'] as const).filter((slot) => router.switches.has(`${name}.${slot}`));
  if (files.length > 1) effects.violate(`Q4 ${name} has both switch files`);
}

/** The end state in words that do not depend on ids, slots or the way there (Q2). */
export function endState(world: World): string {
  const { router, engine, git } = world;
  const lines = [...router.loaded.keys()].map((name) => {
    const upstream = router.upstream(name);
    const live = upstream === null ? null : engine.at(upstream.split(':')[0] as string);
    return `${name} ${router.loaded.get(name)?.route.domains.join(',')} ${live?.labels?.sourceCommit} ${live?.labels?.revision} ${live?.facts.restartPolicy}`;
  });
  return [
    ...lines.sort(),
    `containers ${engine.ours().length}`,
    `networks ${engine.networks.size}`,
    `tip ${git.tip}`,
  ].join('\n');
}
