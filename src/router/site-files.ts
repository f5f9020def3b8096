import { createHash, randomBytes } from 'node:crypto';
import { readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { PointsmanError, messageOf } from '../errors.js';
import { NoFileOfOurs, removeFile, replaceFile, textAtOnce } from '../files.js';
import type { Settings } from '../settings/settings.js';
import { noteBatch, readBatchNote } from './batch-note.js';
import type { Layout } from './layout.js';
import { isProjectName, siteFile } from './layout.js';
import type { NginxProcess, NginxProgram } from './nginx-process.js';
import { lastError } from './nginx-process.js';
import type { Site, SiteChange, SiteOutcome } from './port.js';
import { parseSite, renderMain, renderShared, renderSite } from './render.js';

const fileMode = 0o640;
/** Site files looked at before everything else has its turn: each takes 0.04 ms. */
const filesAtOnce = 250;

interface Facts {
  readonly user: string | null;
  readonly keepaliveMinTimeout: boolean;
}

/** Site files and what stands around them. Whatever is on disk under its final name has passed `nginx -t`. */
export class SiteFiles {
  #facts: Facts = { user: null, keepaliveMinTimeout: false };
  /** Digests of what we last wrote, by path; null for a file that we took away. */
  readonly #written = new Map<string, string | null>();

  constructor(
    private readonly deps: {
      readonly settings: Settings['nginx'];
      readonly layout: Layout;
      readonly program: NginxProgram;
      readonly nginx: NginxProcess;
    },
  ) {}

  setFacts(facts: Facts): void {
    this.#facts = facts;
  }

  async projects(): Promise<readonly string[]> {
    const names = await readdir(this.deps.layout.sites).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    return names
      .flatMap((name) => (name.endsWith('.conf') ? [name.slice(0, -5)] : []))
      .filter(isProjectName)
      .sort();
  }

  read(project: string): { readonly site: Site | null; readonly present: boolean; readonly intact: boolean } {
    const text = this.#text(project);
    if (text === null) return { site: null, present: false, intact: true };
    const site = siteOf(project, text);
    return { site, present: true, intact: site !== null && text === this.#render(site) };
  }

  async sites(): Promise<readonly Site[]> {
    const sites: Site[] = [];
    for await (const project of this.#inTurns()) {
      const text = this.#text(project);
      const site = text === null ? null : siteOf(project, text);
      if (site !== null) sites.push(site);
    }
    return sites;
  }

  /** Null when there is no site file; empty for what cannot be one, as a folder of that name. */
  #text(project: string): string | null {
    try {
      return textAtOnce(siteFile(this.deps.layout, project));
    } catch (error) {
      if (error instanceof NoFileOfOurs) return '';
      throw error;
    }
  }

  /** Projects that have a site file; between some of them everything else goes on. */
  async *#inTurns(): AsyncGenerator<string> {
    for (const [index, project] of (await this.projects()).entries()) {
      if (index % filesAtOnce === filesAtOnce - 1) await turn();
      yield project;
    }
  }

  /** The generation that the files on disk have; null before the first. */
  generation(): string | null {
    const text = textAtOnce(this.deps.layout.shared);
    return /^# Written by Pointsman, generation ([0-9a-f]+)\./.exec(text ?? '')?.[1] ?? null;
  }

  /** Whether main and shared file are as we would write them. `generation` of both. */
  async isIntact(generation: string): Promise<boolean> {
    for (const [path, text] of await this.#surroundings(generation, await this.sites())) {
      if (textAtOnce(path) !== text) return false;
    }
    return true;
  }

  /** True when `path` is not as we left it: for the watch, which sees our own writes too. */
  async isForeign(path: string): Promise<boolean> {
    const written = this.#written.get(path);
    return written === undefined || digestOf(textAtOnce(path)) !== written;
  }

  /**
   * Writes main and shared file for what is on disk. Resolves to the new generation.
   * @throws PointsmanError NginxUnavailable when the machine's nginx cannot take it (system mode): all is as before then
   */
  async writeSurroundings(): Promise<string> {
    const { layout, settings } = this.deps;
    const generation = newGeneration();
    const before = textAtOnce(layout.shared);
    await this.#write(await this.#surroundings(generation, await this.sites()));
    if (settings.mode === 'managed') return generation;
    try {
      await this.#testMachine([]);
    } catch (error) {
      await this.#replace(layout.shared, before);
      throw new PointsmanError('NginxUnavailable', messageOf(error), { cause: error });
    }
    return generation;
  }

  /**
   * Site files that nginx cannot take are put aside as `<project>.conf.damaged`, so that the others
   * serve; the controller writes them anew. Resolves to their projects.
   */
  async setDamagedAside(): Promise<readonly string[]> {
    const damaged = [...(await this.mendDamaged())];
    for await (const project of this.#inTurns()) {
      const { site, present } = this.read(project);
      const path = siteFile(this.deps.layout, project);
      if (site !== null || !present) continue;
      await rename(path, `${path}.damaged`);
      damaged.push(project);
    }
    return damaged;
  }

  /** Writes those anew that still say what they are, so that one project's broken file refuses no other's. */
  async mendDamaged(): Promise<readonly string[]> {
    const mended: string[] = [];
    for await (const project of this.#inTurns()) {
      const { site, intact } = this.read(project);
      if (intact || site === null) continue;
      await this.#replace(siteFile(this.deps.layout, project), this.#render(site));
      mended.push(project);
    }
    return mended;
  }

  /** Tests the whole configuration with these changes. Null: nginx takes it; otherwise why not. */
  async test(changes: readonly SiteChange[]): Promise<string | null> {
    try {
      return await this.#test(changes);
    } catch (error) {
      if (error instanceof PointsmanError && error.code === 'RouteRefused') return error.message;
      throw error;
    }
  }

  async #test(changes: readonly SiteChange[]): Promise<string | null> {
    const { layout } = this.deps;
    const changed = new Map(changes.map(({ project, site }) => [project, site] as const));
    const kept = (await this.projects()).filter((project) => !changed.has(project));
    const includes = kept.map((project) => siteFile(layout, project));
    for (const [project, site] of changed) {
      if (site === null) continue;
      const staged = join(layout.staged, `${project}.conf`);
      await writeFile(staged, this.#render(site), { mode: fileMode });
      includes.push(staged);
    }
    const shared = renderShared(this.deps.settings, layout, { generation: 'test', sites: includes });
    await writeFile(layout.sharedTest, shared, { mode: fileMode });
    const names =
      (await this.sites()).length * 4 +
      64 +
      changes.reduce((sum, { site }) => sum + (site?.route.domains.length ?? 0), 0);
    await writeFile(layout.mainTest, this.#main(layout.sharedTest, names, join(layout.staged, 'test.pid')), {
      mode: fileMode,
    });
    const result = await this.deps.nginx.command(['-t', '-q', '-c', layout.mainTest]);
    for (const project of changed.keys()) await rm(join(layout.staged, `${project}.conf`), { force: true });
    return whyRefused(result, changes);
  }

  /**
   * Puts changes in place; they have passed `test`. Sites that give up domains go first. A crash between
   * two files is made good by `finishBatch`. Resolves to the new generation and what undoes it all.
   */
  async put(
    changes: readonly SiteChange[],
  ): Promise<{ readonly generation: string; readonly undo: () => Promise<void> }> {
    const { layout, settings } = this.deps;
    const generation = newGeneration();
    const ordered = [...changes].sort((a, b) => Number(a.site !== null) - Number(b.site !== null));
    const paths = [
      ...ordered.map(({ project }) => siteFile(layout, project)),
      layout.shared,
      ...(settings.mode === 'managed' ? [layout.main] : []),
    ];
    const before = new Map(paths.map((path) => [path, textAtOnce(path)]));
    const undo = async (): Promise<void> => {
      await removeFile(layout.batch);
      for (const [path, text] of before) await this.#replace(path, text);
    };
    try {
      const growing = [...(await this.sites()), ...changes.flatMap(({ site }) => site ?? [])];
      if (settings.mode === 'managed')
        await this.#write(
          new Map([[layout.main, this.#main(layout.shared, nameCount(growing), layout.pid)]]),
        );
      if (ordered.length > 1)
        await noteBatch(
          layout.batch,
          new Map(ordered.map(({ project, site }) => [project, site === null ? null : this.#render(site)])),
        );
      // Before the sites: after a crash between them the generations differ, and the next start reloads.
      await this.#write(new Map([[layout.shared, this.#shared(generation)]]));
      for (const { project, site } of ordered)
        await this.#replace(siteFile(layout, project), site === null ? null : this.#render(site));
      await this.#write(await this.#surroundings(generation, await this.sites()));
      if (settings.mode === 'system') await this.#testMachine(changes);
      if (ordered.length > 1) await removeFile(layout.batch);
    } catch (error) {
      await undo();
      throw error;
    }
    return { generation, undo };
  }

  /**
   * What a crash left of a batch is put in place: half of one gives a domain that moves to two projects,
   * or to none. Before anything is reloaded.
   */
  async finishBatch(): Promise<void> {
    const { layout } = this.deps;
    const batch = await readBatchNote(layout.batch);
    if (batch === null) return;
    for (const [project, text] of batch) await this.#replace(siteFile(layout, project), text);
    await removeFile(layout.batch);
  }

  /** System mode: our part has passed by itself; together with the machine's own it can still clash. */
  async #testMachine(changes: readonly SiteChange[]): Promise<void> {
    const result = await this.deps.nginx.command(['-t', '-q', '-c', this.deps.program.mainConf]);
    const why = whyRefused(result, changes);
    if (why !== null) throw new PointsmanError('RouteRefused', why);
  }

  async #surroundings(generation: string, sites: readonly Site[]): Promise<ReadonlyMap<string, string>> {
    const { layout, settings } = this.deps;
    const files = new Map([[layout.shared, this.#shared(generation)]]);
    if (settings.mode === 'managed')
      files.set(layout.main, this.#main(layout.shared, nameCount(sites), layout.pid));
    return files;
  }

  #shared(generation: string): string {
    return renderShared(this.deps.settings, this.deps.layout, { generation, sites: null });
  }

  async #write(files: ReadonlyMap<string, string>): Promise<void> {
    for (const [path, text] of files) {
      if (textAtOnce(path) === text) this.#written.set(path, digestOf(text));
      else
        await this.#replace(path, text).catch((error: unknown) => {
          throw new PointsmanError(
            'NginxUnavailable',
            `${path} cannot be written: ${messageOf(error)}; make the folder, let the controller write there, or change nginx.confDir`,
            { cause: error },
          );
        });
    }
  }

  /** `text` null: takes it away. */
  async #replace(path: string, text: string | null): Promise<void> {
    // Before: the watch may see the file at once.
    this.#written.set(path, digestOf(text));
    await (text === null ? removeFile(path) : replaceFile(path, text, fileMode));
  }

  #main(shared: string, names: number, pid: string): string {
    const { user, keepaliveMinTimeout } = this.#facts;
    // In system mode only for tests of our part alone: default servers and ports are the machine's.
    return renderMain(this.deps.layout, {
      user,
      shared,
      names,
      keepaliveMinTimeout,
      listen: this.deps.settings.listen,
      pid,
    });
  }

  #render(site: Site): string {
    return renderSite(site, this.deps.layout, this.deps.settings.listen);
  }
}

/** Null for what is no site of this project. */
function siteOf(project: string, text: string): Site | null {
  const site = parseSite(text);
  return site?.project === project ? site : null;
}

/** Tests each change alone when they fail together, so that only the offender is refused. */
export async function sortOut(
  files: Pick<SiteFiles, 'test'>,
  changes: readonly SiteChange[],
): Promise<{ readonly good: readonly SiteChange[]; readonly outcomes: readonly SiteOutcome[] }> {
  const good: SiteChange[] = [];
  const refused = new Map<SiteChange, string>();
  const admit = async (group: readonly SiteChange[]): Promise<void> => {
    const why = await files.test([...good, ...group]);
    if (why === null) {
      good.push(...group);
    } else if (group.length > 1) {
      const half = Math.ceil(group.length / 2);
      await admit(group.slice(0, half));
      await admit(group.slice(half));
    } else {
      for (const change of group) refused.set(change, why);
    }
  };
  await admit(changes);
  const outcomes = changes.map((change): SiteOutcome => {
    const message = refused.get(change);
    return message === undefined ? { kind: 'applied' } : { kind: 'refused', message };
  });
  return { good, outcomes };
}

/** Null when nginx takes it. A conflicting name of ours is a failure, though nginx only warns. */
function whyRefused(
  { ok, output }: { readonly ok: boolean; readonly output: string },
  changes: readonly SiteChange[],
): string | null {
  const ours = new Set(changes.flatMap(({ site }) => site?.route.domains ?? []));
  const clash = [...output.matchAll(/conflicting server name "([^"]+)"/g)]
    .map((match) => match[1] ?? '')
    .find((name) => ours.has(name));
  if (clash !== undefined)
    return `server name ${clash} stands in another nginx file already: take it out there, or out of route.domains`;
  return ok ? null : `nginx -t: ${lastError(output)}`;
}

function digestOf(text: string | null): string | null {
  return text === null ? null : createHash('sha1').update(text).digest('base64');
}

function nameCount(sites: readonly Site[]): number {
  return sites.reduce((sum, { route }) => sum + route.domains.length, 64);
}

function newGeneration(): string {
  return randomBytes(8).toString('hex');
}
