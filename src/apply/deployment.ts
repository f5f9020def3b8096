import { randomBytes } from 'node:crypto';
import type { DeployStep } from '../plan/plan.js';
import type { DeploymentDetail, JournalEntry, Outcome, Phase } from '../record/port.js';
import type { PassContext } from './context.js';
import { recordIfPossible } from './record.js';
import type { DeploymentLog } from './deployment-log.js';

/** Sorts by time: `20261120-101530-4f2a9c`. */
function newDeploymentId(now: number): string {
  const time = new Date(now).toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15);
  return `${time}-${randomBytes(3).toString('hex')}`;
}

/**
 * One attempt to make a revision live: its journal records, its log file and how long each phase took.
 * Every phase is in the journal before its first effect.
 */
export class Deployment {
  readonly #phases: Partial<Record<Phase, number>> = {};
  #phase: Phase;
  #since: number;

  private constructor(
    readonly id: string,
    readonly step: DeployStep,
    readonly context: PassContext,
    readonly log: Pick<DeploymentLog, 'line' | 'close'>,
    phase: Phase,
  ) {
    this.#phase = phase;
    this.#since = context.clock.monotonic();
  }

  /** Opens a new deployment, or goes on with the one that the plan resumes. */
  static async open(step: DeployStep, context: PassContext): Promise<Deployment> {
    const { project, clock, deploymentLogs } = context;
    const id = step.resumes?.deployment ?? newDeploymentId(clock.now());
    const { attempt, slot, isRollback } = step;
    // Before its log file: one that the journal does not take leaves nothing behind.
    if (step.resumes === null)
      await record(context, step, id, { from: null, to: 'queued', detail: { attempt, slot, isRollback } });
    const log = await deploymentLogs.open(project, id);
    const deployment = new Deployment(id, step, context, log, step.resumes?.phase ?? 'queued');
    if (step.resumes === null) {
      context.log.info({ ...deployment.fields, attempt, slot, why: step.why }, 'deployment begins');
    } else {
      context.log.info({ ...deployment.fields, phase: step.resumes.phase }, 'deployment goes on');
    }
    deployment.#report();
    return deployment;
  }

  get phase(): Phase {
    return this.#phase;
  }

  get fields(): Readonly<Record<string, unknown>> {
    const { revision, configCommit, sourceCommit } = this.step.target;
    return { project: this.context.project, deployment: this.id, revision, configCommit, sourceCommit };
  }

  async enter(phase: Phase): Promise<void> {
    if (phase === this.#phase) return;
    this.#measure();
    await this.#record(this.#phase, phase, { slot: this.step.slot });
    this.context.log.info({ ...this.fields, from: this.#phase, to: phase }, 'deployment phase');
    this.log.line(`-- ${phase}`);
    this.#phase = phase;
    this.#report();
  }

  /** What goes on inside the phase, for whoever watches; null when what was told is over. */
  progress(step: string | null): void {
    this.context.report({ phase: this.#phase, ...(step === null ? {} : { step }) });
  }

  /** The same, of one attempt among others at the revision. */
  progressOfAttempt(step: string): void {
    this.progress(`attempt ${this.step.attempt} of ${this.context.settings.retries.attempts}: ${step}`);
  }

  async end(outcome: Outcome, detail: DeploymentDetail = {}): Promise<void> {
    this.#measure();
    const { slot, isRollback, attempt } = this.step;
    await this.#record(this.#phase, outcome, { slot, isRollback, attempt, ...detail, phases: this.#phases });
    const fields = { ...this.fields, outcome, ...detail, phases: this.#phases };
    if (outcome === 'active' || outcome === 'cancelled') this.context.log.info(fields, 'deployment ended');
    else this.context.log.warn(fields, 'deployment ended');
    this.log.line(`-- ${outcome}${detail.message === undefined ? '' : `: ${detail.message}`}`);
    this.context.report({ phase: null, outcome });
  }

  #measure(): void {
    const now = this.context.clock.monotonic();
    this.#phases[this.#phase] = Math.round((this.#phases[this.#phase] ?? 0) + now - this.#since);
    this.#since = now;
  }

  #record(from: Phase, to: Phase | Outcome, detail: DeploymentDetail): Promise<void> {
    return record(this.context, this.step, this.id, { from, to, detail });
  }

  #report(): void {
    this.context.report({ phase: this.#phase });
  }
}

/** A bake that failed is acted on even when it cannot be recorded. */
async function record(
  context: PassContext,
  step: DeployStep,
  deployment: string,
  move: {
    readonly from: Phase | null;
    readonly to: Phase | Outcome;
    readonly detail: DeploymentDetail;
  },
): Promise<void> {
  const { revision, configCommit, sourceCommit } = step.target;
  const { project } = context;
  const entry: JournalEntry = {
    type: 'deployment',
    project,
    deployment,
    ...move,
    revision,
    configCommit,
    sourceCommit,
  };
  if (move.to === 'rolled-back') await recordIfPossible(context, entry);
  else await context.journal.append(entry);
}
