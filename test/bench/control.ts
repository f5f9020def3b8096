import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type Docker from 'dockerode';
import { engine } from '../support/engine.js';
import { endProcess, processesOf } from '../support/processes.js';
import type { BareEngine } from './bare-engine.js';
import type { Deployer } from './deployer.js';

const stopSeconds = 10;
/** Where the application listens in each of its containers. */
export const applicationPort = 3000;

/** What a control is made of. */
export interface Parts {
  readonly bare: BareEngine;
  /** Its own, removed with it; programs that name a file in it are ended with it. */
  readonly folder: string;
  /** Of this machine: the first is the load's, the second for what else the control needs. */
  readonly ports: readonly [number, number];
}

/** Containers of the application by the bare engine, one for each switch, behind whatever the control puts before them. */
export abstract class Control implements Deployer {
  readonly notes: readonly string[] = [];
  abstract readonly name: string;
  readonly host = 'swap.localhost';
  readonly port: number;
  readonly #volume = `bench-seen-${randomBytes(3).toString('hex')}`;
  readonly #containers = new Set<Docker.Container>();
  readonly #stopping: Promise<void>[] = [];
  #live: Docker.Container | null = null;

  constructor(protected readonly parts: Parts) {
    this.port = parts.ports[0];
  }

  abstract deploy(version: string, acknowledged?: () => void): Promise<void>;

  async rest(): Promise<void> {
    await Promise.all(this.#stopping.splice(0));
  }

  async close(): Promise<void> {
    const { bare, folder } = this.parts;
    try {
      await this.rest();
    } finally {
      for (const { pid } of await processesOf(folder)) await endProcess(pid);
      // One that is being stopped still may be gone by now.
      for (const container of this.#containers)
        await container.remove({ force: true }).catch(() => undefined);
      await engine
        .getVolume(this.#volume)
        .remove()
        .catch(() => undefined);
      await bare.close();
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** A container of `version`, started. Resolves to it and its address, `172.18.0.2`. */
  protected async start(
    version: string,
    over: Docker.HostConfig = {},
  ): Promise<{ readonly container: Docker.Container; readonly address: string }> {
    const { bare } = this.parts;
    const container = await bare.make(version, { Binds: [`${this.#volume}:/seen`], ...over });
    this.#containers.add(container);
    await container.start();
    return { container, address: await bare.address(container) };
  }

  /** Makes `container` the live one, and stops the one that was. Resolves when that is gone; with `afterMs`, at once. */
  protected async replace(container: Docker.Container, afterMs = 0): Promise<void> {
    const old = this.#live;
    this.#live = container;
    if (old === null) return;
    if (afterMs === 0) await this.#stop(old);
    else {
      const stopping = delay(afterMs).then(() => this.#stop(old));
      // Heard of by `rest`.
      stopping.catch(() => undefined);
      this.#stopping.push(stopping);
    }
  }

  /** Stops the live one, if there is one. */
  protected async stopLive(): Promise<void> {
    const old = this.#live;
    this.#live = null;
    if (old !== null) await this.#stop(old);
  }

  async #stop(container: Docker.Container): Promise<void> {
    await container.stop({ t: stopSeconds });
    await container.remove({ force: true });
    this.#containers.delete(container);
  }
}
