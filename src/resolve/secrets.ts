import { createHmac, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import type { Stats } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { PointsmanError } from '../errors.js';
import { makeFolder, replaceFile, syncFolder } from '../files.js';

/** Values of a project's secrets and their keyed hash; neither is ever logged. */
export interface Secrets {
  readonly values: Readonly<Record<string, string>>;
  /** HMAC-SHA-256 over names and values, 64 hex digits; null for a project without secrets. */
  readonly hash: string | null;
}

const keyBytes = 32;
/** Larger values are files, which an environment cannot carry well; Linux allows 128 KiB a variable. */
const longestSecretBytes = 64 * 1024;

/** Secret values on this server, one file each: `<dir>/<project>/<NAME>`. */
export class SecretFiles {
  #keyIsDurable = false;
  #making: Promise<void> | null = null;

  constructor(private readonly dir: string) {}

  /**
   * Makes the key of the hash when there is none. `inUse`: containers with secrets exist, so that a
   * new key would change their revisions; then nothing is made.
   * @throws PointsmanError SecretKeyMissing, SecretUnreadable
   */
  async ensureKey(inUse: boolean): Promise<void> {
    if ((await this.readKey()) !== null) return;
    if (inUse) throw this.keyMissing();
    // Two that make one at the same time would each read revisions by a key of their own.
    this.#making ??= this.makeKey().finally(() => {
      this.#making = null;
    });
    await this.#making;
  }

  private async makeKey(): Promise<void> {
    if ((await this.readKey()) !== null) return;
    await makeFolder(this.dir, 0o700);
    await replaceFile(this.keyPath, randomBytes(keyBytes).toString('hex') + '\n', 0o600);
  }

  /** @throws PointsmanError SecretMissing, SecretUnreadable, SecretKeyMissing */
  async read(project: string, names: readonly string[]): Promise<Secrets> {
    if (names.length === 0) return { values: {}, hash: null };
    const key = await this.readKey();
    if (key === null) throw this.keyMissing();
    const values: Record<string, string> = {};
    const mac = createHmac('sha256', key);
    for (const name of [...names].sort()) {
      const value = await this.readValue(project, name);
      values[name] = value;
      mac.update(`${Buffer.byteLength(name)}:${name}${Buffer.byteLength(value)}:${value}`);
    }
    return { values, hash: mac.digest('hex') };
  }

  private get keyPath(): string {
    return join(this.dir, '.key');
  }

  private keyMissing(): PointsmanError {
    return new PointsmanError(
      'SecretKeyMissing',
      `${this.keyPath} is missing: restore it; a new one is made once no container of ours has secrets`,
    );
  }

  private async readKey(): Promise<string | null> {
    let text: string;
    try {
      const handle = await open(this.keyPath, constants.O_RDONLY | constants.O_NONBLOCK);
      try {
        refusePublic(`the key ${this.keyPath}`, this.keyPath, await handle.stat());
        text = (await handle.readFile('utf8')).trim();
      } finally {
        await handle.close();
      }
    } catch (error) {
      if (error instanceof PointsmanError) throw error;
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'ENOENT' || code === 'ENOTDIR') return null;
      throw new PointsmanError(
        'SecretUnreadable',
        `${this.keyPath} cannot be read (${code}): make it readable for the controller`,
      );
    }
    if (/^[0-9a-f]{64}$/.test(text)) {
      await this.keepKey();
      return text;
    }
    throw new PointsmanError(
      'SecretUnreadable',
      `${this.keyPath} does not hold 64 hex digits: restore it from a backup`,
    );
  }

  /** Whoever made the key may have died before its name was on the disk: no revision counts on it before. */
  private async keepKey(): Promise<void> {
    if (this.#keyIsDurable) return;
    await syncFolder(this.dir);
    this.#keyIsDurable = true;
  }

  private async readValue(project: string, name: string): Promise<string> {
    const path = join(this.dir, project, name);
    let handle;
    try {
      handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'ENOENT' || code === 'ENOTDIR') {
        throw new PointsmanError(
          'SecretMissing',
          `secret ${name} has no file ${path}: put its value there, mode 0600`,
        );
      }
      throw new PointsmanError(
        'SecretUnreadable',
        `secret file ${path} cannot be read (${code}): make it a plain file, mode 0600, owned by the controller's user`,
      );
    }
    try {
      const facts = await handle.stat();
      refusePublic(`secret file ${path}`, path, facts);
      if (facts.size > longestSecretBytes) {
        throw new PointsmanError(
          'SecretUnreadable',
          `secret file ${path} has ${facts.size} bytes, at most ${longestSecretBytes} fit an environment variable`,
        );
      }
      const text = await handle.readFile('utf8');
      // What somebody is writing at this moment reads as empty.
      if (text.trim() === '')
        throw new PointsmanError('SecretUnreadable', `secret file ${path} is empty: put its value there`);
      if (text.includes('\0'))
        throw new PointsmanError(
          'SecretUnreadable',
          `secret file ${path} holds a NUL byte, which no environment variable can carry`,
        );
      return text.replace(/\r?\n$/, '');
    } finally {
      await handle.close();
    }
  }
}

/** @throws PointsmanError SecretUnreadable for what others can read or change */
function refusePublic(what: string, path: string, facts: Stats): void {
  if (!facts.isFile()) throw new PointsmanError('SecretUnreadable', `${what} is not a plain file`);
  if ((facts.mode & 0o077) !== 0) {
    const mode = (facts.mode & 0o777).toString(8);
    throw new PointsmanError(
      'SecretUnreadable',
      `${what} has mode ${mode}, others can read it: chmod 600 ${path}`,
    );
  }
  if (facts.uid !== 0 && facts.uid !== process.geteuid?.()) {
    throw new PointsmanError(
      'SecretUnreadable',
      `${what} belongs to user ${facts.uid}, who can read and change it: chown it to root or the controller's user`,
    );
  }
}
