import { InvalidArgumentError } from 'commander';

/** For options of commander that take a whole number from `least` on. */
export const wholeFrom = (least) => (text) => {
  const number = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(number) && number >= least) return number;
  throw new InvalidArgumentError(`It takes a whole number from ${least} on.`);
};
