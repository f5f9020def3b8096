import { policyRefusal } from '../manifest/policy.js';
import type { Project } from '../manifest/project.js';
import { parseSpec } from '../manifest/spec.js';
import type { Plan, PlanInput, Step } from './plan.js';

/**
 * The plan without what the policy forbids to start. What is wanted was judged before it got a revision;
 * repairs and the way back start what was live under an older policy. What runs goes on running, its
 * route is kept, and the status says why nothing of it starts any more.
 */
export function withoutForbidden(plan: Plan, input: PlanInput): Plan {
  let refusal: string | null = null;
  const steps = plan.steps.filter((step) => {
    const started = startedBy(step, input);
    const why = started === null ? null : policyRefusal(input.policy, started.source);
    refusal ??= why;
    return why === null;
  });
  if (refusal === null) return plan;
  return {
    ...plan,
    steps,
    state: plan.state === 'live' || plan.state === 'progressing' ? 'failed' : plan.state,
    blocked: { code: 'PolicyRefused', message: refusal },
  };
}

/** What a step starts that is not the wanted revision; null when it starts nothing of the kind. */
function startedBy(step: Step, { observed }: PlanInput): Project | null {
  switch (step.kind) {
    case 'recreate':
      return step.identity.spec;
    case 'start': {
      const container = observed.containers[step.slot];
      return container === null ? null : parseSpec(container.labels.spec);
    }
    case 'switch-back':
      return observed.containers[step.slot]?.state === 'running' ? null : step.identity.spec;
    default:
      return null;
  }
}
