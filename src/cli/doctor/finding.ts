/** One thing that was looked at. */
export interface Finding {
  readonly area:
    | 'settings'
    | 'docker'
    | 'nginx'
    | 'git'
    | 'config repository'
    | 'addresses'
    | 'permissions'
    | 'machine'
    /** Known ones of the versions found. */
    | 'weaknesses';
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
