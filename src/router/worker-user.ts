import { readFile } from 'node:fs/promises';

export interface WorkerUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** The unprivileged user that nginx's packages make: Debian's, nginx.org's, or nobody. */
export async function workerUser(): Promise<WorkerUser | null> {
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  for (const name of ['www-data', 'nginx', 'nobody']) {
    const entry = lines.find(([user]) => user === name);
    if (entry !== undefined) return { name, uid: Number(entry[2]), gid: Number(entry[3]) };
  }
  return null;
}
