import type { ContainerRuntime, ContainerSpec, NetworkFacts } from '../../../src/runtime/port.js';
import type { ContractCase } from './contract.js';
import { codeOf, same } from './contract.js';

export interface EngineSubject {
  readonly runtime: ContainerRuntime;
  /** An image whose containers run until they are stopped. */
  readonly image: string;
  spec(network: NetworkFacts, change?: Partial<ContainerSpec>): ContainerSpec;
  /** Waits for one call; the simulation moves its time meanwhile. */
  done<T>(work: Promise<T>): Promise<T>;
}

async function made(
  subject: EngineSubject,
  project: string,
  change: Partial<ContainerSpec> = {},
): Promise<string> {
  const network = await subject.done(subject.runtime.ensureNetwork(project));
  return subject.done(subject.runtime.create(subject.spec(network, change)));
}

async function stateOf({ runtime, done }: EngineSubject, id: string): Promise<string | undefined> {
  return (await done(runtime.containers())).find((container) => container.id === id)?.state;
}

/** What the controller counts on, of any engine. */
export const engineContract: readonly ContractCase<EngineSubject>[] = [
  {
    name: 'a container that was made stands at its address and has not run',
    async run(subject) {
      const network = await subject.done(subject.runtime.ensureNetwork('one'));
      const id = await made(subject, 'one');
      const found = (await subject.done(subject.runtime.containers('one'))).find((each) => each.id === id);
      same(await subject.done(subject.runtime.container(id)), found);
      same(
        [found?.state, found?.address, found?.exitCode, found?.startedAt],
        ['created', network.addresses.blue, null, null],
      );
      same(
        await codeOf(subject.done(subject.runtime.waitForExit(id, new AbortController().signal))),
        'StartFailed',
      );
    },
  },
  {
    name: 'a name is given once',
    async run(subject) {
      const id = await made(subject, 'two');
      same(await codeOf(made(subject, 'two')), 'NameTaken');
      const { name } = subject.spec(await subject.done(subject.runtime.ensureNetwork('two')));
      const holder = await subject.done(subject.runtime.nameHolder(name));
      same(
        { id: holder?.id, ours: holder?.ours, hasInstance: holder?.instance !== null },
        { id, ours: true, hasInstance: true },
      );
      same(await subject.done(subject.runtime.nameHolder('pointsman-nobody')), null);
    },
  },
  {
    name: 'starting, stopping and removing can be repeated',
    async run(subject) {
      const { runtime, done } = subject;
      const id = await made(subject, 'three');
      for (let time = 0; time < 2; time += 1) await done(runtime.start(id));
      same(await stateOf(subject, id), 'running');
      for (let time = 0; time < 2; time += 1) await done(runtime.stop(id, 1_000));
      same(await stateOf(subject, id), 'exited');
      await done(runtime.start(id));
      same(await stateOf(subject, id), 'running');
      for (let time = 0; time < 2; time += 1) await done(runtime.remove(id));
      same(await stateOf(subject, id), undefined);
      same(await done(runtime.container(id)), null);
      await done(runtime.stop(id, 1_000));
      same(await codeOf(done(runtime.start(id))), 'StartFailed');
      same(await codeOf(done(runtime.waitForExit(id, new AbortController().signal))), 'StartFailed');
    },
  },
  {
    name: 'an address serves one running container',
    async run(subject) {
      const { runtime, done } = subject;
      const first = await made(subject, 'four');
      await done(runtime.start(first));
      const second = await made(subject, 'four', { name: 'pointsman-contract-second' });
      same(await codeOf(done(runtime.start(second))), 'StartFailed');
      await done(runtime.stop(first, 1_000));
      await done(runtime.start(second));
      same(await stateOf(subject, second), 'running');
      await done(runtime.remove(second));
    },
  },
  {
    name: 'the restart policy changes in place',
    async run(subject) {
      const { runtime, done } = subject;
      const id = await made(subject, 'five');
      await done(runtime.start(id));
      await done(runtime.setRestartPolicy(id, 'unless-stopped'));
      const [found] = await done(runtime.containers('five'));
      same([found?.restartPolicy, found?.state], ['unless-stopped', 'running']);
      await done(runtime.stop(id, 1_000));
      same(await stateOf(subject, id), 'exited');
    },
  },
  {
    name: 'a project has one network, which goes when it is empty',
    async run({ runtime, done }) {
      const network = await done(runtime.ensureNetwork('six'));
      same(await done(runtime.ensureNetwork('six')), network);
      const other = await done(runtime.ensureNetwork('seven'));
      same(other.subnet === network.subnet, false);
      for (const project of ['six', 'six', 'seven']) await done(runtime.removeNetwork(project));
      same(await done(runtime.network('six')), null);
    },
  },
  {
    name: 'a project is there while it has a container or a network',
    async run(subject) {
      const { runtime, done } = subject;
      const isThere = async (): Promise<boolean> => (await done(runtime.projects())).includes('fourteen');
      same(await isThere(), false);
      await done(runtime.ensureNetwork('fourteen'));
      same(await isThere(), true);
      const id = await made(subject, 'fourteen');
      same(
        (await done(runtime.projects())).filter((each) => each === 'fourteen'),
        ['fourteen'],
      );
      await done(runtime.remove(id));
      same(await isThere(), true);
      await done(runtime.removeNetwork('fourteen'));
      same(await isThere(), false);
    },
  },
  {
    name: 'a tag can be put on an image and taken away once',
    async run({ runtime, image, done }) {
      await done(runtime.tag(image, 'pointsman/contract:key'));
      same((await done(runtime.image('pointsman/contract:key')))?.id, image);
      same(await done(runtime.removeImage('pointsman/contract:key')), true);
      same(await done(runtime.image('pointsman/contract:key')), null);
      same(await done(runtime.removeImage('pointsman/contract:key')), false);
    },
  },
];
