import { isDeepStrictEqual, inspect } from 'node:util';
import { PointsmanError } from '../../../src/errors.js';

/** One promise that the simulated part and the real one both keep. Rejects when it is broken. */
export interface ContractCase<Subject> {
  readonly name: string;
  run(subject: Subject): Promise<void>;
}

export function same(found: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(found, expected)) throw new Error(`${inspect(found)} is not ${inspect(expected)}`);
}

/** The code of the PointsmanError that it rejects with, or of the system's error. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof PointsmanError) return error.code;
    return String((error as NodeJS.ErrnoException).code ?? error);
  }
  return 'no error';
}
