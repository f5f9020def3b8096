import { execFile } from 'node:child_process';
import { expect, it } from 'vitest';

/** A fraction of a second is enough; what this looks for takes hours. */
const hangMs = 150_000;

it('no text makes the controller try one way after the other', { timeout: 180_000 }, async () => {
  const script = new URL('./slow-process.ts', import.meta.url).pathname;
  const lines = await new Promise<readonly string[]>((resolve) => {
    execFile(
      process.execPath,
      ['--import', 'tsx', script],
      { timeout: hangMs, killSignal: 'SIGKILL' },
      (_error, stdout) => resolve(stdout.trim().split('\n')),
    );
  });
  expect(lines.at(-1)).toBe('all is read');
  expect(lines.length).toBeGreaterThan(25);
});
