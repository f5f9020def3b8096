import { chmod, readdir } from 'node:fs/promises';
import { PointsmanError } from '../errors.js';
import { makeFolder, missingFolders, removeFile, replaceFile, textAtOnce } from '../files.js';
import type { Slot } from '../manifest/project.js';
import { otherSlot, slots } from '../manifest/project.js';
import type { Layout } from './layout.js';
import { isProjectName, switchFile } from './layout.js';
import type { NginxProcess } from './nginx-process.js';
import type { RouteFacts, SwitchRecord } from './port.js';
import { askNginx } from './verify.js';

/** nginx only looks whether the file is there, so that nobody else has to read it. */
const switchFileMode = 0o600;
/** Others may search the folder and not list it. */
export const searchable = 0o711;

/**
 * The switch files: `<project>.blue` and `<project>.green`, green wins. Each change is one create or one
 * unlink; the file's content is the record that brings a lost container back.
 */
export class SwitchFiles {
  constructor(
    private readonly layout: Layout,
    private readonly verify: string,
    private readonly nginx: NginxProcess,
  ) {}

  read(project: string): RouteFacts['switches'] {
    return { blue: this.#readSlot(project, 'blue'), green: this.#readSlot(project, 'green') };
  }

  /** Projects that have a switch file. */
  async projects(): Promise<readonly string[]> {
    const names = await readdir(this.layout.switches).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    return [
      ...new Set(
        names.flatMap((name) => /^([^.]+)\.(blue|green)$/.exec(name)?.[1] ?? []).filter(isProjectName),
      ),
    ];
  }

  async write(record: SwitchRecord): Promise<void> {
    // The folder may be gone, and the umask may be strict: nginx's workers have to see through it.
    if (missingFolders(this.layout.switches).length > 0) {
      await makeFolder(this.layout.switches, searchable);
      await chmod(this.layout.switches, searchable);
    }
    await replaceFile(
      switchFile(this.layout, record.project, record.slot),
      `${JSON.stringify(record)}\n`,
      switchFileMode,
    );
  }

  async clear(project: string): Promise<void> {
    for (const slot of slots) await this.#remove(project, slot);
  }

  /**
   * Traffic moves at the create of green or at the unlink of green. Between a change and the removal of
   * the other file every worker ends its turn, so that no request finds neither file. When a worker
   * stalls, or nginx does not say afterwards what the files say, they are put back.
   * @throws PointsmanError SwitchFailed, NginxUnavailable
   */
  async switchTo(record: SwitchRecord, signal: AbortSignal): Promise<void> {
    const { project, slot } = record;
    const other = otherSlot(slot);
    const before = this.read(project)[other];
    await this.write(record);
    try {
      await this.nginx.barrier(signal);
      if (slot === 'blue') await this.#remove(project, other);
      await this.#expect(project, slot, signal);
    } catch (error) {
      await this.#putBack(project, slot, before);
      throw error;
    }
    if (slot === 'green') await this.#remove(project, other);
  }

  async liveSlot(project: string, signal?: AbortSignal): Promise<Slot | null> {
    const answer = await askNginx(this.verify, `/live/${project}`, signal);
    return slots.find((slot) => slot === answer) ?? null;
  }

  async #expect(project: string, slot: Slot, signal: AbortSignal): Promise<void> {
    const seen = await this.liveSlot(project, signal);
    if (seen === slot) return;
    const why =
      seen === null
        ? `its workers cannot see ${this.layout.switches}: every folder on the way to it must be searchable for them`
        : `it routes to ${seen}`;
    throw new PointsmanError('SwitchFailed', `nginx does not route to ${slot}: ${why}`);
  }

  async #putBack(
    project: string,
    slot: Slot,
    before: { readonly record: SwitchRecord | null } | null,
  ): Promise<void> {
    if (before === null) return;
    if (before.record !== null) await this.write(before.record);
    if (before.record !== null || slot === 'green') await this.#remove(project, slot);
  }

  async #remove(project: string, slot: Slot): Promise<void> {
    try {
      await removeFile(switchFile(this.layout, project, slot));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }

  #readSlot(project: string, slot: Slot): { readonly record: SwitchRecord | null } | null {
    try {
      const text = textAtOnce(switchFile(this.layout, project, slot));
      return text === null ? null : { record: parseRecord(text, project, slot) };
    } catch {
      return { record: null };
    }
  }
}

function parseRecord(text: string, project: string, slot: Slot): SwitchRecord | null {
  try {
    const record = JSON.parse(text) as Partial<SwitchRecord>;
    const texts = [
      record.revision,
      record.imageKey,
      record.image,
      record.configCommit,
      record.deployment,
      record.since,
      record.spec,
    ];
    const whole =
      record.version === 1 &&
      record.project === project &&
      record.slot === slot &&
      texts.every((value) => typeof value === 'string') &&
      (record.sourceCommit === null || typeof record.sourceCommit === 'string');
    if (!whole) return null;
    return {
      ...(record as SwitchRecord),
      isRollback: record.isRollback === true,
      previous: record.previous ?? null,
    };
  } catch {
    return null;
  }
}
