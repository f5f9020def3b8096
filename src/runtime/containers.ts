import type Docker from 'dockerode';
import type { Logger } from 'pino';
import { PointsmanError } from '../errors.js';
import type { EngineClient } from './engine-client.js';
import { containerOptions } from './container-options.js';
import { EngineRefusal, isRefusal } from './engine-errors.js';
import { startFailed } from './start-failure.js';
import { ensureVolume } from './volumes.js';
import { instanceLabel, isOurContainer, networkName, projectLabel, readLabels } from './labels.js';
import type { ContainerFacts, ContainerSpec, NameHolder } from './port.js';

/** Of a container whose removal somebody else has begun. */
const removalLimitMs = 30_000;
/** Ids of containers that are known to be ours, 64 bytes each. */
const mostKnown = 50_000;
/** Beside the stop timeout: the engine kills, unmounts, and answers. */
const stopMarginMs = 30_000;

export interface ContainersDeps {
  readonly client: EngineClient;
  readonly instance: string;
  readonly log: Logger;
  /** Whether the engine has an init binary; asked once. */
  readonly hasInit: () => Promise<boolean>;
}

/** Containers of one instance. What carries no label of it is never changed. */
export class Containers {
  /** Complained about already; one line for each is enough. */
  readonly #malformed = new Set<string>();
  /** Ids seen with our labels: an id keeps its labels as long as it lives, and is never given again. */
  readonly #known = new Set<string>();

  constructor(readonly deps: ContainersDeps) {}

  async list(project?: string): Promise<readonly ContainerFacts[]> {
    const all = await this.deps.client.each(await this.#listed(project), async ({ Id }) => {
      const inspected = await this.#inspect(Id);
      return inspected === null ? null : this.#facts(inspected);
    });
    return all.filter((facts) => facts !== null);
  }

  async find(id: string): Promise<ContainerFacts | null> {
    const inspected = await this.#inspect(id);
    return inspected === null || !this.#isOurs(inspected) ? null : this.#facts(inspected);
  }

  /** Of every container that carries all labels of ours, without a look at each. */
  async projects(): Promise<readonly string[]> {
    const found = await this.#listed();
    return found.flatMap(({ Labels }) => {
      const labels = readLabels(Labels);
      return 'malformed' in labels ? [] : [labels.project];
    });
  }

  async holder(name: string): Promise<NameHolder | null> {
    const found = await this.#inspect(name);
    // The engine also finds containers by the beginning of their id.
    if (found === null || found.Name !== `/${name}`) return null;
    const labels = found.Config.Labels;
    return {
      id: found.Id,
      ours: isOurContainer(labels, this.deps.instance),
      instance: labels[instanceLabel] ?? null,
    };
  }

  async create(spec: ContainerSpec): Promise<string> {
    const { client, instance } = this.deps;
    for (const { volume } of spec.volumes) await ensureVolume(this.deps, volume, spec.labels.project);
    const options = containerOptions(spec, await this.deps.hasInit());
    try {
      const made = await client.call(`create the container ${spec.name}`, (docker) =>
        docker.createContainer(options),
      );
      return made.id;
    } catch (error) {
      if (isRefusal(error, 409)) {
        const holder = await this.holder(spec.name);
        if (holder !== null) throw nameTaken(spec.name, holder, instance);
      }
      if (isRefusal(error, 400, 404, 409)) throw startFailed(`container ${spec.name} cannot be made`, error);
      throw error;
    }
  }

  async start(id: string): Promise<void> {
    await this.#requireOurs(id);
    try {
      await this.deps.client.call(`start the container ${short(id)}`, (docker) =>
        docker.getContainer(id).start(),
      );
    } catch (error) {
      if (isRefusal(error, 304)) return;
      // The engine answers 500 as well to what is wrong with the container itself.
      if (error instanceof EngineRefusal) throw startFailed(`container ${short(id)} does not start`, error);
      throw error;
    }
  }

  async stop(id: string, timeoutMs: number): Promise<void> {
    await this.#requireOurs(id);
    const seconds = Math.ceil(timeoutMs / 1000);
    try {
      await this.deps.client.longCall(
        `stop the container ${short(id)}`,
        seconds * 1000 + stopMarginMs,
        (docker, abortSignal) => docker.getContainer(id).stop({ t: seconds, abortSignal }),
      );
    } catch (error) {
      if (!isRefusal(error, 304, 404)) throw error;
    }
  }

  async remove(id: string): Promise<void> {
    await this.#requireOurs(id);
    try {
      // `v` removes the anonymous volumes that the image declares; named ones stay.
      await this.deps.client.longCall(
        `remove the container ${short(id)}`,
        removalLimitMs,
        (docker, abortSignal) => docker.getContainer(id).remove({ force: true, v: true, abortSignal }),
      );
    } catch (error) {
      if (isRefusal(error, 404)) return;
      if (!isRefusal(error, 409)) throw error;
      await this.#removedByAnother(id);
    }
  }

  async setRestartPolicy(id: string, policy: 'no' | 'unless-stopped'): Promise<void> {
    const found = await this.#inspect(id);
    if (found !== null) this.#mustBeOurs(found);
    // For a running container the engine starts runc for it: 11 ms of the processor, a question takes 0.5.
    if (found?.HostConfig.RestartPolicy?.Name === policy) return;
    try {
      await this.deps.client.call(`change the restart policy of container ${short(id)}`, (docker) =>
        docker.getContainer(id).update({ RestartPolicy: { Name: policy } }),
      );
    } catch (error) {
      if (isRefusal(error, 404)) throw gone(id, 'cannot be changed', error);
      throw error;
    }
  }

  async waitForExit(id: string, signal: AbortSignal): Promise<number> {
    const { client } = this.deps;
    const what = `wait for container ${short(id)}`;
    try {
      const path = `/containers/${encodeURIComponent(id)}/wait`;
      const stream = await client.stream({
        what,
        method: 'POST',
        path,
        query: { condition: 'not-running' },
        signal,
      });
      for await (const message of client.messages(what, stream, signal)) {
        const { StatusCode, Error: fault } = message as {
          StatusCode?: number;
          Error?: { Message?: string } | null;
        };
        if (fault?.Message)
          throw new PointsmanError(
            'StartFailed',
            `container ${short(id)} cannot be awaited: ${fault.Message}`,
          );
        if (StatusCode === undefined) continue;
        await this.#requireStarted(id);
        return StatusCode;
      }
    } catch (error) {
      if (!isRefusal(error, 404)) throw error;
      throw gone(id, 'cannot be awaited', error);
    }
    throw client.toError(what, new Error('its answer ended before the container did'));
  }

  #listed(project?: string): Promise<Docker.ContainerInfo[]> {
    const { client, instance } = this.deps;
    const label = [
      `${instanceLabel}=${instance}`,
      ...(project === undefined ? [] : [`${projectLabel}=${project}`]),
    ];
    return client.read('list the containers', (docker) =>
      docker.listContainers({ all: true, filters: { label } }),
    );
  }

  /** Of a container with the label of our instance. */
  #facts(found: Docker.ContainerInspectInfo): ContainerFacts | null {
    const labels = readLabels(found.Config.Labels ?? {});
    if ('malformed' in labels) {
      if (this.#malformed.size > 1000) this.#malformed.clear();
      if (!this.#malformed.has(found.Id)) {
        this.#malformed.add(found.Id);
        const fields = { container: found.Id, name: found.Name, label: labels.malformed };
        this.deps.log.warn(
          fields,
          'container carries our instance label but not all labels of ours, left alone',
        );
      }
      return null;
    }
    this.#remember(found.Id);
    const started = instant(found.State.StartedAt);
    const endpoint = found.NetworkSettings.Networks[networkName(labels.project)];
    const fixed = (endpoint?.IPAMConfig as { IPv4Address?: string } | null | undefined)?.IPv4Address;
    return {
      id: found.Id,
      name: found.Name.replace(/^\//, ''),
      image: found.Image,
      state: found.State.Status as ContainerFacts['state'],
      exitCode: found.State.Running || started === null ? null : found.State.ExitCode,
      outOfMemory: found.State.OOMKilled,
      startedAt: started,
      createdAt: instant(found.Created) ?? 0,
      restartCount: found.RestartCount,
      restartPolicy: found.HostConfig.RestartPolicy?.Name || 'no',
      address: endpoint?.IPAddress || fixed || null,
      labels,
    };
  }

  /** The engine calls a container that was made only stopped, with exit code 0: a release that never ran would count as done. */
  async #requireStarted(id: string): Promise<void> {
    const found = await this.#inspect(id);
    if (found?.State.Status !== 'created') return;
    throw new PointsmanError('StartFailed', `container ${short(id)} was never started; nothing to wait for`);
  }

  async #inspect(id: string): Promise<Docker.ContainerInspectInfo | null> {
    try {
      return await this.deps.client.read(`inspect the container ${short(id)}`, (docker) =>
        docker.getContainer(id).inspect(),
      );
    } catch (error) {
      if (isRefusal(error, 404)) return null;
      throw error;
    }
  }

  #isOurs({ Config }: Docker.ContainerInspectInfo): boolean {
    return isOurContainer(Config.Labels, this.deps.instance);
  }

  #remember(id: string): void {
    if (this.#known.size >= mostKnown) this.#known.clear();
    this.#known.add(id);
  }

  /** One that is gone is nobody's: the call that follows hears so. @throws NameTaken when it is a stranger's */
  async #requireOurs(id: string): Promise<void> {
    if (this.#known.has(id)) return;
    const found = await this.#inspect(id);
    if (found !== null) this.#mustBeOurs(found);
  }

  #mustBeOurs(found: Docker.ContainerInspectInfo): void {
    if (this.#isOurs(found)) return this.#remember(found.Id);
    throw new PointsmanError(
      'NameTaken',
      `container ${short(found.Id)} (${found.Name.slice(1)}) was not made by instance ${this.deps.instance} and is left alone`,
      { detail: { container: found.Id } },
    );
  }

  async #removedByAnother(id: string): Promise<void> {
    try {
      await this.deps.client.longCall(
        `see container ${short(id)} removed`,
        removalLimitMs,
        (docker, abortSignal) => docker.getContainer(id).wait({ condition: 'removed', abortSignal }),
      );
    } catch (error) {
      if (!isRefusal(error, 404)) throw error;
    }
  }
}

function nameTaken(
  name: string,
  holder: { readonly id: string; readonly ours: boolean },
  instance: string,
): PointsmanError {
  const id = short(holder.id);
  const message = holder.ours
    ? `the container name ${name} is still held by container ${id} of this instance; remove it first`
    : `the container name ${name} is held by container ${id}, which instance ${instance} did not make; free it (docker rename ${id} NAME, or docker rm -f ${id}) or rename the project`;
  return new PointsmanError('NameTaken', message, { detail: { container: holder.id } });
}

function gone(id: string, why: string, cause: unknown): PointsmanError {
  return new PointsmanError('StartFailed', `container ${short(id)} is gone and ${why}`, { cause });
}

/** Milliseconds since the epoch; null for the engine's zero time. */
function instant(time: string): number | null {
  const at = Date.parse(time);
  return Number.isNaN(at) || at <= 0 ? null : at;
}

function short(id: string): string {
  return /^[0-9a-f]{64}$/.test(id) ? id.slice(0, 12) : id;
}
