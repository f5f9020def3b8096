import { reactionTo } from '../../../src/errors.js';
import type { ErrorCode } from '../../../src/errors.js';
import type { ContainerSpec, ImageFacts } from '../../../src/runtime/port.js';
import type { Status } from '../../../src/record/status.generated.js';
import type { SwitchRecord } from '../../../src/router/port.js';
import type { SimulatedContainer } from './engine.js';
import type { World } from './world.js';

/** Every manifest of the simulation has this `rollout.drain`. */
export const drainMs = 5_000;
const port = 3000;
/** A switch that cannot be verified is taken back at once. */
const putBackMs = 1_000;
/** `retries.attempts` of the simulation's settings. */
export const settledAttempts = 3;
/** Every secret's value begins with it. */
export const canary = 'canary-';

interface Claim {
  readonly revision: string;
  /** When its switch file went. */
  readonly goneAt: number | null;
}

interface Served {
  readonly revision: string;
  /** Image and settings, without the secrets. */
  readonly contents: string;
}

/** Checks after each effect what DESIGN.md promises for every moment. */
export class Invariants {
  /** Container that each project's requests went to after the last effect. */
  readonly #routed = new Map<string, SimulatedContainer | null>();
  /** What each project's requests went to last. */
  readonly #lastServed = new Map<string, Served>();
  /** `<project> <slot> <revision>` of everything that ever was live. */
  readonly #everLive = new Set<string>();
  /** By `<project>.<slot>`: the revision that passed its probes before its switch file was made. */
  readonly #claims = new Map<string, Claim>();
  /** When each project's route last moved. */
  readonly #since = new Map<string, number>();
  #isByHand = false;

  constructor(private readonly world: World) {}

  /** Runs a change that the controller is not to blame for. */
  byHand(change: () => void): void {
    this.#isByHand = true;
    try {
      change();
      this.check();
    } finally {
      this.#isByHand = false;
    }
  }

  check(): void {
    const { router } = this.world;
    const projects = new Set([
      ...this.#routed.keys(),
      ...router.loaded.keys(),
      ...[...router.switches.keys()].map((key) => key.split('.')[0] as string),
    ]);
    this.#noteClaims();
    this.#checkUnique();
    for (const project of projects) this.#checkProject(project);
  }

  /** S12: what the controller says, writes down or hands to others is searched for the values of secrets. */
  checkSecrets(text: string, where: string): void {
    if (text.includes(canary)) this.world.effects.violate(`S12 a secret stands in ${where}`);
  }

  /** S11, S12: a container can be traced to its commits, and only its environment holds secrets. */
  onCreate({ name, labels, image, env, ...rest }: ContainerSpec): void {
    const { effects, git } = this.world;
    this.checkSecrets(JSON.stringify([labels, rest]), `${name}, outside of its environment`);
    const isTraced =
      git.commits.has(labels.configCommit) &&
      (labels.sourceCommit === null || git.hasCommit(labels.sourceCommit)) &&
      /^[0-9a-f]{12,}$/.test(labels.revision) &&
      image.startsWith('sha256:');
    if (!isTraced)
      effects.violate(
        `S11 ${name} cannot be traced: config ${labels.configCommit}, source ${labels.sourceCommit}, revision ${labels.revision}, image ${image}`,
      );
    if (env['PORT'] === undefined) effects.violate(`S11 ${name} is not told its port`);
  }

  /** S14: status says live only what was. S13: attempts end. */
  checkStatus(status: Status): void {
    for (const [project, { attempts, reason }] of Object.entries(status.projects))
      if ((attempts ?? 0) > settledAttempts && reason && reactionTo(reason as ErrorCode) === 'retry')
        this.world.effects.violate(`S13 attempt ${attempts} of ${project}: ${reason}`);
    for (const [project, { live }] of Object.entries(status.projects)) {
      if (
        live === null ||
        live === undefined ||
        this.#everLive.has(`${project} ${live.slot} ${live.revision}`)
      )
        continue;
      this.world.effects.violate(
        `S14 status says ${project} ${live.slot} ${live.revision.slice(0, 8)} is live, it never was`,
      );
    }
  }

  /** S2, S3, S6: what the controller stops or removes. */
  onStop(container: SimulatedContainer, verb: 'stop' | 'remove'): void {
    const { effects, router, scheduler } = this.world;
    const { labels, facts } = container;
    if (labels === null) return effects.violate(`S6 ${verb} of ${facts.name}, which is not ours`);
    if (facts.state !== 'running' || labels.role === 'release') return;
    const upstream = `${facts.address}:${port}`;
    if (router.upstream(labels.project) === upstream)
      effects.violate(`S2 ${verb} of ${facts.name}, which gets the requests`);
    const since = container.leftAt === null ? Infinity : scheduler.time - container.leftAt;
    if (router.holding(upstream) > 0 && since < drainMs)
      effects.violate(
        `S2 ${verb} of ${facts.name} with requests in flight, ${since} ms after it lost its traffic`,
      );
  }

  /** S3: images of what serves stay. */
  onRemoveImage(image: ImageFacts): void {
    for (const container of this.#routed.values())
      if (container?.facts.image === image.id && image.tags.length === 1)
        this.world.effects.violate(`S3 image of ${container.facts.name} is removed while it serves`);
  }

  #checkProject(project: string): void {
    const { router, scheduler } = this.world;
    const slot = router.slot(project);
    const record = slot === null ? null : router.switches.get(`${project}.${slot}`)?.record;
    if (record) this.#noteLive(project, record);
    const upstream = router.upstream(project);
    const container = upstream === null ? null : this.#holderOf(upstream.split(':')[0] as string);
    if (container !== null) this.#everLive.add(`${project} ${slot} ${container.labels?.revision}`);
    const before = this.#routed.get(project) ?? null;
    if (container === before) return;
    this.#routed.set(project, container);
    const isUndone = scheduler.time - (this.#since.get(project) ?? -Infinity) < putBackMs;
    this.#since.set(project, scheduler.time);
    if (before !== null) {
      before.leftAt = scheduler.time;
      this.#leaveRequests(before);
    }
    // A reload that was not confirmed is taken back, and with it the route that it had just brought.
    if (container === null) {
      if (!isUndone) this.#checkLost(project, upstream);
    } else this.#checkMove(project, before, container);
  }

  /** A project whose site has to wait is live by its switch file; repair may count on that. */
  #noteLive(project: string, { slot, revision }: SwitchRecord): void {
    this.#everLive.add(`${project} ${slot} ${revision}`);
    const container = this.world.engine.named(`pointsman-${project}-${slot}`);
    if (container?.earned === true && container.labels?.revision === revision)
      this.#lastServed.set(project, servedBy(container));
  }

  /** S5: two slots a project; addresses and domains belong to one. */
  #checkUnique(): void {
    const { engine, router, effects } = this.world;
    const roles = new Set<string>();
    for (const { labels, facts } of engine.ours()) {
      const role = `${labels?.project} ${labels?.role}`;
      if (roles.has(role)) effects.violate(`S5 ${facts.name} is the second container of ${role}`);
      roles.add(role);
    }
    const subnets = [...engine.networks.values()].map(({ subnet }) => subnet);
    if (new Set(subnets).size !== subnets.length) effects.violate(`S5 two networks at ${subnets.join(', ')}`);
    // A machine that boots in the middle of a batch serves what is on disk until the controller has started.
    if (router.isOfBoot) return;
    const domains = [...router.loaded.values()].flatMap(({ route }) => route.domains);
    if (new Set(domains).size !== domains.length) effects.violate(`S5 two sites serve ${domains.join(', ')}`);
  }

  /** What earned its switch file may be made again when somebody removes it, also after that file was put back. */
  #noteClaims(): void {
    const { router, engine, scheduler } = this.world;
    for (const [key, { record }] of router.switches) {
      const container = engine.named(`pointsman-${key.replace('.', '-')}`);
      const claim = this.#claims.get(key);
      if (record !== null && container?.earned === true && container.labels?.revision === record.revision)
        this.#claims.set(key, { revision: record.revision, goneAt: null });
      else if (claim !== undefined && claim.goneAt !== null && scheduler.time - claim.goneAt < putBackMs)
        this.#claims.set(key, { ...claim, goneAt: null });
    }
    for (const [key, claim] of this.#claims)
      if (claim.goneAt === null && !router.switches.has(key))
        this.#claims.set(key, { ...claim, goneAt: scheduler.time });
  }

  /** S1: a route moves only to what has just passed its probes. */
  #checkMove(project: string, before: SimulatedContainer | null, container: SimulatedContainer): void {
    const { effects, engine, scheduler } = this.world;
    const revision = container.labels?.revision ?? '';
    const claim = this.#claims.get(`${project}.${container.labels?.role}`);
    const isClaimed = claim?.goneAt === null && claim.revision === revision;
    const served = servedBy(container);
    const last = this.#lastServed.get(project);
    // Made again with other secrets it has a revision of its own; image and settings are those that served.
    const isRepair = isClaimed || last?.revision === served.revision || last?.contents === served.contents;
    const isPutBack = container.leftAt !== null && scheduler.time - container.leftAt < putBackMs;
    const isMove = before !== null && engine.containers.has(before.facts.id) && !isPutBack;
    if (!this.#isByHand && !isRepair && !container.earned)
      effects.violate(`S1 ${container.facts.name} gets requests before it passed its probes`);
    if (!this.#isByHand && isMove && container.streak < 2)
      effects.violate(`S1 traffic moves to ${container.facts.name}, which has not just passed its probes`);
    container.earned = true;
    container.leftAt = null;
    this.#lastServed.set(project, served);
  }

  /** A project that its manifests never gave up loses its route by no effect of the controller. */
  #checkLost(project: string, upstream: string | null): void {
    const { effects, git } = this.world;
    if (this.#isByHand || upstream !== null) return;
    const wasGivenUp = [...git.commits].some(([commit, files]) =>
      mayRemove(commit, files, project, git.confirmed),
    );
    if (!wasGivenUp)
      effects.violate(`S9 the route of ${project} goes although every commit has its manifest`);
  }

  /** Requests that are still being answered, or are about to connect. */
  #leaveRequests(container: SimulatedContainer): void {
    const { router, random, scheduler } = this.world;
    const upstream = `${container.facts.address}:${port}`;
    const { time } = scheduler;
    const hold = (afterMs: number, ms: number): void =>
      void router.connections.push({ upstream, from: time + afterMs, until: time + ms });
    hold(30, 300);
    if (random.chance(0.4)) hold(0, random.below(2_000));
    if (random.chance(0.1)) hold(0, 60_000);
  }

  #holderOf(address: string): SimulatedContainer | null {
    for (const container of this.world.engine.containers.values())
      if (
        container.facts.address === address &&
        container.labels !== null &&
        container.labels.role !== 'release'
      )
        return container;
    return null;
  }
}

/** Whether a commit gives the project up: readable as a whole and without its manifest, or released by a person. */
function mayRemove(
  commit: string,
  files: ReadonlyMap<string, string>,
  project: string,
  confirmed: ReadonlySet<string>,
): boolean {
  const isNamed = [...files].some(
    ([path, text]) => path === `projects/${project}.yaml` && text.includes(`name: ${project}`),
  );
  if (isNamed) return false;
  const isReadable = files.size > 0 && [...files.values()].every((text) => text.includes('name: '));
  return isReadable || confirmed.has(commit);
}

function servedBy({ labels }: SimulatedContainer): Served {
  return { revision: labels?.revision ?? '', contents: `${labels?.imageKey} ${labels?.spec}` };
}
