/** Reads a context of at least MIB in a process of its own: `streaming.ts FOLDER REPO MIB`, resident MiB above idle on the IPC channel. */
import { sourceOf } from './source.js';

const [folder = '', repo = '', size = ''] = process.argv.slice(2);
const never = new AbortController().signal;
const everyMs = 20;

const { source, open } = sourceOf(folder, repo);
const sources = open();
const resolved = await sources.resolve(source, never);
const context = await sources.context(source, resolved, () => undefined, never);
const idle = process.memoryUsage.rss();
const above: number[] = [];
const look = (): void => void above.push((process.memoryUsage.rss() - idle) / 1024 / 1024);
const timer = setInterval(look, everyMs);
let bytes = 0;
for await (const chunk of context) bytes += (chunk as Buffer).length;
clearInterval(timer);
look();
await sources.close();
if (bytes < Number(size) * 1024 * 1024) throw new Error(`the context had ${bytes} bytes alone`);
process.send?.(above, () => process.exit(0));
