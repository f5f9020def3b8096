import type { ConfigRepository, GitSource, SourceRepository } from '../../../src/source/port.js';
import type { ContractCase } from './contract.js';
import { codeOf, same } from './contract.js';

/** What one controller holds of Git servers. */
export interface GitAdapters {
  readonly config: ConfigRepository;
  readonly sources: SourceRepository;
}

export interface GitSubject {
  /** Adapters of a controller that starts now, on the mirrors that the one before has left. */
  open(): Promise<GitAdapters>;
  /** Commits these files, and no others, to the config repository's branch, which is not there before. */
  commitConfig(files: Readonly<Record<string, string>>): Promise<string>;
  /** Forces the branch to a commit. */
  moveConfig(commit: string): Promise<void>;
  /** Where the application's repository is. Made with its first commit. */
  readonly repo: string;
  commitApp(): Promise<string>;
  moveApp(commit: string): Promise<void>;
  /** All servers go away, or come back. */
  setDown(isDown: boolean): Promise<void>;
  /** Waits for one call; the simulation moves its time meanwhile. */
  done<T>(work: Promise<T>): Promise<T>;
}

const { signal } = new AbortController();

function manifest(name: string): Record<string, string> {
  const text = `apiVersion: pointsman.dev/v1\nkind: Project\nname: ${name}\nimage: ${name}:1\n`;
  return { [`projects/${name}.yaml`]: text };
}

function followed(repo: string, commit: string | null = null): GitSource {
  const build = { dockerfile: 'Dockerfile', target: null, args: {}, timeoutMs: 60_000 };
  return { kind: 'git', repo, ref: null, commit, path: '.', build };
}

/** Commit, names and error code of a look. */
async function look({ done }: GitSubject, { config }: GitAdapters): Promise<readonly unknown[]> {
  const { desired, error } = await done(config.sync(signal));
  return [desired?.commit ?? null, [...(desired?.projects.keys() ?? [])].sort(), error?.code ?? null];
}

async function commitOf({ done }: GitSubject, { sources }: GitAdapters, source: GitSource): Promise<string> {
  return (await done(sources.resolve(source, signal))).commit;
}

/** What the controller counts on, of the config repository and of applications' sources. */
export const gitContract: readonly ContractCase<GitSubject>[] = [
  {
    name: 'a branch that is not there is an error without a state',
    async run(subject) {
      same(await look(subject, await subject.open()), [null, [], 'RefMissing']);
    },
  },
  {
    name: 'a look sees the tip of its moment, forward and back',
    async run(subject) {
      const first = await subject.commitConfig(manifest('one'));
      const git = await subject.open();
      same(await look(subject, git), [first, ['one'], null]);
      const second = await subject.commitConfig({ ...manifest('one'), ...manifest('two') });
      same(await look(subject, git), [second, ['one', 'two'], null]);
      await subject.moveConfig(first);
      same(await look(subject, git), [first, ['one'], null]);
      const older = await subject.done(git.config.readAt(second, signal));
      same([older.commit, [...older.projects.keys()].sort()], [second, ['one', 'two']]);
      same(await look(subject, git), [first, ['one'], null]);
    },
  },
  {
    name: 'a folder without a manifest holds removals back, one manifest less does not',
    async run(subject) {
      await subject.commitConfig({ ...manifest('one'), ...manifest('two') });
      const git = await subject.open();
      same((await subject.done(git.config.sync(signal))).desired?.removalsHeldBecause, null);
      await subject.commitConfig(manifest('one'));
      same((await subject.done(git.config.sync(signal))).desired?.removalsHeldBecause, null);
      const empty = await subject.commitConfig({});
      const { desired, error } = await subject.done(git.config.sync(signal));
      same([desired?.commit, desired?.projects.size, error], [empty, 0, null]);
      same(typeof desired?.removalsHeldBecause, 'string');
    },
  },
  {
    name: 'while the server is away the last state counts, also after a restart',
    async run(subject) {
      const commit = await subject.commitConfig(manifest('one'));
      same(await look(subject, await subject.open()), [commit, ['one'], null]);
      const git = await subject.open();
      await subject.setDown(true);
      for (let time = 0; time < 2; time += 1)
        same(await look(subject, git), [commit, ['one'], 'SourceUnreachable']);
      await subject.setDown(false);
      same(await look(subject, git), [commit, ['one'], null]);
    },
  },
  {
    name: 'a followed source is what the last listing said',
    async run(subject) {
      const first = await subject.commitApp();
      const git = await subject.open();
      const source = followed(subject.repo);
      same(await commitOf(subject, git, source), first);
      const second = await subject.commitApp();
      same(await commitOf(subject, git, source), first);
      same(await subject.done(git.sources.refresh([source], signal)), [source]);
      same(await commitOf(subject, git, source), second);
      same(await subject.done(git.sources.refresh([source], signal)), []);
      await subject.moveApp(first);
      same(await subject.done(git.sources.refresh([source], signal)), [source]);
      same(await commitOf(subject, git, source), first);
    },
  },
  {
    name: 'a commit has one tree, however it is asked for, and other content has another',
    async run(subject) {
      const first = await subject.commitApp();
      const git = await subject.open();
      const tree = async (commit: string | null): Promise<string> =>
        (await subject.done(git.sources.resolve(followed(subject.repo, commit), signal))).tree;
      const before = await tree(null);
      const second = await subject.commitApp();
      same(await tree(first), before);
      same((await tree(second)) === before, false);
    },
  },
  {
    name: 'a pinned source stays, and one that nobody has is CommitMissing',
    async run(subject) {
      const first = await subject.commitApp();
      await subject.commitApp();
      const git = await subject.open();
      same(await commitOf(subject, git, followed(subject.repo, first)), first);
      same(await subject.done(git.sources.refresh([followed(subject.repo, first)], signal)), []);
      same(await codeOf(commitOf(subject, git, followed(subject.repo, 'f'.repeat(40)))), 'CommitMissing');
    },
  },
  {
    name: 'while the server is away the last resolved commit counts and says so, also after a restart',
    async run(subject) {
      const first = await subject.commitApp();
      const source = followed(subject.repo);
      let git = await subject.open();
      same(await commitOf(subject, git, source), first);
      await subject.setDown(true);
      for (let life = 0; life < 2; life += 1) {
        same(await subject.done(git.sources.refresh([source], signal)), []);
        const { commit, stale } = await subject.done(git.sources.resolve(source, signal));
        same([commit, typeof stale], [first, 'string']);
        git = await subject.open();
      }
      await subject.setDown(false);
      await subject.done(git.sources.refresh([source], signal));
      same(await subject.done(git.sources.resolve(source, signal)).then(({ stale }) => stale), null);
    },
  },
  {
    name: 'what was never resolved is SourceUnreachable while the server is away',
    async run(subject) {
      const first = await subject.commitApp();
      const git = await subject.open();
      await subject.setDown(true);
      same(await codeOf(commitOf(subject, git, followed(subject.repo))), 'SourceUnreachable');
      same(await codeOf(commitOf(subject, git, followed(subject.repo, first))), 'SourceUnreachable');
      await subject.setDown(false);
      await subject.done(git.sources.refresh([followed(subject.repo)], signal));
      same(await commitOf(subject, git, followed(subject.repo)), first);
    },
  },
];
