/**
 * A preload, `node --import measure-memory.mjs dist/main.js …`: at SIGUSR2 the process collects its
 * garbage and writes as JSON, in bytes, what is left (`used`) and what is resident outside of V8's heap
 * (`native`) to the file $MEASURE_MEMORY, put in place by a rename.
 */
import { rename, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');
const file = process.env.MEASURE_MEMORY;

process.on('SIGUSR2', async () => {
  // What is freed by a finalizer of the first is collected by the second.
  for (let time = 0; time < 3; time += 1) {
    collect();
    await delay(10);
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  const native = rss - getHeapStatistics().total_physical_size;
  await writeFile(`${file}.new`, JSON.stringify({ native, used: heapUsed + external }));
  await rename(`${file}.new`, file);
});
