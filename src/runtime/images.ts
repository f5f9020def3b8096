import type Docker from 'dockerode';
import { PointsmanError } from '../errors.js';
import type { EngineClient } from './engine-client.js';
import { isRefusal } from './engine-errors.js';
import { imageRepository, instanceLabel, projectLabel, projectOfTag } from './labels.js';
import type { ImageFacts } from './port.js';
import { pullFailed, pullLine } from './pull-progress.js';
import { credentialFor, dockerConfigFolder, registryAuthHeader, registryOf } from './registry-auth.js';

export interface ImagesDeps {
  readonly client: EngineClient;
  readonly instance: string;
}

/** Images that projects run: those built for them, and those pulled and tagged for them. */
export class Images {
  /** References that a pull of this process brought: only these may be taken away again. */
  readonly #pulled = new Set<string>();

  constructor(readonly deps: ImagesDeps) {}

  async find(reference: string): Promise<ImageFacts | null> {
    const found = await this.#inspect(reference);
    return found === null ? null : factsOf(found);
  }

  async list(project?: string): Promise<readonly ImageFacts[]> {
    const { client } = this.deps;
    const filters = { reference: [project === undefined ? 'pointsman/*' : imageRepository(project)] };
    const found = await client.read('list the images', (docker) => docker.listImages({ filters }));
    if (found.length === 0) return [];
    const foreign = await this.#foreignProjects();
    const inspected = await client.each(found, ({ Id }) => this.#inspect(Id));
    return inspected
      .filter((image) => image !== null)
      .map(factsOf)
      .filter(({ labels, tags }) => this.#isOurs(labels, tags.map(projectOfTag), foreign));
  }

  async tag(image: string, tag: string): Promise<void> {
    const { repository, tag: name } = splitReference(tag);
    const held = await this.#inspect(tag);
    const project = projectOfTag(tag);
    if (project === null || (held !== null && !(await this.#mayRemove(tag, held)))) {
      throw new PointsmanError(
        'NameTaken',
        `the image tag ${tag} is not one of instance ${this.deps.instance}`,
      );
    }
    await this.deps.client.call(`tag the image ${tag}`, (docker) =>
      docker.getImage(image).tag({ repo: repository, tag: name }),
    );
  }

  async remove(reference: string): Promise<boolean> {
    const found = await this.#inspect(reference);
    if (found === null) return false;
    if (!(await this.#mayRemove(reference, found))) {
      throw new PointsmanError(
        'NameTaken',
        `the image ${reference} does not belong to instance ${this.deps.instance} and is left alone`,
      );
    }
    try {
      await this.deps.client.call(`remove the image ${reference}`, (docker) =>
        docker.getImage(reference).remove(),
      );
      this.#pulled.delete(reference);
      return true;
    } catch (error) {
      if (isRefusal(error, 404, 409)) return false;
      throw error;
    }
  }

  async pull(reference: string, onProgress: (line: string) => void, signal: AbortSignal): Promise<void> {
    const { client } = this.deps;
    if (!isReference(reference)) {
      throw new PointsmanError(
        'ImagePullFailed',
        `${JSON.stringify(reference)} is no image reference; write it like registry.example.com/team/app:1.2`,
      );
    }
    const registry = registryOf(reference);
    const folder = dockerConfigFolder();
    const { credential, problem } = await credentialFor(registry, folder, signal);
    if (problem !== null) onProgress(`credentials for ${registry} cannot be read: ${problem}`);
    const wasThere = (await this.#inspect(reference)) !== null;
    const { repository, tag } = splitReference(reference);
    const what = `pull ${reference}`;
    const headers =
      credential === null ? {} : { 'X-Registry-Auth': registryAuthHeader(registry, credential) };
    const query = { fromImage: repository, tag };
    const failure = { reference, registry, folder, problem };
    try {
      const stream = await client.stream({
        what,
        method: 'POST',
        path: '/images/create',
        query,
        headers,
        signal,
      });
      const seen = new Map<string, string>();
      for await (const message of client.messages(what, stream, signal)) {
        const line = pullLine(message, seen);
        if (line.kind === 'failed') throw pullFailed(failure, line.text);
        if (line.kind === 'line') onProgress(line.text);
      }
    } catch (error) {
      if (isRefusal(error, 400, 401, 403, 404, 500)) throw pullFailed(failure, error.reason, error);
      throw error;
    }
    if (!wasThere) this.#pulled.add(reference);
  }

  /**
   * Our tags on images that are not another instance's; and what our own pull brought, while a tag of
   * ours keeps the image.
   */
  async #mayRemove(reference: string, found: Docker.ImageInspectInfo): Promise<boolean> {
    const { labels, tags } = factsOf(found);
    if (projectOfTag(reference) !== null) {
      return this.#isOurs(labels, [projectOfTag(reference)], await this.#foreignProjects());
    }
    return this.#pulled.has(reference) && tags.some((tag) => projectOfTag(tag) !== null);
  }

  /** A pulled image carries no label; then the project tells, by whose network it has. */
  #isOurs(
    labels: Readonly<Record<string, string>>,
    projects: readonly (string | null)[],
    foreign: ReadonlySet<string>,
  ): boolean {
    const label = labels[instanceLabel];
    if (label !== undefined) return label === this.deps.instance;
    return !projects.some((project) => project !== null && foreign.has(project));
  }

  /** Projects of other instances on this engine. */
  async #foreignProjects(): Promise<ReadonlySet<string>> {
    const filters = { label: [projectLabel] };
    const networks = await this.deps.client.read('list the networks', (docker) =>
      docker.listNetworks({ filters }),
    );
    const foreign = networks.filter((network) => network.Labels?.[instanceLabel] !== this.deps.instance);
    return new Set(foreign.map((network) => network.Labels?.[projectLabel] ?? ''));
  }

  async #inspect(reference: string): Promise<Docker.ImageInspectInfo | null> {
    if (!isReference(reference)) return null;
    try {
      return await this.deps.client.read(`inspect the image ${reference}`, (docker) =>
        docker.getImage(reference).inspect(),
      );
    } catch (error) {
      if (isRefusal(error, 404)) return null;
      throw error;
    }
  }
}

/** Anything else would lead out of the engine's `/images/` path, or mean nothing to it. */
export function isReference(text: string): boolean {
  return (
    text.length <= 4096 && /^[A-Za-z0-9][A-Za-z0-9._-]*(?:[/:@+]+[A-Za-z0-9_][A-Za-z0-9._-]*)*$/.test(text)
  );
}

/** Without a tag or digest it is `latest`: the engine would pull every tag there is. */
export function splitReference(reference: string): { readonly repository: string; readonly tag: string } {
  const at = reference.indexOf('@');
  if (at > 0) return { repository: reference.slice(0, at), tag: reference.slice(at + 1) };
  const colon = reference.lastIndexOf(':');
  if (colon > reference.lastIndexOf('/'))
    return { repository: reference.slice(0, colon), tag: reference.slice(colon + 1) };
  return { repository: reference, tag: 'latest' };
}

function factsOf(found: Docker.ImageInspectInfo): ImageFacts {
  // A pulled image was made long ago; what counts for keeping it is when it came here.
  const tagged = (found as { Metadata?: { LastTagTime?: string } }).Metadata?.LastTagTime;
  const times = [found.Created, tagged].map((time) => Date.parse(time ?? '')).filter((time) => time > 0);
  const ports = Object.keys(found.Config?.ExposedPorts ?? {}).map(
    (port) => /^(\d+)(?:\/tcp)?$/.exec(port)?.[1],
  );
  return {
    id: found.Id,
    tags: found.RepoTags ?? [],
    labels: found.Config?.Labels ?? {},
    createdAt: Math.max(0, ...times),
    exposedPorts: ports.filter((port) => port !== undefined).map(Number),
  };
}
