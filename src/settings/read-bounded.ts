import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

/**
 * The first `most` bytes of a regular file; one byte more tells the caller that there is more, so ask for
 * one more than is wanted. Never waits for a pipe. `followLinks`: whether `file` itself may be a link.
 */
export async function readBounded(
  file: string,
  most: number,
  { followLinks }: { readonly followLinks: boolean },
): Promise<Uint8Array> {
  const noFollow = followLinks ? 0 : constants.O_NOFOLLOW;
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK | noFollow);
  try {
    if (!(await handle.stat()).isFile()) throw new Error('it is not a regular file');
    const buffer = Buffer.alloc(most);
    let length = 0;
    while (length < most) {
      const { bytesRead } = await handle.read(buffer, length, most - length, length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return buffer.subarray(0, length);
  } finally {
    await handle.close();
  }
}
