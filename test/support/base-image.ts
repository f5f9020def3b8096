import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const script = fileURLToPath(new URL('../../deploy/base-image.sh', import.meta.url));

/** Long enough to pack and import about 120 MB on a loaded machine. */
const limitMs = 120_000;

/**
 * An image with node, npm, busybox and CA certificates, made from this machine's own Node: tests need
 * no registry. Made once; an image under `tag` from the same Node is kept. Resolves to the tag.
 */
export async function ensureBaseImage(tag = 'node:base'): Promise<string> {
  await promisify(execFile)(script, [tag], { timeout: limitMs });
  return tag;
}
