/** The engine alone, as anybody's program could use it: the floor under everything that is measured. */
import { randomBytes } from 'node:crypto';
import type Docker from 'dockerode';
import { contextOf, engine } from '../support/engine.js';
import { timed } from './numbers.js';
import { applicationFiles, firstAnswer } from './project.js';

export class BareEngine {
  readonly image: string;
  readonly #network: Docker.Network;

  private constructor(image: string, network: Docker.Network) {
    this.image = image;
    this.#network = network;
  }

  /** With an image of the benchmarks' application, and a network, which containers of Pointsman have as well. */
  static async create(): Promise<BareEngine> {
    const name = `bench-${randomBytes(3).toString('hex')}`;
    const bare = new BareEngine(name, await engine.createNetwork({ Name: name }));
    await bare.build().catch(async (error: unknown) => {
      await bare.close();
      throw error;
    });
    return bare;
  }

  /** Builds the image through BuildKit; everything is in the cache but the first time. */
  async build(): Promise<void> {
    const context = contextOf(await applicationFiles());
    const stream = await engine.buildImage(context, { t: this.image, version: '2' });
    await new Promise<void>((resolve, reject) => {
      engine.modem.followProgress(stream, (error: Error | null, lines: readonly { error?: string }[]) => {
        const failed = error?.message ?? lines.find((line) => line.error !== undefined)?.error;
        if (failed === undefined) resolve();
        else reject(new Error(`the bare build failed: ${failed}`));
      });
    });
  }

  /** A container with what Pointsman sets as well, not started; `over` is added to its `HostConfig`. */
  make(version: string, over: Docker.HostConfig = {}): Promise<Docker.Container> {
    return engine.createContainer({
      Image: this.image,
      Env: ['PORT=3000', `VERSION=${version}`],
      ExposedPorts: { '3000/tcp': {} },
      HostConfig: {
        ...over,
        Init: true,
        PidsLimit: 512,
        RestartPolicy: { Name: 'no' },
        NetworkMode: this.image,
      },
    });
  }

  /** Milliseconds of create, start and the first 200. */
  async firstAnswer(version: string): Promise<number> {
    let container: Docker.Container | null = null;
    try {
      return await timed(async () => {
        container = await this.make(version);
        await container.start();
        await firstAnswer({ host: await this.address(container), port: 3000 }, 'any', version);
      });
    } finally {
      await (container as Docker.Container | null)?.remove({ force: true });
    }
  }

  /** Of a running one. */
  async address(container: Docker.Container): Promise<string> {
    const { NetworkSettings } = await container.inspect();
    return NetworkSettings.Networks[this.image]?.IPAddress ?? '';
  }

  async close(): Promise<void> {
    await this.#network.remove();
    await engine
      .getImage(this.image)
      .remove({ force: true })
      .catch(() => undefined);
  }
}
