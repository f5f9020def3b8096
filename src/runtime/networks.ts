import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import type Docker from 'dockerode';
import type { Logger } from 'pino';
import { PointsmanError, messageOf } from '../errors.js';
import { capacity, freeBlock, layout, parseBlock, parseRoutes, projectBits } from './addresses.js';
import type { Block } from './addresses.js';
import type { EngineClient } from './engine-client.js';
import { isRefusal } from './engine-errors.js';
import { carriesInstance, instanceLabel, networkName, projectLabel } from './labels.js';
import type { NetworkFacts } from './port.js';

export interface NetworksDeps {
  readonly client: EngineClient;
  readonly instance: string;
  /** `10.213.0.0/16` */
  readonly addressPool: string;
  readonly log: Logger;
}

/** One bridge network a project, each an explicit /28 of the pool. */
export class Networks {
  /** The allocation in hand: two at a time would choose the same block. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(readonly deps: NetworksDeps) {}

  async find(project: string): Promise<NetworkFacts | null> {
    const found = await this.#named(project);
    return found !== null && carriesInstance(found.Labels, this.deps.instance) ? factsOf(found) : null;
  }

  async list(): Promise<readonly NetworkFacts[]> {
    const filters = { label: [`${instanceLabel}=${this.deps.instance}`] };
    const found = await this.deps.client.read('list the networks', (docker) =>
      docker.listNetworks({ filters }),
    );
    return found.map(factsOf).filter((facts) => facts !== null);
  }

  async ensure(project: string): Promise<NetworkFacts> {
    const existing = await this.find(project);
    if (existing !== null) return existing;
    const turn = this.#last.then(() => this.#allocate(project));
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async remove(project: string): Promise<void> {
    const found = await this.#named(project);
    if (found === null) return;
    this.#requireOurs(found);
    await this.#drop(found);
  }

  async #allocate(project: string): Promise<NetworkFacts> {
    const existing = await this.#named(project);
    if (existing !== null) {
      this.#requireOurs(existing);
      const facts = factsOf(existing);
      if (facts !== null) return facts;
      await this.#dropUnusable(existing);
    }
    const pool = parseBlock(this.deps.addressPool);
    if (pool === null) throw exhausted(this.deps.addressPool, 0);
    // What the engine refused although nothing we can see overlaps it: networks of other programs.
    const refused: Block[] = [];
    for (let attempt = 0; attempt < Math.max(capacity(pool), 1); attempt += 1) {
      const block = freeBlock(pool, [...(await this.#taken(pool)), ...refused]);
      if (block === null) break;
      if (await this.#create(project, block)) {
        const facts = await this.find(project);
        if (facts !== null) return facts;
        throw new PointsmanError(
          'DockerUnavailable',
          `network ${networkName(project)} vanished right after it was made`,
        );
      }
      refused.push(block);
    }
    throw exhausted(this.deps.addressPool, capacity(pool));
  }

  /** False when the engine says that this block is taken. */
  async #create(project: string, block: Block): Promise<boolean> {
    const { subnet, gateway, dynamic } = layout(block);
    const options = {
      Name: networkName(project),
      CheckDuplicate: true,
      Driver: 'bridge',
      IPAM: { Driver: 'default', Config: [{ Subnet: subnet, Gateway: gateway, IPRange: dynamic }] },
      Labels: { [instanceLabel]: this.deps.instance, [projectLabel]: project },
    };
    try {
      await this.deps.client.call(`make the network ${options.Name}`, (docker) =>
        docker.createNetwork(options),
      );
      return true;
    } catch (error) {
      if (isRefusal(error, 403, 409, 500) && /overlap|conflicts with network/i.test(error.reason)) {
        this.deps.log.debug({ project, subnet, reason: error.reason }, 'the engine refused an address block');
        return false;
      }
      // Somebody took the name in this very moment.
      if (isRefusal(error, 409)) {
        const holder = await this.#named(project);
        if (holder !== null) this.#requireOurs(holder);
      }
      throw error;
    }
  }

  /** All that the pool's addresses could already mean on this machine. */
  async #taken(pool: Block): Promise<Block[]> {
    const all = await this.deps.client.read('list the networks', (docker) => docker.listNetworks());
    const engine = all.flatMap((network) =>
      (network.IPAM?.Config ?? []).map((config) => parseBlock(config.Subnet ?? '')),
    );
    const interfaces = Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .map((address) => parseBlock(address.cidr ?? ''));
    const routes = parseRoutes(await readFile('/proc/net/route', 'utf8').catch(() => ''));
    // A route to more than the whole pool (a VPN's 10.0.0.0/8) would leave nothing: the pool is an exception to it.
    const narrower = [...interfaces.filter((block) => block !== null), ...routes].filter(
      (block) => block.bits >= pool.bits,
    );
    return [...engine.filter((block) => block !== null), ...narrower];
  }

  async #named(project: string): Promise<Docker.NetworkInspectInfo | null> {
    const name = networkName(project);
    // The filter matches parts of names.
    const filters = { name: [name] };
    const found = await this.deps.client.read('list the networks', (docker) =>
      docker.listNetworks({ filters }),
    );
    const named = found.filter((network) => network.Name === name);
    return named.find((network) => carriesInstance(network.Labels, this.deps.instance)) ?? named[0] ?? null;
  }

  #requireOurs(network: Docker.NetworkInspectInfo): void {
    if (carriesInstance(network.Labels, this.deps.instance)) return;
    throw new PointsmanError(
      'NameTaken',
      `the network name ${network.Name} is held by network ${network.Id.slice(0, 12)}, which instance ${this.deps.instance} did not make; remove it (docker network rm ${network.Id.slice(0, 12)}) or rename the project`,
      { detail: { network: network.Id } },
    );
  }

  /** A network of ours that is no /28 with our gateway: made anew, unless containers are attached to it. */
  async #dropUnusable(network: Docker.NetworkInspectInfo): Promise<void> {
    this.deps.log.warn(
      { network: network.Name, ipam: network.IPAM },
      'network has an unusable shape, making it anew',
    );
    try {
      await this.#drop(network);
    } catch (error) {
      if (!isRefusal(error, 403, 409)) throw error;
      throw new PointsmanError(
        'NameTaken',
        `network ${network.Name} is not a /${projectBits} with its gateway at .1 and containers are attached to it; remove them and the network (docker network rm ${network.Name})`,
        { cause: error, detail: { network: network.Id, reason: messageOf(error) } },
      );
    }
  }

  async #drop(network: Docker.NetworkInspectInfo): Promise<void> {
    try {
      await this.deps.client.call(`remove the network ${network.Name}`, (docker) =>
        docker.getNetwork(network.Id).remove(),
      );
    } catch (error) {
      if (!isRefusal(error, 404)) throw error;
    }
  }
}

/** Null when the network's shape is none that slots can have fixed addresses in. */
function factsOf(network: Docker.NetworkInspectInfo): NetworkFacts | null {
  const project = network.Labels?.[projectLabel];
  const configs = (network.IPAM?.Config ?? []).filter((config) => parseBlock(config.Subnet ?? '') !== null);
  const [config] = configs;
  const block = parseBlock(config?.Subnet ?? '');
  if (project === undefined || config === undefined || block === null) return null;
  const { subnet, gateway, blue, green } = layout(block);
  if (
    network.Driver !== 'bridge' ||
    configs.length > 1 ||
    block.bits !== projectBits ||
    config.Gateway !== gateway
  ) {
    return null;
  }
  return { id: network.Id, name: network.Name, project, subnet, addresses: { blue, green } };
}

function exhausted(pool: string, count: number): PointsmanError {
  return new PointsmanError(
    'AddressesExhausted',
    `no free /${projectBits} is left in the address pool ${pool}: all ${count} are taken by networks or routes of this machine; set docker.addressPool to a larger one (see docker network ls, ip route)`,
    { detail: { pool, count } },
  );
}
