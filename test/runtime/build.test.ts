import protobuf from 'protobufjs/light.js';
import { describe, expect, it } from 'vitest';
import { explainBuildFailure } from '../../src/runtime/build-failure.js';
import { BuildTranscript } from '../../src/runtime/build-progress.js';
import type { BuildProgress } from '../../src/runtime/port.js';

/** Messages of a real engine (20.10) for `RUN echo hi; exit 3`: started, output, completed with an error. */
const recorded = [
  'CroBCkdzaGEyNTY6OWZjYmJkMDQ3MmI2MWI1NGY2NDhkZjYxNmVmOGYyYTdlNGMwZGFjMDllNzcxYzkxN2Y1YjgzZTdhMWUyN2FjNRJHc2hhMjU2OmMxM2ZjYzZhNmVjMjI0ODBkOTQyN2JmYWNhYWVhMjQ4NDYwYWFjMTNmZWQ4OWRjMmNiOTc2MmY4MDBjOWQ1NjEaGVsyLzJdIFJVTiBlY2hvIGhpOyBleGl0IDMqCwjI7oLYBhCWhbVI',
  'Gl4KR3NoYTI1Njo5ZmNiYmQwNDcyYjYxYjU0ZjY0OGRmNjE2ZWY4ZjJhN2U0YzBkYWMwOWU3NzFjOTE3ZjViODNlN2ExZTI3YWM1EgwIyO6C2AYQu6iekwEYASIDaGkK',
  'CowCCkdzaGEyNTY6OWZjYmJkMDQ3MmI2MWI1NGY2NDhkZjYxNmVmOGYyYTdlNGMwZGFjMDllNzcxYzkxN2Y1YjgzZTdhMWUyN2FjNRJHc2hhMjU2OmMxM2ZjYzZhNmVjMjI0ODBkOTQyN2JmYWNhYWVhMjQ4NDYwYWFjMTNmZWQ4OWRjMmNiOTc2MmY4MDBjOWQ1NjEaGVsyLzJdIFJVTiBlY2hvIGhpOyBleGl0IDMqCwjI7oLYBhCWhbVIMgwIyO6C2AYQztStmQE6QmV4ZWN1dG9yIGZhaWxlZCBydW5uaW5nIFsvYmluL3NoIC1jIGVjaG8gaGk7IGV4aXQgM106IGV4aXQgY29kZTogMw==',
];

const time = (seconds: number): object => ({
  seconds: Math.floor(seconds),
  nanos: Math.round((seconds % 1) * 1e9),
});
const field = (type: string, id: number, rule?: string): object => ({
  type,
  id,
  ...(rule === undefined ? {} : { rule }),
});
const status = protobuf.Root.fromJSON({
  nested: {
    Time: { fields: { seconds: field('int64', 1), nanos: field('int32', 2) } },
    Vertex: {
      fields: {
        digest: field('string', 1),
        name: field('string', 3),
        cached: field('bool', 4),
        started: field('Time', 5),
        completed: field('Time', 6),
        error: field('string', 7),
      },
    },
    Log: { fields: { vertex: field('string', 1), stream: field('int64', 3), msg: field('bytes', 4) } },
    Status: { fields: { vertexes: field('Vertex', 1, 'repeated'), logs: field('Log', 3, 'repeated') } },
  } as never,
}).lookupType('Status');

function transcribe(messages: readonly unknown[]): {
  transcript: BuildTranscript;
  progress: BuildProgress[];
} {
  const progress: BuildProgress[] = [];
  const transcript = new BuildTranscript((line) => progress.push(line));
  for (const message of messages) transcript.accept(message);
  return { transcript, progress };
}

function trace(message: object): object {
  return {
    id: 'moby.buildkit.trace',
    aux: Buffer.from(status.encode(status.fromObject(message)).finish()).toString('base64'),
  };
}

describe('the transcript of a build', () => {
  it('decodes what a real engine sent', () => {
    const failure = 'executor failed running [/bin/sh -c echo hi; exit 3]: exit code: 3';
    const { transcript, progress } = transcribe([
      ...recorded.map((aux) => ({ id: 'moby.buildkit.trace', aux })),
      { errorDetail: { message: failure }, error: failure },
    ]);
    expect(progress).toEqual([
      { step: '[2/2] RUN echo hi; exit 3', line: '#1 [2/2] RUN echo hi; exit 3' },
      { step: null, line: '#1 hi' },
      { step: null, line: `#1 ERROR: ${failure}` },
    ]);
    expect(transcript).toMatchObject({ failure, failedStep: '[2/2] RUN echo hi; exit 3', image: null });
  });

  it('tells steps apart, says each start and end once, and puts split lines together', () => {
    const a = { digest: 'a', name: '[1/2] RUN a', started: time(10) };
    const b = { digest: 'b', name: '[2/2] RUN b', started: time(10.5) };
    const { transcript, progress } = transcribe([
      trace({ vertexes: [a] }),
      trace({
        vertexes: [a, b],
        logs: [
          { vertex: 'a', msg: Buffer.from('one\ntw') },
          { vertex: 'b', msg: Buffer.from('zwei') },
        ],
      }),
      trace({ logs: [{ vertex: 'a', msg: Buffer.from('o\n10 %\r20 %') }] }),
      trace({ vertexes: [{ ...a, completed: time(12.25) }] }),
      trace({
        vertexes: [
          { ...a, completed: time(12.25) },
          { ...b, completed: time(11), cached: true },
        ],
      }),
      { id: 'moby.image.id', aux: { ID: 'sha256:abc' } },
    ]);
    expect(progress.map(({ line }) => line)).toEqual([
      '#1 [1/2] RUN a',
      '#2 [2/2] RUN b',
      '#1 one',
      '#1 two',
      '#1 20 %',
      '#1 DONE 2.3s',
      '#2 zwei',
      '#2 CACHED',
    ]);
    expect(transcript.image).toBe('sha256:abc');
  });

  it('keeps the last 50 lines', () => {
    const logs = Array.from({ length: 200 }, (_, index) => ({
      vertex: 'a',
      msg: Buffer.from(`line ${index}\n`),
    }));
    const { transcript } = transcribe([
      trace({ vertexes: [{ digest: 'a', name: 'x', started: time(1) }], logs }),
    ]);
    expect(transcript.tail).toHaveLength(50);
    expect(transcript.tail.at(-1)).toBe('#1 line 199');
  });

  it('understands an engine that builds without BuildKit', () => {
    const { transcript, progress } = transcribe([
      { stream: 'Step 1/1 : FROM x\n' },
      { aux: { ID: 'sha256:abc' } },
    ]);
    expect(progress).toEqual([{ step: null, line: 'Step 1/1 : FROM x' }]);
    expect(transcript.image).toBe('sha256:abc');
  });
});

describe('a failed build', () => {
  it.each([
    // What engines from 20.10 to 28 say.
    [
      'executor failed running [/bin/sh -c npm ci]: exit code: 1',
      '[2/5] RUN npm ci',
      'BuildFailed',
      ' in [2/5] RUN npm ci: exit code 1',
    ],
    [
      'failed to solve: process "/bin/sh -c npm ci" did not complete successfully: exit code: 1',
      '[2/5] RUN npm ci',
      'BuildFailed',
      ' in [2/5] RUN npm ci: exit code 1',
    ],
    [
      'process "/bin/sh -c npm ci" did not complete successfully: exit code: 137',
      '[2/5] RUN npm ci',
      'BuildFailed',
      /exit code 137; the process was killed/,
    ],
    [
      'failed to solve with frontend dockerfile.v0: failed to read dockerfile: open /var/lib/docker/tmp/buildkit-mount1/Dockerfile: no such file or directory',
      null,
      'DockerfileMissing',
      ': there is no app/Dockerfile in the build context; put one there, or set build.dockerfile',
    ],
    [
      'failed to solve with frontend dockerfile.v0: failed to create LLB definition: dockerfile parse error line 2: unknown instruction: RUNN',
      null,
      'BuildFailed',
      ': dockerfile parse error line 2: unknown instruction: RUNN',
    ],
    [
      'failed to solve: failed to compute cache key: failed to calculate checksum of ref abc::def: "/nope": not found',
      '[2/2] COPY nope /x',
      'BuildFailed',
      /^ in \[2\/2\] COPY nope \/x: "\/nope": not found; COPY and ADD/,
    ],
    [
      'failed to solve: docker.io/library/nothere:1: pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed',
      '[internal] load metadata for docker.io/library/nothere:1',
      'BuildFailed',
      /FROM names docker.io\/library\/nothere:1.*docker login docker.io/,
    ],
    [
      'failed to do request: Head "https://registry-1.docker.io/v2/library/x/manifests/1": dial tcp: lookup registry-1.docker.io: no such host',
      '[internal] load metadata for docker.io/library/x:1',
      'ImagePullFailed',
      /check that docker.io is reachable/,
    ],
    [
      'failed to copy: httpReadSeeker: failed open: unexpected status code https://r.example/v2/a/blobs/b: 503 Service Unavailable',
      '[1/3] FROM r.example/a:1@sha256:abc',
      'ImagePullFailed',
      /FROM names r.example\/a:1@sha256:abc/,
    ],
    [
      'dial tcp: lookup example.com: no such host',
      '[2/3] ADD https://example.com/x /x',
      'BuildFailed',
      /ADD https:/,
    ],
    ['write /x: no space left on device', '[2/3] COPY a /x', 'BuildFailed', /free disk space/],
    ['target stage nope could not be found', null, 'BuildFailed', /build\.target/],
  ] as const)('that says %j', (said, step, code, text) => {
    const failure = explainBuildFailure(said, step, 'app/Dockerfile', '/root/.docker');
    expect(failure.code).toBe(code);
    if (typeof text === 'string') expect(failure.text).toBe(text);
    else expect(failure.text).toMatch(text);
  });

  it('shows no credential of a URL', () => {
    const said = 'failed to load cache key: https://user:secret@example.com/x: not found';
    expect(
      explainBuildFailure(said, '[2/3] ADD https://user:secret@example.com/x /x', 'Dockerfile', '/d').text,
    ).not.toContain('secret');
  });
});
