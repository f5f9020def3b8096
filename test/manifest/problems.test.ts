import { describe, expect, it } from 'vitest';
import { dotted, formatProblems, pointer, segmentsOf, shown } from '../../src/manifest/problems.js';
import type { Problem } from '../../src/manifest/project.js';

const problem: Problem = {
  file: 'projects/a,b:c.yaml',
  line: 4,
  column: 9,
  path: '/run/port',
  message: 'run.port is 100%\nwrong',
};

describe('formatProblems', () => {
  it('writes one line per problem for a terminal', () => {
    const whole = { ...problem, path: '', message: 'not utf-8' };
    expect(formatProblems([{ ...problem, message: 'wrong' }, whole])).toBe(
      'projects/a,b:c.yaml:4:9 /run/port wrong\nprojects/a,b:c.yaml:4:9 not utf-8',
    );
  });

  it('escapes what would end a workflow command', () => {
    expect(formatProblems([problem], 'github')).toBe(
      '::error file=projects/a%2Cb%3Ac.yaml,line=4,col=9::run.port is 100%25%0Awrong',
    );
  });

  it('shows no control characters of a file name in a terminal', () => {
    expect(formatProblems([{ ...problem, file: 'a\u001b[31m\n.yaml', message: 'wrong' }])).toBe(
      'a\\u001b[31m\\u000a.yaml:4:9 /run/port wrong',
    );
  });

  it('names no line where there is none', () => {
    const missing = { file: 'a.yaml', line: 0, column: 0, path: '', message: 'there is no such file' };
    expect(formatProblems([missing])).toBe('a.yaml: there is no such file');
    expect(formatProblems([missing], 'github')).toBe('::error file=a.yaml::there is no such file');
  });

  it('writes nothing for no problems', () => {
    expect(formatProblems([])).toBe('');
  });
});

describe('paths', () => {
  it.each([[[]], [['run', 'port']], [['a/b', 'c~d', '~1', '']]])(
    'survive as JSON pointers: %j',
    (segments) => {
      expect(segmentsOf(pointer(segments))).toEqual(segments);
    },
  );

  it('read like code in messages', () => {
    expect(dotted(['route', 'domains', '0'])).toBe('route.domains[0]');
    expect(dotted([])).toBe('the document');
  });
});

describe('shown', () => {
  it('leaves out what may be a password, also one with @ and / in it', () => {
    expect(shown('https://user:p@ss/w@rd@git.example.com/a')).toBe('https://…@git.example.com/a');
  });

  it('leaves out a password although the text is cut', () => {
    expect(shown(`https://user:${'s3cret'.repeat(200)}@git.example.com/a`, 40)).not.toContain('s3cret');
  });
});
