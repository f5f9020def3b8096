import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/**
 * The next message of a child process. Waits for the end of the channel as well, not for the exit, which may
 * come before a message that was sent earlier. @throws Error `why` when the child ends without one
 */
export async function answerOf<T>(child: ChildProcess, why: () => string): Promise<T> {
  const over = new AbortController();
  const { signal } = over;
  try {
    const lost = once(child, 'disconnect', { signal }).then(() => Promise.reject(new Error(why())));
    const [answer] = (await Promise.race([once(child, 'message', { signal }), lost])) as [T];
    return answer;
  } finally {
    over.abort();
  }
}
