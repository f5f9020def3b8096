/** Reads a context of at least MIB in a process of its own: `streaming.ts FOLDER REPO MIB`, its `Peaks` on the IPC channel. */
import { readFileSync, writeFileSync } from 'node:fs';
import { childrenOf } from '../../../src/router/process-table.js';
import { sourceOf } from './source.js';

/** The most memory, MiB. */
export interface Peaks {
  /** Resident, of the process itself, above what it had before the context was opened. */
  readonly own: number;
  /** Of the git that writes the archive, without the packs that it maps: looked at with every chunk. */
  readonly git: number;
}

const [folder = '', repo = '', size = ''] = process.argv.slice(2);
const never = new AbortController().signal;

/** 0 of a process that has just ended. */
function memoryMiB(of: number | 'self', field: 'VmHWM' | 'RssAnon'): number {
  const status = readFileSync(`/proc/${of}/status`, 'utf8');
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0) / 1024;
}

/** The kernel's own mark, which misses nothing. That of `getrusage` begins with the memory of whoever forked. */
const peakMiB = (): number => memoryMiB('self', 'VmHWM');

async function childrenMiB(): Promise<number> {
  const children = await childrenOf(process.pid);
  return children.reduce((sum, child) => sum + memoryMiB(child, 'RssAnon'), 0);
}

const { source, open } = sourceOf(folder, repo);
const sources = open();
const resolved = await sources.resolve(source, never);
// Sets the mark back to what is resident now: neither the start nor the loader of TypeScript count.
writeFileSync('/proc/self/clear_refs', '5');
const idle = peakMiB();
const context = await sources.context(source, resolved, () => undefined, never);
let git = 0;
let bytes = 0;
for await (const chunk of context) {
  bytes += (chunk as Buffer).length;
  git = Math.max(git, await childrenMiB());
}
const peaks: Peaks = { own: peakMiB() - idle, git };
await sources.close();
if (bytes < Number(size) * 1024 * 1024) throw new Error(`the context had ${bytes} bytes alone`);
process.send?.(peaks, () => process.exit(0));
