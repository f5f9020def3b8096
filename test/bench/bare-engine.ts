/** The engine alone, as anybody's program could use it: the floor under everything that is measured. */
import { randomBytes, randomInt } from 'node:crypto';
import type Docker from 'dockerode';
import { contextOf, engine } from '../support/engine.js';
import { createScenario, type Scenario } from '../support/scenario.js';
import { orInterrupted } from './interrupt.js';
import { timed } from './numbers.js';
import { applicationFiles, firstAnswer } from './project.js';

/** Builds a context through BuildKit. Rejects with what the build said last when it failed. */
export async function buildImage(
  context: NodeJS.ReadableStream,
  options: Docker.ImageBuildOptions,
): Promise<void> {
  const stream = await engine.buildImage(context, { ...options, version: '2' });
  await new Promise<void>((resolve, reject) => {
    engine.modem.followProgress(stream, (error: Error | null, lines: readonly { error?: string }[]) => {
      const failed = error?.message ?? lines.find((line) => line.error !== undefined)?.error;
      if (failed === undefined) resolve();
      else reject(new Error(`the bare build failed: ${failed}`));
    });
  });
}

export class BareEngine {
  private constructor(
    readonly image: string,
    /** Of the network: `10.218.7`. */
    private readonly block: string,
    private readonly network: Docker.Network,
  ) {}

  /** With an image of the benchmarks' application, and a network, which containers of Pointsman have as well. */
  static async create(): Promise<BareEngine> {
    const name = `bench-${randomBytes(3).toString('hex')}`;
    // By chance: an engine gives fixed addresses only in networks whose block was asked for.
    const block = `10.218.${randomInt(256)}`;
    const network = await engine.createNetwork({
      Name: name,
      IPAM: { Config: [{ Subnet: `${block}.0/24` }] },
    });
    const bare = new BareEngine(name, block, network);
    await bare.build().catch(async (error: unknown) => {
      await bare.close();
      throw error;
    });
    return bare;
  }

  /** Builds the image through BuildKit; everything is in the cache but the first time. */
  async build(): Promise<void> {
    await buildImage(contextOf(await applicationFiles()), { t: this.image });
  }

  /**
   * A container with what Pointsman sets as well, not started; `over` is added to its `HostConfig`. Without
   * `address` the engine chooses one.
   */
  make(version: string, over: Docker.HostConfig = {}, address?: string): Promise<Docker.Container> {
    const endpoint = address === undefined ? {} : { IPAMConfig: { IPv4Address: address } };
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
      NetworkingConfig: { EndpointsConfig: { [this.image]: endpoint } },
    });
  }

  /** Milliseconds of create, start and the first 200, at an address that is known before, as Pointsman's are. */
  async firstAnswer(version: string): Promise<number> {
    const host = `${this.block}.200`;
    let container: Docker.Container | null = null;
    try {
      return await timed(async () => {
        container = await this.make(version, {}, host);
        await container.start();
        await firstAnswer({ host, port: 3000 }, 'any', version);
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
    await this.network.remove();
    await engine
      .getImage(this.image)
      .remove({ force: true })
      .catch(() => undefined);
  }
}

/** What `measure` resolves to, of a scenario and the bare engine beside it; both are taken away then. */
export async function besideBareEngine<Measured>(
  measure: (scenario: Scenario, bare: BareEngine) => Promise<Measured>,
): Promise<Measured> {
  const bare = await BareEngine.create();
  try {
    const scenario = await createScenario();
    try {
      return await orInterrupted(measure(scenario, bare));
    } finally {
      await scenario.cleanup();
    }
  } finally {
    await bare.close();
  }
}
