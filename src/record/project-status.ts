import { slots } from '../manifest/project.js';
import { isPrevious } from '../plan/previous.js';
import { warmUntilOf } from '../plan/plan-letting-go.js';
import type { Plan, PlanInput } from '../plan/plan.js';
import type { Slot } from '../manifest/project.js';
import type { LiveStatus, PreviousStatus, ProjectStatus, Status } from './status.generated.js';
import type { Phase } from './port.js';

export interface ProjectStatusInput {
  readonly input: PlanInput;
  readonly plan: Plan;
  readonly waiting: Plan['blocked'];
  readonly phase: Phase | null;
  /** What goes on in it; the message where nothing is wrong. */
  readonly step: string | null;
  readonly drain: { readonly slot: Slot; readonly inFlight: number | null } | null;
  /** Of a pass that failed outside a deployment. */
  readonly fault: { readonly code: string; readonly message: string; readonly retryAt: string | null } | null;
  /** What does not answer: nginx, which then routes nothing, or the engine, of which then only the last look is known. */
  readonly outage: { readonly of: 'docker' | 'nginx'; readonly message: string } | null;
  /** Port that site files listen on, for `urls`; null when it is 80. */
  readonly publicPort: number | null;
}

/** The project's entry in the status file. Says live only what was observed. */
export function projectStatus(from: ProjectStatusInput): ProjectStatus | null {
  const { input, plan, phase } = from;
  const { want, memory } = input;
  const live = from.outage?.of === 'nginx' ? null : liveStatus(input);
  if (plan.state === 'gone') return null;
  const blocked = plan.blocked ?? from.waiting;
  const trouble = blocked ?? outageOf(from) ?? from.fault;
  const revision = want.kind === 'resolved' ? want.revision : null;
  const failure = memory.failure?.revision === revision ? memory.failure : null;
  return {
    state: stateOf(from, live),
    phase,
    reason: trouble?.code ?? null,
    message:
      trouble?.message ?? from.step ?? standstill(from) ?? (want.kind === 'resolved' ? want.warning : null),
    desired:
      want.kind === 'unknown' || want.kind === 'absent' || want.kind === 'invalid'
        ? null
        : {
            revision,
            configCommit: want.configCommit,
            sourceCommit: want.kind === 'resolved' ? want.sourceCommit : null,
          },
    live,
    previous: previousStatus(from),
    urls: live === null ? [] : urlsOf(input, from.publicPort),
    attempts: failure?.attempts ?? memory.open?.attempt ?? 0,
    nextRetryAt: failure?.nextRetryAt ?? (blocked === null ? (from.fault?.retryAt ?? null) : null),
    lastDeployment: lastDeployment(input),
  };
}

/** A suspended project that is down stays down, and its route leads nowhere. */
function standstill({ plan, input }: ProjectStatusInput): string | null {
  const { live } = input.observed;
  const state = live?.container?.state ?? 'gone';
  if (plan.state !== 'suspended' || live === null || state === 'running') return null;
  return `its container is ${state}, and nothing is repaired while suspend is true: take that out, or start it by hand`;
}

function outageOf({ outage }: Pick<ProjectStatusInput, 'outage'>): Plan['blocked'] {
  if (outage === null) return null;
  return { code: outage.of === 'nginx' ? 'NginxUnavailable' : 'DockerUnavailable', message: outage.message };
}

/** Of a project that was not looked at yet. */
export function unseenStatus(
  from: Pick<ProjectStatusInput, 'phase' | 'step' | 'fault' | 'outage'>,
): ProjectStatus {
  const trouble = outageOf(from) ?? from.fault;
  return {
    state: from.fault === null ? 'progressing' : 'failed',
    phase: from.phase,
    reason: trouble?.code ?? null,
    message: trouble?.message ?? from.step,
    desired: null,
    live: null,
    previous: null,
    urls: [],
    attempts: 0,
    nextRetryAt: from.fault?.retryAt ?? null,
    lastDeployment: null,
  };
}

function stateOf(from: ProjectStatusInput, live: LiveStatus | null): ProjectStatus['state'] {
  const { plan, phase } = from;
  if (plan.state === 'gone') return 'removing';
  if (plan.state === 'suspended' || plan.state === 'invalid' || plan.state === 'removing') return plan.state;
  if (phase !== null) return 'progressing';
  if (from.waiting !== null) return from.waiting.code === 'DomainHeld' ? 'progressing' : 'failed';
  if (from.fault !== null || from.outage?.of === 'nginx') return 'failed';
  if (from.outage !== null) return 'progressing';
  return plan.state === 'live' && live === null ? 'progressing' : plan.state;
}

function liveStatus({ observed }: PlanInput): LiveStatus | null {
  const { live, route } = observed;
  if (live === null || !live.routed || live.identity === null) return null;
  const { slot, identity, record, container } = live;
  return {
    slot,
    revision: identity.revision,
    sourceCommit: record?.sourceCommit ?? identity.sourceCommit,
    image: container?.image ?? identity.image,
    container: container?.id ?? null,
    address: route.site?.upstreams[slot] ?? '',
    since: record?.since ?? new Date(container?.startedAt ?? 0).toISOString(),
    deployment: record?.deployment ?? identity.deployment,
    isRollback: record?.isRollback ?? false,
  };
}

function previousStatus({ input, drain }: ProjectStatusInput): PreviousStatus | null {
  const { observed } = input;
  const slot = slots.find((each) => each !== observed.live?.slot);
  const container = slot === undefined ? null : observed.containers[slot];
  if (
    slot === undefined ||
    container === null ||
    container.state !== 'running' ||
    !isPrevious(input, container)
  )
    return null;
  const draining = drain?.slot === slot;
  return {
    slot,
    revision: container.labels.revision,
    state: draining ? 'draining' : 'warm',
    inFlight: draining ? drain.inFlight : 0,
    warmUntil: new Date(warmUntilOf(input)).toISOString(),
  };
}

function urlsOf({ observed }: PlanInput, publicPort: number | null): string[] {
  const domains = observed.route.site?.route.domains ?? [];
  return domains.map((domain) => `http://${domain}${publicPort === null ? '' : `:${publicPort}`}/`);
}

function lastDeployment({ memory }: PlanInput): ProjectStatus['lastDeployment'] {
  const { last } = memory;
  if (last === null) return null;
  const { deployment, outcome, startedAt, finishedAt, phases } = last;
  return { id: deployment, outcome, startedAt, finishedAt, phases: { ...phases } };
}

const noProjects = { live: 0, progressing: 0, failed: 0, suspended: 0, invalid: 0, removing: 0 };

export function summaryOf(states: readonly ProjectStatus['state'][]): Status['summary'] {
  const summary = { total: states.length, ...noProjects };
  for (const state of states) summary[state] += 1;
  return summary;
}
