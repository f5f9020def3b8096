import fc from 'fast-check';
import { expect, it } from 'vitest';
import { isOurContainer, projectOfTag, readLabels, writeLabels } from '../../src/runtime/labels.js';
import type { ContainerLabels } from '../../src/runtime/port.js';

const labels: ContainerLabels = {
  instance: 'default',
  project: 'shop',
  role: 'green',
  revision: 'r1',
  imageKey: 'k1',
  configCommit: 'c1',
  sourceCommit: 's1',
  deployment: 'd1',
  spec: '{"name":"shop"}',
};

it('writes the keys that the contract names', () => {
  expect(writeLabels(labels)).toEqual({
    'dev.pointsman.instance': 'default',
    'dev.pointsman.project': 'shop',
    'dev.pointsman.slot': 'green',
    'dev.pointsman.revision': 'r1',
    'dev.pointsman.image-key': 'k1',
    'dev.pointsman.config-commit': 'c1',
    'dev.pointsman.source-commit': 's1',
    'dev.pointsman.deployment': 'd1',
    'dev.pointsman.spec': '{"name":"shop"}',
  });
});

it('reads back whatever it wrote', () => {
  const text = fc.string({ minLength: 1, unit: 'binary' });
  const arbitrary = fc.record({
    instance: text,
    project: text,
    role: fc.constantFrom('blue', 'green', 'release'),
    revision: text,
    imageKey: text,
    configCommit: text,
    sourceCommit: fc.option(text),
    deployment: text,
    spec: text,
  });
  fc.assert(
    fc.property(arbitrary, (each) => {
      expect(readLabels(writeLabels(each as ContainerLabels))).toEqual(each);
    }),
  );
});

it('hides an image’s source commit when the container has none', () => {
  const inherited = { 'dev.pointsman.source-commit': 'of-the-image' };
  expect(readLabels({ ...inherited, ...writeLabels({ ...labels, sourceCommit: null }) })).toMatchObject({
    sourceCommit: null,
  });
});

it('names the first key that is missing or senseless', () => {
  for (const key of Object.keys(writeLabels(labels)).filter((each) => !each.endsWith('source-commit'))) {
    const rest = Object.entries(writeLabels(labels)).filter(([each]) => each !== key);
    expect(readLabels(Object.fromEntries(rest))).toEqual({ malformed: key });
  }
  expect(readLabels({ ...writeLabels(labels), 'dev.pointsman.slot': 'red' })).toEqual({
    malformed: 'dev.pointsman.slot',
  });
});

it('takes a container for ours by instance and slot, not by what it inherits from an image', () => {
  expect(isOurContainer(writeLabels(labels), 'default')).toBe(true);
  expect(isOurContainer(writeLabels(labels), 'other')).toBe(false);
  expect(
    isOurContainer({ 'dev.pointsman.instance': 'default', 'dev.pointsman.project': 'shop' }, 'default'),
  ).toBe(false);
  expect(isOurContainer(null, 'default')).toBe(false);
});

it.each([
  ['pointsman/shop:abc', 'shop'],
  ['pointsman/shop', null],
  ['pointsman/shop/x:abc', null],
  ['registry:5000/pointsman/shop:abc', null],
  ['pointsman/shop@sha256:abc', null],
  ['shop:abc', null],
])('finds in %s the project %s', (tag, project) => {
  expect(projectOfTag(tag)).toBe(project);
});
