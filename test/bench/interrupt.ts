/** Somebody ended the run. */
export class Interrupted extends Error {}

let interrupted: Promise<never> | null = null;

/** As `work`, until somebody ends the run: it rejects then, so that what is around it cleans up. A second signal ends all at once. */
export function orInterrupted<T>(work: Promise<T>): Promise<T> {
  interrupted ??= new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => reject(new Interrupted(`ended by ${signal}`)));
  });
  return Promise.race([work, interrupted]);
}
