// The release command.
import { setTimeout as delay } from 'node:timers/promises';
import { behaviour, version } from './behaviour.mjs';

console.log(`release of ${version}`);
await delay(behaviour.releaseMs ?? 0);
process.exitCode = behaviour.releaseExit ?? 0;
if (process.exitCode === 0) console.log(`released ${version}`);
