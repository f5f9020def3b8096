// What the application does wrong: behaviour.json of its repository, and over it $BEHAVIOUR.
// The fields are those of `Behaviour` in test/support/scenario.ts.
import { readFileSync } from 'node:fs';

const read = (name) => readFileSync(new URL(name, import.meta.url), 'utf8');

export const version = read('version.txt').trim();
export const behaviour = {
  ...JSON.parse(read('behaviour.json')),
  ...JSON.parse(process.env.BEHAVIOUR ?? '{}'),
};
