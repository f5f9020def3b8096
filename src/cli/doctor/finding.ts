/** One thing that was looked at. */
export interface Finding {
  readonly area:
    'settings' | 'docker' | 'nginx' | 'git' | 'config repository' | 'addresses' | 'permissions' | 'machine';
  /** `warn`: it works, and a person should know. `fail`: it will not work. */
  readonly level: 'ok' | 'warn' | 'fail';
  /** What was found, with the value. */
  readonly message: string;
  /** What to do about it; null when all is well. */
  readonly mend: string | null;
}

type Area = Finding['area'];

export function ok(area: Area, message: string): Finding {
  return { area, level: 'ok', message, mend: null };
}

export function warn(area: Area, message: string, mend: string): Finding {
  return { area, level: 'warn', message, mend };
}

export function fail(area: Area, message: string, mend: string): Finding {
  return { area, level: 'fail', message, mend };
}

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
