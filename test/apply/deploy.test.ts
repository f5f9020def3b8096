import { expect, it } from 'vitest';
import type { PassContext } from '../../src/apply/context.js';
import { deploy } from '../../src/apply/deploy.js';
import type { DeployStep } from '../../src/plan/plan.js';

it('begins nothing when something else may be wanted since it was planned', async () => {
  const touched: string[] = [];
  const attempt = { current: null, changed: true };
  const context = new Proxy({ attempt } as unknown as PassContext, {
    get(target, name) {
      if (name === 'attempt') return target.attempt;
      touched.push(String(name));
      throw new Error(`${String(name)} is used`);
    },
  });
  await deploy({ kind: 'deploy' } as DeployStep, context);
  expect(attempt.current).toBeNull();
  expect(touched).toEqual([]);
});
