import type { DeployPhase, DeployStep, Step } from './plan.js';

/** A plan's step for people: what would be done, and why. */
export interface Explained {
  readonly action: string;
  readonly why: string;
}

export function explainStep(step: Step): readonly Explained[] {
  if (step.kind === 'deploy') return explainDeployment(step);
  return [{ action: actionOf(step), why: step.why }];
}

function actionOf(step: Exclude<Step, DeployStep>): string {
  switch (step.kind) {
    case 'close':
      return `close deployment ${step.deployment}`;
    case 'restore-switch':
      return `write the switch file of ${step.slot} again`;
    case 'settle-switch':
      return `leave ${step.slot} as the only live slot`;
    case 'recreate':
      return `make and start the live container in ${step.slot} again`;
    case 'start':
      return `start the container in ${step.slot}`;
    case 'set-restart-policy':
      return `set the restart policy of ${step.slot} to ${step.policy}`;
    case 'site':
      return `write the site file for ${step.site.route.domains.join(', ')}`;
    case 'pull':
      return `pull ${step.reference}`;
    case 'switch-back':
      return `probe ${step.slot} and switch back to it`;
    case 'drain':
      return `drain ${step.slot}`;
    case 'remove':
      return step.role === 'release'
        ? 'remove the release container'
        : `stop and remove the container in ${step.role}`;
    case 'forget-failure':
      return 'forget the failed revision';
    case 'unroute':
      return 'take the site file away';
    case 'empty-slots':
      return 'wait for requests in flight';
    case 'clear-switch':
      return 'take the switch files away';
    case 'remove-network':
      return 'remove the network';
  }
}

function explainDeployment(step: DeployStep): readonly Explained[] {
  if (step.phases.length === 0)
    return [{ action: `end the deployment of ${step.target.revision}`, why: step.why }];
  return step.phases.map((phase, index) => ({
    action: phaseAction(phase, step),
    why: index === 0 ? step.why : '',
  }));
}

function phaseAction(phase: DeployPhase, { slot, target }: DeployStep): string {
  switch (phase) {
    case 'building':
      return `build ${target.tag}`;
    case 'releasing':
      return `run the release command ${(target.project.release?.command ?? []).join(' ')}`;
    case 'clearing':
      return `drain and empty ${slot}`;
    case 'starting':
      return `start revision ${target.revision} in ${slot}`;
    case 'probing':
      return `probe ${slot}`;
    case 'switching':
      return `switch traffic to ${slot}`;
    case 'routing':
      return `write the site file for ${target.project.route.domains.join(', ')}`;
    case 'baking':
      return `bake for ${target.project.health.bakeMs / 1000}s`;
  }
}
