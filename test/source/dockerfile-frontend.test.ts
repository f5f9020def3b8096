import { expect, it } from 'vitest';
import { frontendRefusal } from '../../src/manifest/policy.js';
import { frontendsOf } from '../../src/source/dockerfile-frontend.js';

it.each<[string, readonly string[]]>([
  ['FROM scratch\n', []],
  ['# a comment\n# syntax=evil/frontend\nFROM scratch\n', []],
  ['FROM scratch\n# syntax=evil/frontend\n', []],
  ['\n# syntax=evil/frontend\n', []],
  ['# syntax=docker/dockerfile:1\nFROM scratch\n', ['docker/dockerfile:1']],
  ['#syntax=evil/a', ['evil/a']],
  ['#\t SYNTAX \t=\t evil/a:latest@sha256:00  more\r\nFROM scratch\n', ['evil/a:latest@sha256:00']],
  ['# escape=`\n# syntax=evil/a\n', ['evil/a']],
  ['# any=thing\n# syntax=evil/a\n', ['evil/a']],
  ['# syntax=docker/dockerfile:1\n# syntax=evil/a\n', ['docker/dockerfile:1', 'evil/a']],
  ['\uFEFF# syntax=evil/a\n', ['evil/a']],
  ['#!/usr/bin/env build\n# syntax=evil/a\n', ['evil/a']],
  ['// syntax=evil/a\nFROM scratch\n', ['evil/a']],
  ['#\u0085syntax=evil/a\n', ['evil/a']],
  ['# syntax=evil/a c\u2028c\nFROM scratch\n', ['evil/a']],
  ['# syntax=evil/a c\rc\nFROM scratch\n', ['evil/a']],
  ['# x=a\u2028b\n# syntax=evil/a\n', ['evil/a']],
  ['# x=a\rb\n# syntax=evil/a\n', ['evil/a']],
  ['# x=1\n// syntax=evil/a\n', ['evil/a']],
  ['# x=1\n#!sh\n# syntax=evil/a\n', ['evil/a']],
  ['{ "syntax": "evil/a", "more": [] }', ['evil/a']],
  ['#!sh\n{ "syntax": "evil/a" }', ['evil/a']],
  ['{ "syntax": 1 }', []],
  ['{ "syntax": ', []],
])('%j names %j', (dockerfile, expected) => {
  expect(frontendsOf(dockerfile)).toEqual(expected);
});

it.each([
  ['docker/dockerfile:1', true],
  ['docker.io/docker/dockerfile:1.7-labs', true],
  ['docker/dockerfile-upstream:master', false],
  ['docker/dockerfile.evil', false],
  ['evil.example/docker/dockerfile', false],
  ['docker.io.evil.example/docker/dockerfile', false],
  ['../docker/dockerfile', false],
  ['', false],
  ['docker/dockerfile:1 x', false],
])('the default lets %j through: %s', (frontend, isAllowed) => {
  const refusal = frontendRefusal({ frontends: ['docker.io/docker/dockerfile'] }, 'Dockerfile', frontend);
  expect(refusal === null).toBe(isAllowed);
  expect(frontendRefusal({ frontends: [] }, 'Dockerfile', frontend)).toContain('policy.frontends');
});
