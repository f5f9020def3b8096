/** True when dotted `version` is at least `least`, compared number by number; what is not a number counts as 0. */
export function isAtLeast(version: string, least: string): boolean {
  const numbers = (text: string): number[] => text.split('.').map((part) => Number.parseInt(part, 10) || 0);
  const [have, need] = [numbers(version), numbers(least)];
  for (let index = 0; index < need.length; index += 1) {
    const difference = (have[index] ?? 0) - (need[index] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}
