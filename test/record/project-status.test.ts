import { describe, expect, it } from 'vitest';
import { planProject } from '../../src/plan/plan-project.js';
import type { PlanInput } from '../../src/plan/plan.js';
import { projectStatus, unseenStatus } from '../../src/record/project-status.js';
import type { ProjectStatusInput } from '../../src/record/project-status.js';
import { container, input, served, want } from '../plan/world.js';

function statusOf(given: PlanInput, more: Partial<ProjectStatusInput> = {}) {
  return projectStatus({
    input: given,
    plan: planProject(given),
    waiting: null,
    phase: null,
    step: null,
    drain: null,
    fault: null,
    outage: null,
    publicPort: null,
    ...more,
  });
}

const live = input(served('blue', 'A'));

describe('the status of a project', () => {
  it('says live what is routed to and as it should be', () => {
    expect(statusOf(live)).toMatchObject({
      state: 'live',
      reason: null,
      live: { slot: 'blue', revision: 'A', address: '10.213.0.2:3000' },
      urls: ['http://shop.example.com/'],
    });
  });

  it('tells how a phase goes, unless something is wrong', () => {
    const step = 'attempt 1 of 3: GET /healthz answered 503, not 200-399';
    const probing = { phase: 'probing', step } as const;
    expect(statusOf(live, probing)).toMatchObject({ state: 'progressing', reason: null, message: step });
    const outage = { of: 'nginx', message: '127.0.0.1:80 is in use by pid 7' } as const;
    expect(statusOf(live, { ...probing, outage })).toMatchObject({
      state: 'progressing',
      reason: 'NginxUnavailable',
      message: outage.message,
    });
  });

  it('says nothing live, and why, while nginx does not run', () => {
    const outage = { of: 'nginx', message: '127.0.0.1:80 is in use by pid 7' } as const;
    expect(statusOf(live, { outage })).toMatchObject({
      state: 'failed',
      reason: 'NginxUnavailable',
      message: outage.message,
      live: null,
      urls: [],
    });
  });

  it('does not say that all is well while the engine cannot be asked', () => {
    const outage = { of: 'docker', message: 'no engine at /run/docker.sock' } as const;
    expect(statusOf(live, { outage })).toMatchObject({
      state: 'progressing',
      reason: 'DockerUnavailable',
      message: outage.message,
      live: { slot: 'blue', revision: 'A' },
    });
  });

  it('keeps what the manifest asks for as the state: suspended, invalid', () => {
    const outage = { of: 'nginx', message: 'down' } as const;
    const { project } = want('A');
    const suspended = input(served('blue', 'A'), {
      want: want('A', { project: { ...project, suspend: true } }),
    });
    expect(statusOf(suspended, { outage })).toMatchObject({ state: 'suspended', live: null });
    const invalid = input(served('blue', 'A'), { want: { kind: 'invalid', message: 'a.yaml:1:1 no' } });
    expect(statusOf(invalid, { outage })).toMatchObject({ state: 'invalid', reason: 'ManifestInvalid' });
  });

  it('says of a suspended project that what it routes to is down', () => {
    const suspended = { want: want('A', { project: { ...want('A').project, suspend: true } }) };
    const down = container('blue', 'A', { restartPolicy: 'unless-stopped', state: 'exited' });
    for (const [containers, message] of [
      [[], expect.stringMatching(/^its container is gone, .*: take that out, or start it by hand$/)],
      [[down], expect.stringMatching(/^its container is exited, and nothing is repaired/)],
      [served('blue', 'A').containers, null],
    ] as const)
      expect(
        statusOf(input({ ...served('blue', 'A'), containers: containers ?? [] }, suspended)),
      ).toMatchObject({
        state: 'suspended',
        message: message as string | null,
      });
  });

  it('is there before the project was looked at, with what keeps it from that', () => {
    expect(unseenStatus({ phase: 'fetching', step: null, fault: null, outage: null })).toMatchObject({
      state: 'progressing',
      phase: 'fetching',
      reason: null,
      live: null,
    });
    const outage = { of: 'docker', message: 'no engine' } as const;
    expect(unseenStatus({ phase: null, step: null, fault: null, outage })).toMatchObject({
      state: 'progressing',
      reason: 'DockerUnavailable',
    });
    const fault = { code: 'Unexpected', message: 'it broke', retryAt: '2026-01-01T00:00:00.000Z' };
    expect(unseenStatus({ phase: null, step: null, fault, outage: null })).toMatchObject({
      state: 'failed',
      message: 'it broke',
      nextRetryAt: fault.retryAt,
    });
  });
});
