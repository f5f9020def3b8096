import { expect, it } from 'vitest';
import { describeProblem } from '../src/desired-projects.js';

const problem = { file: 'projects/a.yaml', line: 4, column: 9, path: '/run/port', message: 'wrong' };

it('says where a problem is, the file alone where it has no line', () => {
  expect(describeProblem(problem)).toBe('projects/a.yaml:4:9 /run/port: wrong');
  expect(describeProblem({ ...problem, line: 0, column: 0, path: '' })).toBe('projects/a.yaml: wrong');
});
