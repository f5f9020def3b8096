import type { Clock } from '../clock.js';
import { PointsmanError } from '../errors.js';
import { joinSignals } from '../signals.js';
import type { EngineClient } from './engine-client.js';
import {
  carriesInstance,
  instanceLabel,
  isOurContainer,
  networkName,
  projectLabel,
  projectOfTag,
} from './labels.js';
import type { NetworkFacts, RuntimeEvent } from './port.js';

/** Those that can change what runs; health checks and the like of every container would only wake us. */
const actions = [
  ...[
    'create',
    'start',
    'die',
    'stop',
    'kill',
    'oom',
    'restart',
    'pause',
    'unpause',
    'rename',
    'update',
    'destroy',
  ],
  ...['connect', 'disconnect', 'remove', 'tag', 'untag', 'delete'],
];

export interface EventsDeps {
  readonly client: EngineClient;
  readonly instance: string;
  readonly clock: Clock;
  readonly networks: () => Promise<readonly NetworkFacts[]>;
}

interface EngineEvent {
  readonly Type?: string;
  readonly Action?: string;
  readonly Actor?: { readonly ID?: string; readonly Attributes?: Readonly<Record<string, string>> };
}

/**
 * Events about this instance's objects, from the moment of this call on: the engine replays those that
 * came between it and the first read, so that looking at everything in between misses nothing. Ends
 * when aborted; throws DockerUnavailable when the engine goes away.
 */
export function readEvents(deps: EventsDeps, signal: AbortSignal): AsyncIterable<RuntimeEvent> {
  const since = deps.clock.now();
  return follow(deps, since, signal);
}

async function* follow(
  deps: EventsDeps,
  since: number,
  signal: AbortSignal,
): AsyncGenerator<RuntimeEvent, void, undefined> {
  const { client } = deps;
  const what = 'report its events';
  const done = new AbortController();
  const either = joinSignals(signal, done.signal);
  try {
    if (signal.aborted) return;
    // Network events carry no labels; ids of ours are known from a list, renewed when a new one comes.
    const ours = new Map((await deps.networks()).map((network) => [network.id, network.project]));
    const query = {
      since: (since / 1000).toFixed(3),
      filters: { type: ['container', 'network', 'image'], event: actions },
    };
    const stream = await client.stream({
      what,
      method: 'GET',
      path: '/events',
      query,
      signal: either.signal,
    });
    for await (const message of client.messages(what, stream, either.signal)) {
      const event = await translate(deps, ours, message as EngineEvent);
      if (event !== null) yield event;
    }
  } catch (error) {
    if (signal.aborted) return;
    throw client.toError(what, error);
  } finally {
    done.abort();
    either.release();
  }
  if (signal.aborted) return;
  throw new PointsmanError(
    'DockerUnavailable',
    `the docker engine at ${client.socket} ended its events; is it being stopped`,
  );
}

async function translate(
  deps: EventsDeps,
  ours: Map<string, string>,
  event: EngineEvent,
): Promise<RuntimeEvent | null> {
  const attributes = event.Actor?.Attributes ?? {};
  const id = event.Actor?.ID ?? '';
  const action = event.Action ?? '';
  const nothing = { action, project: null, containerId: null, exitCode: null };
  switch (event.Type) {
    case 'container': {
      if (!isOurContainer(attributes, deps.instance)) return null;
      const exitCode =
        action === 'die' && attributes['exitCode'] !== undefined ? Number(attributes['exitCode']) : null;
      return {
        ...nothing,
        kind: 'container',
        project: attributes[projectLabel] ?? null,
        containerId: id,
        exitCode,
      };
    }
    case 'network': {
      const project = await projectOfNetwork(deps, ours, id, attributes['name'] ?? '');
      if (project === null) return null;
      return { ...nothing, kind: 'network', project, containerId: attributes['container'] ?? null };
    }
    case 'image': {
      const project = attributes[projectLabel] ?? projectOfTag(attributes['name'] ?? '');
      const foreign = attributes[instanceLabel] !== undefined && !carriesInstance(attributes, deps.instance);
      return project === null || foreign ? null : { ...nothing, kind: 'image', project };
    }
    default:
      return null;
  }
}

async function projectOfNetwork(
  deps: EventsDeps,
  ours: Map<string, string>,
  id: string,
  name: string,
): Promise<string | null> {
  const known = ours.get(id);
  if (known !== undefined) return known;
  if (!name.startsWith(networkName(''))) return null;
  for (const network of await deps.networks()) ours.set(network.id, network.project);
  return ours.get(id) ?? null;
}
